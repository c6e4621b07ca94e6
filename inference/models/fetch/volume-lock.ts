/**
 * One fetch at a time per package, also between nodes that share a volume. A holder proves that it lives by touching its lock;
 * clocks of different machines are never compared.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, link, open, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export interface LockTimes {
  /** Milliseconds between two touches, and between two looks of those who wait. */
  readonly beatMs: number;
  /** Milliseconds without a touch after which the holder is taken for dead. */
  readonly staleMs: number;
}

/**
 * Does `work` while holding the lock file at `path`, after waiting as long as another process lives that holds it.
 * @throws Error when the lock was taken over, which happens to a process that stood still: `work` then goes on unheard, and the process
 * should end
 */
export async function withVolumeLock<T>(path: string, times: LockTimes, work: () => Promise<T>): Promise<T> {
  const lock = await acquire(path, times);
  const lost = Promise.withResolvers<never>();
  const beat = setInterval(async () => {
    if (await touch(path, lock)) return;
    clearInterval(beat);
    lost.reject(takenOver(path));
  }, times.beatMs);
  try {
    return await Promise.race([work(), lost.promise]);
  } catch (error) {
    throw (await isAt(path, lock)) ? error : takenOver(path);
  } finally {
    clearInterval(beat);
    if (await isAt(path, lock)) await rm(path, { force: true });
    await lock.close();
  }
}

function takenOver(path: string): Error {
  return new Error(`${path} was taken over by another process, as this one stood still for too long`);
}

/** @returns false where the lock is another process's by now */
async function touch(path: string, lock: FileHandle): Promise<boolean> {
  if (!(await isAt(path, lock))) return false;
  const now = new Date();
  // Errors of the volume may pass before anybody takes the lock for abandoned.
  await lock.utimes(now, now).catch(() => undefined);
  return true;
}

/** An open file keeps its inode from being given to another one. A lock is empty because full volumes have room for no byte. */
async function isAt(path: string, lock: FileHandle): Promise<boolean> {
  try {
    const present = await open(path, 'r');
    try {
      return (await present.stat()).ino === (await lock.stat()).ino;
    } finally {
      await present.close();
    }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

async function acquire(path: string, { beatMs, staleMs }: LockTimes): Promise<FileHandle> {
  let seen: string | undefined;
  let seenAt = performance.now();
  for (;;) {
    const lock = await tryAcquire(path);
    if (lock !== undefined) return lock;
    const mark = await markOf(path);
    if (mark !== seen) {
      seen = mark;
      seenAt = performance.now();
    }
    if (seen !== undefined && performance.now() - seenAt > staleMs) await removeStale(path, seen);
    else await delay(beatMs);
  }
}

async function tryAcquire(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
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
