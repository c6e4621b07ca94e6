/** What processes use, and the whole machine, from /proc. */
import { readFileSync } from 'node:fs';

export interface Usage {
  readonly rssMiB: number;
  readonly peakRssMiB: number;
  /** User and system time since its start, s. */
  readonly cpuSeconds: number;
}

/** The kernel counts CPU time for user space in hundredths of a second on every architecture that we run on. */
const TICKS_PER_SECOND = 100;

export function usageOf(pid: number): Usage {
  return parseUsage(readFileSync(`/proc/${pid}/stat`, 'utf8'), readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** From the texts of /proc/PID/stat and /proc/PID/status. */
export function parseUsage(stat: string, status: string): Usage {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0);
  return {
    rssMiB: kib('VmRSS') / 1024,
    peakRssMiB: kib('VmHWM') / 1024,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
  };
}

/** CPU time that all processes of this machine have used since it started, s. */
export const machineCpuSeconds = () => parseMachineCpu(readFileSync('/proc/stat', 'utf8'));

/** From the text of /proc/stat: everything but idle and waiting for disks. */
export function parseMachineCpu(stat: string): number {
  const [user = 0, nice = 0, system = 0, _idle, _iowait, irq = 0, softirq = 0] = (
    /^cpu +(.*)$/m.exec(stat)?.[1] ?? ''
  )
    .split(' ')
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}
