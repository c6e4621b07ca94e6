/** What a server and everything that it started use, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { usageOf } from '../process-usage.ts';

export interface TreeUsage {
  /** Proportional set size: shared pages are divided among those that share them. */
  readonly pssMiB: number;
  /** Of the processes that live now and of those children whose end was awaited, s. */
  readonly cpuSeconds: number;
}

/** The process and its descendants that live now. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    const stat = Number.isInteger(pid) ? read(`/proc/${pid}/stat`) : undefined;
    if (stat !== undefined) parents.set(pid, Number(fieldsOf(stat)[1]));
  }
  const tree = [root];
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  }
  return tree;
}

export function usageOfTree(root: number): TreeUsage {
  const tree = processTree(root);
  const pssKiB = tree.map((pid) => pssOf(read(`/proc/${pid}/smaps_rollup`) ?? ''));
  return {
    pssMiB: pssKiB.reduce((sum, kib) => sum + kib, 0) / 1024,
    cpuSeconds: tree.reduce((sum, pid) => sum + cpuOf(pid), 0),
  };
}

/** KiB, from the text of /proc/PID/smaps_rollup; 0 for a process that has just ended. */
export function pssOf(smapsRollup: string): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(smapsRollup)?.[1] ?? 0);
}

/** User and system time of a process, and of its children that have ended: ffmpeg comes and goes. */
function cpuOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return 0;
  const ended = fieldsOf(stat);
  return usageOf(pid).cpuSeconds + (Number(ended[13]) + Number(ended[14])) / 100;
}

/** From field 3 on, the state. */
const fieldsOf = (stat: string) => stat.slice(stat.lastIndexOf(')') + 2).split(' ');

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
