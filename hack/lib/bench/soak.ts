/** `hack/bench soak`: whether the pod's memory stays flat over many reloads of a model and many requests. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadPackage } from '../../../inference/models/package.ts';
import { Analyzer } from '../../../inference/pipelines/analyzer.ts';
import { flatImage } from '../../../inference/testing/media.ts';
import { writeImagePackage } from '../../../inference/testing/packages.ts';
import type { Report } from '../steps.ts';
import { machineOf } from './report.ts';

export const SOAK_USAGE = `usage: hack/bench soak [--reloads 200] [--requests 10000]
  memory of one process that loads a model anew so often and then answers so many requests: resident MiB at twenty checkpoints of each part,
  and its slope over the second half, when caches and arenas have filled; set before it what the image
  sets: MALLOC_ARENA_MAX=2 NODE_OPTIONS=--max-semi-space-size=8
  --reloads   of the model, each in fresh worker threads (default 200)
  --requests  of one picture, four at a time (default 10000)`;

const CHECKPOINTS = 20;
const CLIENTS = 4;
const SIDE_PIXELS = 600;
const NEVER = new AbortController().signal;

/** Resident memory after so many steps. */
export interface Checkpoint {
  readonly done: number;
  readonly rssMiB: number;
}

/** MiB for each step, by least squares over the second half of the checkpoints; 0 where there are fewer than two. */
export function slopeOf(checkpoints: readonly Checkpoint[]): number {
  const late = checkpoints.slice(Math.floor(checkpoints.length / 2));
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanDone = mean(late.map(({ done }) => done));
  const meanRss = mean(late.map(({ rssMiB }) => rssMiB));
  const covariance = late.reduce((sum, { done, rssMiB }) => sum + (done - meanDone) * (rssMiB - meanRss), 0);
  const variance = late.reduce((sum, { done }) => sum + (done - meanDone) ** 2, 0);
  return variance === 0 ? 0 : covariance / variance;
}

export async function benchSoak(args: readonly string[], say: Report): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      reloads: { type: 'string', default: '200' },
      requests: { type: 'string', default: '10000' },
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'deepfake-soak-'));
  try {
    await soak(folder, Number(values.reloads), Number(values.requests), say);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function soak(folder: string, reloads: number, requests: number, say: Report): Promise<void> {
  await writeImagePackage(join(folder, 'picture'));
  const picture = join(folder, 'white.jpeg');
  const size = { width: SIDE_PIXELS, height: SIDE_PIXELS };
  await writeFile(picture, await flatImage({ ...size, level: 255, format: 'jpeg' }));
  const analyzer = await analyzerOf(folder);
  const judge = async () => {
    const plan = await analyzer.plan({ path: picture }, { model: 'picture' });
    if (plan.type === 'one') await analyzer.analyze(plan.assignment, { signal: NEVER });
  };
  try {
    const { processor, node } = machineOf();
    say(`${processor}, Node ${node}`);
    const afterReloads = await watch('reloads', reloads, say, async () => {
      await analyzer.load('picture');
      await judge();
    });
    const rounds = Math.ceil(requests / CLIENTS);
    const afterRequests = await watch(`rounds of ${CLIENTS} requests`, rounds, say, async () => {
      await Promise.all(Array.from({ length: CLIENTS }, judge));
    });
    say(`slope: ${kib(slopeOf(afterReloads))} a reload, ${kib(slopeOf(afterRequests) / CLIENTS)} a request`);
  } finally {
    await analyzer.close();
  }
}

async function analyzerOf(folder: string): Promise<Analyzer> {
  const packageOnDisk = async (name: string) => {
    const found = await loadPackage(join(folder, name));
    return { ...found, name, precision: 'fp32' as const };
  };
  const analyzer = new Analyzer({
    settings: {
      packages: [await packageOnDisk('picture')],
      session: { device: 'cpu', intraOpThreads: 1 },
      batch: { maxItems: undefined, maxDelayMs: 0 },
      limitPixels: SIDE_PIXELS ** 2,
      perturbationRuns: 0,
      videoLimits: { maxSeconds: 60, maxPixels: SIDE_PIXELS ** 2, decoderThreads: 1 },
    },
    defaultModel: 'picture',
    workers: 1,
    maxQueue: CLIENTS,
    loadPackage: packageOnDisk,
    onWorkerEvent: () => undefined,
    onWorkerLost: (reason) => {
      throw new Error(`a worker was lost: ${reason}`);
    },
  });
  await analyzer.start();
  return analyzer;
}

/** Does the step so many times and says at every checkpoint what is resident. */
async function watch(
  what: string,
  count: number,
  say: Report,
  step: () => Promise<void>,
): Promise<Checkpoint[]> {
  const every = Math.max(1, Math.floor(count / CHECKPOINTS));
  const checkpoints: Checkpoint[] = [];
  for (let done = 1; done <= count; done += 1) {
    await step();
    if (done % every !== 0) continue;
    const rssMiB = process.memoryUsage.rss() / 1024 ** 2;
    checkpoints.push({ done, rssMiB });
    say(`${what}: ${done} of ${count}, ${rssMiB.toFixed(1)} MiB`);
  }
  return checkpoints;
}

const kib = (mib: number) => `${(mib * 1024).toFixed(2)} KiB`;
