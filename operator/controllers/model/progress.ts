/** How far a running fetch is: asked of its pod, told in status. */
import { request } from 'undici';
import { z } from 'zod';
import type { Pod } from '../kinds.ts';
import type { FetchState } from './fetch-state.ts';
import { PROGRESS_PORT } from './job.ts';

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const progress = z.object({ receivedBytes: count, totalBytes: count.nullable() });
export type Progress = z.output<typeof progress>;

/** undefined: the pod does not say. Never rejects, and ends within seconds. */
export type ReadProgress = (pod: Pod) => Promise<Progress | undefined>;

const TIMEOUT_MS = 2_000;
/** The answer takes two numbers. */
const ANSWER_MAX = 1_024;

export const readProgress: ReadProgress = async ({ status }) => {
  const ip = status?.podIP;
  if (!ip) return undefined;
  const url = `http://${ip.includes(':') ? `[${ip}]` : ip}:${PROGRESS_PORT}/progress`;
  return readProgressAt(url);
};

export async function readProgressAt(url: string): Promise<Progress | undefined> {
  try {
    const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    let text = '';
    for await (const chunk of body.setEncoding('utf8')) {
      text += chunk;
      if (text.length > ANSWER_MAX) return undefined;
    }
    return statusCode === 200 ? progress.safeParse(JSON.parse(text)).data : undefined;
  } catch {
    // A pod that starts, ends, or may not be reached from here: the fetch itself tells how it went.
    return undefined;
  }
}

/** Remembers the latest answers, so that no pass waits for a pod. */
export class ProgressBoard {
  readonly #read: ReadProgress;
  readonly #answers = new Map<string, { progress?: Progress | undefined; askedAt: number }>();

  constructor(read: ReadProgress) {
    this.#read = read;
  }

  /** What the pod said last, and asks it again where that is older than `maxAgeMs`. */
  latest(pod: Pod, nowMs: number, maxAgeMs: number): Progress | undefined {
    const { uid = '' } = pod.metadata;
    const known = this.#answers.get(uid);
    if (known && nowMs - known.askedAt < maxAgeMs) return known.progress;
    const entry: { progress?: Progress | undefined; askedAt: number } = { ...known, askedAt: nowMs };
    this.#answers.set(uid, entry);
    this.#forget(nowMs - 10 * maxAgeMs);
    void this.#read(pod).then((answer) => {
      entry.progress = answer ?? entry.progress;
    });
    return entry.progress;
  }

  #forget(before: number): void {
    for (const [uid, { askedAt }] of this.#answers) if (askedAt < before) this.#answers.delete(uid);
  }
}

/** The state with what was received. It changes with whole percents only, or MiB where the total is unknown: each is a write. */
export function withProgress(state: FetchState, { receivedBytes, totalBytes }: Progress): FetchState {
  const next: FetchState = { ...state, receivedBytes, ...(totalBytes === null ? {} : { totalBytes }) };
  return progressText(next) === progressText(state) ? state : next;
}

/** undefined where nothing is known, or the source has not answered yet. */
export function progressText({ receivedBytes, totalBytes }: FetchState): string | undefined {
  if (receivedBytes === undefined) return undefined;
  if (!totalBytes) return receivedBytes === 0 ? undefined : `${sizeText(receivedBytes)} received`;
  const percent = Math.min(100, Math.floor((100 * receivedBytes) / totalBytes));
  return `${percent} % (${sizeText((percent / 100) * totalBytes)} of ${sizeText(totalBytes)})`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

function sizeText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(bytes, 1)) / 10)));
  return `${(bytes / 1024 ** power).toFixed(power > 2 ? 1 : 0)} ${UNITS[power]}`;
}
