/**
 * One fetch at a time per package, also between nodes that share a volume. A holder proves that it lives by touching its lock;
 * clocks of different machines are never compared.
 */
import { randomUUID } from 'node:crypto';
import { link, open, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export interface LockTimes {
  /** Milliseconds between two touches, and between two looks of those who wait. */
  readonly beatMs: number;
  /** Milliseconds without a touch after which the holder is taken for dead. */
  readonly staleMs: number;
}

/** Does `work` while holding the lock file at `path`, after waiting as long as another process lives that holds it. */
export async function withVolumeLock<T>(path: string, times: LockTimes, work: () => Promise<T>): Promise<T> {
  await acquire(path, times);
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, times.beatMs);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    await rm(path, { force: true });
  }
}

async function acquire(path: string, { beatMs, staleMs }: LockTimes): Promise<void> {
  let seen: string | undefined;
  let seenAt = performance.now();
  while (!(await tryAcquire(path))) {
    const mark = await markOf(path);
    if (mark !== seen) {
      seen = mark;
      seenAt = performance.now();
    }
    if (seen !== undefined && performance.now() - seenAt > staleMs) await removeStale(path, seen);
    else await delay(beatMs);
  }
}

async function tryAcquire(path: string): Promise<boolean> {
  try {
    await writeFile(path, '', { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Changes with every touch. Network file systems look at the server for a file that is opened, not for one that is only asked about. */
async function markOf(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { ino, mtimeMs } = await file.stat();
    return `${ino} ${mtimeMs}`;
  } finally {
    await file.close();
  }
}

/** Of several that see a stale lock one moves it away; who moved a living one by that puts it back. */
async function removeStale(path: string, mark: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  const moved = await rename(path, aside).then(
    () => true,
    () => false,
  );
  if (!moved) return;
  const { ino, mtimeMs } = await stat(aside);
  if (`${ino} ${mtimeMs}` !== mark) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}
