/**
 * How many processors this process may use. ONNX Runtime, libvips and ffmpeg size themselves from the host otherwise, and a container with
 * a quota is then throttled.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

export interface ThreadPlan {
  readonly workers: number;
  /** Threads that one ONNX Runtime session computes with. */
  readonly intraOpThreads: number;
  /** Threads that one ffmpeg process decodes with. */
  readonly ffmpegThreads: number;
  /** Of the whole process: files, names of hosts, and images, which libvips decodes with one thread each. */
  readonly libuvThreads: number;
}

/** Enough for files and names; an image that is decoded holds one more. */
const defaultLibuvThreads = 4;

/** Processors from cgroup v2's `cpu.max` ("200000 100000" is 2, "max 100000" is no limit: undefined). */
export function parseCpuMax(text: string): number | undefined {
  const [quota, period] = text.trim().split(/\s+/);
  return quotient(Number(quota), Number(period ?? '100000'));
}

/** Processors from cgroup v1's `cpu.cfs_quota_us` (-1 is no limit: undefined) and `cpu.cfs_period_us`. */
export function parseCfsQuota(quota: string, period: string): number | undefined {
  return quotient(Number(quota.trim()), Number(period.trim()));
}

function quotient(quota: number, period: number): number | undefined {
  const processors = quota / period;
  return Number.isFinite(processors) && processors > 0 && period > 0 ? processors : undefined;
}

export interface WorkerNeeds {
  /** What the configuration asks for. */
  readonly requestedWorkers?: number | undefined;
  /** Every worker has graphs of its own, of so many bytes; without it they are taken for small. */
  readonly graphBytes?: number;
  /** Graphs run on processors, not on a GPU. */
  readonly onProcessors: boolean;
}

/** What a further worker may cost in memory without having been asked for. */
const smallGraphBytes = 64 * 1024 ** 2;
const mostWorkers = 8;

/**
 * Small graphs run in one thread each, with a worker for every processor: threads that share a run wait for each other, and a worker's
 * other work stands still meanwhile. Large ones, which would be in memory once more for every worker, have two processors each.
 * A decoder may use two workers' processors, since workers decode and compute by turns; more than four threads bring ffmpeg little.
 */
export function planThreads(processors: number, needs: WorkerNeeds): ThreadPlan {
  const { requestedWorkers, graphBytes = 0, onProcessors } = needs;
  const whole = Math.max(1, Math.floor(processors));
  const pairs = Math.max(1, Math.floor(whole / 2));
  const isSmall = onProcessors && graphBytes <= smallGraphBytes;
  const workers = requestedWorkers ?? Math.min(mostWorkers, isSmall ? whole : pairs);
  return {
    workers,
    intraOpThreads: Math.max(1, Math.floor(whole / workers)),
    ffmpegThreads: Math.min(4, Math.max(1, Math.floor(whole / Math.min(workers, pairs)))),
    libuvThreads: defaultLibuvThreads + workers,
  };
}

/** The quota of this process' cgroup, or the processors that the scheduler offers where there is no quota. */
export function availableProcessors(
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): number {
  const offered = availableParallelism();
  const quota =
    attempt(() => parseCpuMax(read('/sys/fs/cgroup/cpu.max'))) ??
    attempt(() =>
      parseCfsQuota(
        read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'),
        read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'),
      ),
    );
  return quota === undefined ? offered : Math.min(quota, offered);
}

function attempt(action: () => number | undefined): number | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
