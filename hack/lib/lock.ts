/** Mutual exclusion between processes of this machine, safe against a holder that was killed. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTicksOf } from './process.ts';
import type { Report } from './steps.ts';

/** Does `work` while holding the lock file at `path`; says so where another process has to be waited for. */
export async function withLock<T>(path: string, report: Report, work: () => Promise<T>): Promise<T> {
  const own = `${process.pid} ${startTicksOf(process.pid)}`;
  mkdirSync(dirname(path), { recursive: true });
  let said = false;
  while (!tryAcquire(path, own)) {
    const holder = readHolder(path);
    if (holder !== undefined && !isAlive(holder)) {
      rmSync(path, { force: true });
      continue;
    }
    if (!said) report(`waiting for process ${holder?.split(' ')[0] ?? '?'}, which is at the same work`);
    said = true;
    await sleep(250);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryAcquire(path: string, own: string): boolean {
  try {
    writeFileSync(path, own, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readHolder(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8') || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(holder: string): boolean {
  const [pid, startTicks] = holder.split(' ');
  return startTicksOf(Number(pid)) === startTicks;
}
