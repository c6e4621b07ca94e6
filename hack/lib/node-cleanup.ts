/** Removes what a node's programs leave on the machine when they are ended: containers, mounts, rules, cgroups. */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NODE } from './node-config.ts';
import { run, startTicksOf } from './process.ts';

export interface NodeTraces {
  readonly state: string;
  readonly runtime: string;
  readonly socket: string;
  /** Whether our kube-proxy ran: its tables have the same names as those of any other. */
  readonly proxyRan: boolean;
}

/** To be called when the node's programs have ended. */
export async function removeNodeTraces({ state, runtime, socket, proxyRan }: NodeTraces): Promise<void> {
  await endContainers(socket);
  for (const mount of mountsUnder(readFileSync('/proc/self/mountinfo', 'utf8'), [state, runtime])) {
    await quietly('umount', ['--lazy', mount]);
  }
  await quietly('nft', ['delete', 'table', 'ip', NODE.natTable]);
  for (const family of proxyRan ? ['ip', 'ip6'] : []) {
    await quietly('nft', ['delete', 'table', family, 'kube-proxy']);
  }
  await quietly('ip', ['addr', 'del', `${NODE.address}/32`, 'dev', 'lo']);
  removeCgroups();
  removeLogLinks(state);
  removeCniResults(runtime);
  removeDeadSockets();
  removeEmptyFolders();
  rmSync(runtime, { recursive: true, force: true });
}

/** Mount points below any of `roots` in the text of a mountinfo file, the innermost first. */
export function mountsUnder(mountinfo: string, roots: readonly string[]): string[] {
  return mountinfo
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '))
    .filter((mount) => roots.some((root) => mount.startsWith(`${root}/`)))
    .reverse();
}

/** Ends the containers of the containerd at `socket`: their shims name it, and are their ancestors. */
async function endContainers(socket: string): Promise<void> {
  const shims = readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    const [program = '', ...args] = commandLine(entry);
    return program.includes('containerd-shim') && args.includes(socket);
  });
  const pids = [...shims.flatMap((shim) => descendants(shim)), ...shims].map(Number);
  for (const pid of pids) kill(pid);
  const deadline = Date.now() + 5_000;
  while (pids.some((pid) => startTicksOf(pid) !== undefined) && Date.now() < deadline) await sleep(50);
}

function descendants(pid: string): string[] {
  const lists = entriesOf(`/proc/${pid}/task`).map((thread) =>
    readText(`/proc/${pid}/task/${thread}/children`),
  );
  const direct = lists.flatMap((text) => text.split(' ')).filter((child) => child !== '');
  return direct.flatMap((child) => [...descendants(child), child]);
}

/** The kubelet's cgroups: empty now, removed from the inside out, in every hierarchy. */
function removeCgroups(): void {
  const root = '/sys/fs/cgroup';
  const hierarchies = [
    root,
    ...readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(root, name)),
  ];
  for (const hierarchy of hierarchies) removeTree(join(hierarchy, 'kubepods'));
}

function removeTree(cgroup: string): void {
  if (!existsSync(cgroup)) return;
  for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(cgroup, entry.name));
  }
  try {
    rmdirSync(cgroup);
  } catch (error) {
    // Somebody else's pods: their cgroup is busy and stays.
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
  }
}

function removeLogLinks(state: string): void {
  const folder = '/var/log/containers';
  for (const name of entriesOf(folder)) {
    const link = join(folder, name);
    if (linkTarget(link).startsWith(state)) rmSync(link);
  }
}

/** What the network plugins remember of our pods: their network namespaces lie in our folder. */
function removeCniResults(runtime: string): void {
  const folder = '/var/lib/cni/results';
  for (const name of entriesOf(folder)) {
    if (readText(join(folder, name)).includes(`"netns":"${runtime}/`)) rmSync(join(folder, name));
  }
}

/** Sockets left at fixed places, where nobody listens any more. */
function removeDeadSockets(): void {
  const alive = readText('/proc/net/unix');
  for (const folder of ['/run/containerd/s', '/var/lib/kubelet/device-plugins']) {
    for (const name of entriesOf(folder)) {
      const path = join(folder, name);
      if (lstatSync(path).isSocket() && !alive.includes(path)) rmSync(path);
    }
  }
}

/** Folders that the programs make at fixed places; what others have in them keeps them. */
function removeEmptyFolders(): void {
  const folders = [
    ...[
      '/run/containerd/s',
      '/run/containerd',
      '/var/log/containers',
      '/var/lib/cni/results',
      '/var/lib/cni',
    ],
    ...['/var/lib/kubelet/device-plugins', '/var/lib/kubelet'],
  ];
  for (const folder of folders) {
    if (existsSync(folder) && entriesOf(folder).length === 0) rmdirSync(folder);
  }
}

function entriesOf(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function commandLine(pid: string): string[] {
  return readText(`/proc/${pid}/cmdline`).split('\0');
}

/** The text of a file that may vanish at any moment. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** What is not there needs no removal. */
async function quietly(command: string, args: readonly string[]): Promise<void> {
  await run(command, args).catch(() => undefined);
}
