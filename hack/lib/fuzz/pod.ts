/** The pod's program under small limits with a package of every family, and what can be seen of it from outside. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, FormData, Pool } from 'undici';
import { writeColourCuesPackage, writeEyeBlinkPackage } from '../../../inference/testing/cue-packages.ts';
import { writeImageFacesPackage, writeVideoFacesPackage } from '../../../inference/testing/face-packages.ts';
import {
  writeAudioPackage,
  writeClassifierPackage,
  writeImagePackage,
  writeVideoPackage,
} from '../../../inference/testing/packages.ts';
import {
  writeTemporalPackage,
  writeVideoAudioPackage,
} from '../../../inference/testing/sequence-packages.ts';
import { writeFeaturesPackage, writeWaveformPackage } from '../../../inference/testing/sound-packages.ts';
import { processTree } from '../bench/inference/process-tree.ts';
import { parseMetrics, sumOf } from '../bench/metrics-text.ts';
import { usageOf } from '../bench/process-usage.ts';
import { type LocalServer, startLocalServer } from '../demo/local-server.ts';
import { IMAGE_MEMORY_ENVIRONMENT } from '../image-environment.ts';
import type { Answer } from './answer.ts';
import type { FuzzCase } from './cases.ts';

const apiKey = 'fuzz';
/** Ours is later than the pod's, so that a request that never ends shows as one without an answer. */
const requestTimeoutMs = 60_000;
const answerTimeoutMs = 90_000;
/** A machine that is given to others may take so long to start it. */
const startTimeoutMs = 180_000;
/** The main thread computes nothing, so that only a crowded machine can make it late. */
const pingTimeoutMs = 15_000;
/** Programs that were told to end may take so long to be gone. */
const settleMs = 5_000;

const env = {
  LOG_LEVEL: 'warn',
  FORENSICS: 'on',
  ENGINE_WORKERS: '2',
  // Cases share runs of their graphs, and the results of earlier ones fall out of the cache.
  ENGINE_MAX_BATCH: '4',
  CACHE_MAX_BYTES: String(4 * 1024 ** 2),
  MAX_UPLOAD_BYTES: String(1024 ** 2),
  MAX_IMAGE_PIXELS: '4000000',
  MAX_VIDEO_PIXELS: '1000000',
  MAX_VIDEO_SECONDS: '20',
  REQUEST_TIMEOUT_MS: String(requestTimeoutMs),
  ...IMAGE_MEMORY_ENVIRONMENT,
};

/** In the pod's folder. */
export const POD_LOG = 'pod.log';

export class Pod {
  readonly pid: number;
  readonly ended: LocalServer['ended'];
  readonly #server: LocalServer;
  readonly #http: Pool;
  readonly #scratch: string;

  private constructor(server: LocalServer, scratch: string, clients: number) {
    this.pid = server.pid;
    this.ended = server.ended;
    this.#server = server;
    this.#scratch = scratch;
    this.#http = new Pool(server.url, { connections: clients });
  }

  /**
   * @param folder gets the packages (once), the log and the temporary folder of the program
   * @throws Error when it does not become ready
   */
  static async start(folder: string, clients: number): Promise<Pod> {
    const models = join(folder, 'models');
    if (!existsSync(models)) await writePackages(models);
    const scratch = join(folder, 'scratch');
    await mkdir(scratch, { recursive: true });
    const own = { ...env, MODELS_DIR: models, TMPDIR: scratch };
    const server = await startLocalServer(apiKey, join(folder, POD_LOG), {
      env: own,
      timeoutMs: startTimeoutMs,
    });
    return new Pod(server, scratch, clients);
  }

  /** Sends the file to `/analyze`. @throws what the connection ends with; TimeoutError where none comes in time */
  async analyze(
    { bytes, model, visualization }: FuzzCase,
    headers: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    const body = new FormData();
    body.set('model', model);
    if (visualization) body.set('visualization', 'true');
    body.set('media', new Blob([new Uint8Array(bytes)]), 'upload');
    const answer = await this.#request({ method: 'POST', path: '/analyze', body, headers });
    return { status: answer.statusCode, text: await answer.body.text() };
  }

