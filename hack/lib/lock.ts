/** Mutual exclusion between processes of this machine, safe against a holder that was killed. */
import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
      removeStale(path);
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

/** The file appears with its holder in it, or not at all: one without a holder would look stale to nobody. */
function tryAcquire(path: string, own: string): boolean {
  const temporary = `${path}.${randomUUID()}`;
  writeFileSync(temporary, own);
  try {
    return linkIfFree(temporary, path);
  } finally {
    rmSync(temporary);
  }
}

/** Of several that see a stale lock one moves it away; who moved a living one by that puts it back. */
function removeStale(path: string): void {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const holder = readHolder(aside);
  if (holder !== undefined && isAlive(holder)) linkIfFree(aside, path);
  rmSync(aside, { force: true });
}

function linkIfFree(from: string, path: string): boolean {
  try {
    linkSync(from, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readHolder(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function isAlive(holder: string): boolean {
  const [pid, startTicks] = holder.split(' ');
  return startTicks !== undefined && startTicksOf(Number(pid)) === startTicks;
}