  /** What is wrong with the picture at the address of an answer, or undefined. */
  async pictureProblem(address: string): Promise<string | undefined> {
    const { statusCode, headers, body } = await this.#request({
      method: 'GET',
      path: new URL(address).pathname,
    });
    const bytes = Buffer.from(await body.arrayBuffer());
    const isPng =
      headers['content-type'] === 'image/png' && bytes.subarray(1, 4).toString('latin1') === 'PNG';
    return statusCode === 200 && isPng ? undefined : `the heat map of the answer came as ${statusCode}`;
  }

  async #request(options: Omit<Dispatcher.RequestOptions, 'origin'>): Promise<Dispatcher.ResponseData> {
    const headers = { 'x-api-key': apiKey, ...options.headers };
    return this.#http.request({ ...options, headers, signal: AbortSignal.timeout(answerTimeoutMs) });
  }

  /** MiB that are resident now and that were at most; undefined when the process is gone. */
  memory(): { readonly rssMiB: number; readonly peakRssMiB: number } | undefined {
    try {
      return usageOf(this.pid);
    } catch {
      return undefined;
    }
  }

  /** What is wrong with the process while it works, in words: probes without an answer, workers that were replaced. */
  async ailments(): Promise<string[]> {
    const read = async (path: string) => {
      const response = await fetch(this.#server.url + path, { signal: AbortSignal.timeout(pingTimeoutMs) });
      return { ok: response.ok, text: await response.text() };
    };
    try {
      const ping = await read('/ping');
      const restarts = sumOf(parseMetrics((await read('/metrics')).text), 'deepfake_worker_restarts_total');
      return [
        ...(ping.ok ? [] : ['/ping is not answered with 200']),
        ...(restarts === 0 ? [] : [`${restarts} workers were lost and replaced`]),
      ];
    } catch (error) {
      return [`/ping and /metrics are not answered: ${error}`];
    }
  }

  /** What a process at rest still holds: uploads, heat maps and children, in words. */
  async leftovers(): Promise<string[]> {
    const look = () => [
      ...readdirSync(this.#scratch, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.parentPath.includes(compileCache))
        .map(({ name }) => `the file ${name} is left on disk`),
      ...processTree(this.pid)
        .slice(1)
        .map((pid) => `the child process ${pid} is left`),
    ];
    for (let waited = 0; ; waited += 100) {
      const found = look();
      if (found.length === 0 || waited >= settleMs) return found;
      await sleep(100);
    }
  }

  /** Ends it as Kubernetes does, where it has not ended by itself. @returns what is wrong afterwards, in words */
  async stop(): Promise<string[]> {
    const running = this.memory() !== undefined;
    await this.#http.destroy();
    await this.#server.stop();
    if (!running) return [];
    const end = await this.ended;
    const left = readdirSync(this.#scratch).filter((name) => name !== compileCache);
    return [
      ...(end === 0 ? [] : [`it ended with ${end} when it was asked to`]),
      ...left.map((name) => `${name} is left in its temporary folder after its end`),
    ];
  }
}

/** Of Node.js; meant to stay. */
const compileCache = 'node-compile-cache';

/** 13 coefficients with their regressions: most of what can be made of a spectrum. */
const cepstra = {
  stft: { fftSize: 1024, windowLength: 320, hop: 320, window: 'hann', padding: 'zeros' },
  spectrum: 'power',
  kind: {
    type: 'lfcc',
    filters: 20,
    minHz: 0,
    maxHz: 8000,
    coefficients: 13,
    deltaOrders: 1,
    delta: { type: 'regression', width: 9 },
    energyFirst: false,
  },
  scale: { type: 'logarithm', base: '10', epsilon: 1e-7 },
  normalisation: { type: 'none' },
};

/** Families as the tests know them, with limits below the sides of our small pictures. */
async function writePackages(folder: string): Promise<void> {
  const pipeline = { type: 'image-residual', crop: 256, tiles: 9, minSide: 16, aggregation: 'mean-logit' };
  await writeClassifierPackage(join(folder, 'classifier'));
  await writeImagePackage(join(folder, 'residual'), { manifest: { pipeline } });
  await writeAudioPackage(join(folder, 'voice'));
  await writeWaveformPackage(join(folder, 'speech'), {
    pipeline: { preEmphasis: 0.97, shortSound: 'zero-pad', aggregation: 'mean-and-max' },
    manifest: { calibration: { method: 'platt', slope: 1, intercept: 3.8 } },
  });
  await writeFeaturesPackage(join(folder, 'spectra'), [26, 13], {
    pipeline: { features: cepstra, layout: 'bins-frames' },
  });
  await writeVideoPackage(join(folder, 'frames'));
  await writeTemporalPackage(join(folder, 'sequence'));
  await writeVideoAudioPackage(join(folder, 'joint'));
  await writeColourCuesPackage(join(folder, 'colours'));
  await writeEyeBlinkPackage(join(folder, 'blinks'));
  await writeImageFacesPackage(join(folder, 'portraits'));
  await writeVideoFacesPackage(join(folder, 'faces'));
}
