/**
 * A real one-node Kubernetes on this machine: control plane, containerd, kubelet, kube-proxy, and DNS, volumes and
 * metrics as programs of the host. One per machine; root on Linux. Nothing of it is reached from outside this machine.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureCertificate } from './certificates.ts';
import {
  type ControlPlane,
  type ControlPlanePorts,
  startControlPlane,
  stopControlPlane,
} from './control-plane.ts';
import { removeNodeTraces } from './node-cleanup.ts';
import {
  addonObjects,
  cniConfig,
  containerdConfig,
  corefile,
  kubeletConfig,
  kubeProxyConfig,
  NODE,
  type NodeLimits,
  type NodePaths,
  networkRules,
} from './node-config.ts';
import { cacheDir } from './paths.ts';
import { writePauseImage } from './pause-image.ts';
import {
  type DaemonRecord,
  type DaemonSpec,
  isRunning,
  listDaemons,
  logTail,
  run,
  startDaemon,
  stopDaemon,
} from './process.ts';
import type { Report } from './steps.ts';

/** Cleared by the kernel at boot, like everything that containerd keeps there about running containers. */
export const RUNTIME_DIR = '/run/deepfake-operator';
export const CONTAINERD_SOCKET = join(RUNTIME_DIR, 'containerd.sock');
/** Every program of the cluster, control plane included: found whatever became of the folder of who started it. */
const RECORDS = join(RUNTIME_DIR, 'run');
const OWNER_FILE = join(RUNTIME_DIR, 'owner');
const IP_FORWARD = '/proc/sys/net/ipv4/ip_forward';
/** What the machine had set: given back by `down`. */
const FORWARDING_BEFORE = join(RUNTIME_DIR, 'ip_forward');
const OVERLAYFS_MAGIC = 0x794c7630;
const CAP_SYS_RESOURCE = 24n;
/** The kubelet's sockets lie up to 45 characters below its folder, and a socket's path has at most 107. */
const LONGEST_STATE_DIR = 60;

const PORTS: ControlPlanePorts = {
  etcdClient: 12379,
  etcdPeer: 12380,
  apiServer: 6443,
  controllerManager: 20257,
  scheduler: 20259,
};

/** A kubelet's readiness in the API outlives the kubelet: its own word counts. */
const HEALTH_CHECKS = [
  `http://127.0.0.1:${NODE.kubeletHealthPort}/healthz`,
  `http://${NODE.address}:${NODE.proxyHealthPort}/healthz`,
  `http://${NODE.address}:${NODE.dnsHealthPort}/health`,
];

/** Folder of all state of the cluster on this machine. */
export function stateDir(): string {
  return cacheDir('cluster');
}

/** Starts what is not running and returns the administrator's kubeconfig when the node is ready. Repeatable. */
export async function startLocalCluster(binaries: string, report: Report): Promise<string> {
  const state = stateDir();
  checkMachine();
  for (const folder of [RUNTIME_DIR, state]) mkdirSync(folder, { recursive: true });
  writeFileSync(OWNER_FILE, state);
  const paths = nodePaths(state);
  await prepareNetwork();

  const [plane] = await Promise.all([
    startControlPlane({
      dataDir: join(state, 'control-plane'),
      recordDir: RECORDS,
      binaries,
      controllerManager: true,
      scheduler: true,
      ports: PORTS,
      advertiseAddress: NODE.address,
      outlivesCaller: true,
      durable: true,
    }),
    startContainerd(binaries, state, paths),
  ]);
  report('control plane and containerd run');
  const node = await startNode(binaries, state, paths, plane);
  const kubectl = (args: readonly string[], input?: string) =>
    run(
      join(binaries, 'kubectl'),
      ['--kubeconfig', plane.kubeconfigPath, ...args],
      input === undefined ? {} : { input },
    );
  const objects = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: addonObjects() });
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], objects);
  report('node started; waiting for it to be ready');
  await waitUntil('the node is ready', node, async () => {
    const format = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}';
    return (await kubectl(['get', 'node', NODE.name, '--ignore-not-found', format])) === 'True';
  });
  await waitUntil("the node's programs answer", node, async () => {
    const answers = await Promise.all(
      HEALTH_CHECKS.map((url) => fetch(url, { signal: AbortSignal.timeout(2_000) })),
    );
    return answers.every(({ ok }) => ok) && node.every(isRunning);
  });
  await waitUntil('the metrics API answers', node, async () => {
    const format = '-o=jsonpath={.status.conditions[?(@.type=="Available")].status}';
    return (await kubectl(['get', 'apiservice', 'v1beta1.metrics.k8s.io', format])) === 'True';
  });
  return plane.kubeconfigPath;
}

/** Ends everything of the cluster on this machine and deletes all it left, its volumes included; without one, nothing. */
export async function removeLocalCluster(report: Report): Promise<void> {
  const state = readOwner() ?? stateDir();
  if (!existsSync(RUNTIME_DIR) && !existsSync(state)) return;
  const records = await listDaemons(RECORDS);
  // The kubelet first: it would start again what ends.
  const nodePrograms = [
    'kubelet',
    'kube-proxy',
    'coredns',
    'volume-provisioner',
    'metrics-server',
    'containerd',
  ];
  for (const name of nodePrograms) {
    const record = records.find((entry) => entry.name === name);
    if (record) await stopDaemon(RECORDS, record);
  }
  await stopControlPlane(join(state, 'control-plane'), RECORDS);
  report(`stopped ${records.length} programs of the cluster in ${state}`);
  const proxyConfig = join(state, 'kube-proxy.json');
  const proxyRan =
    records.some(({ name }) => name === 'kube-proxy') || (existsSync(OWNER_FILE) && existsSync(proxyConfig));
  if (existsSync(FORWARDING_BEFORE)) writeFileSync(IP_FORWARD, readFileSync(FORWARDING_BEFORE));
  await removeNodeTraces({ state, runtime: RUNTIME_DIR, socket: CONTAINERD_SOCKET, proxyRan });
  rmSync(state, { recursive: true, force: true });
}

/** Every program of the cluster that was started and not stopped since. */
export function localClusterPrograms(): Promise<DaemonRecord[]> {
  return listDaemons(RECORDS);
}

/** The state folder of the cluster that this machine holds. */
function readOwner(): string | undefined {
  return existsSync(OWNER_FILE) ? readFileSync(OWNER_FILE, 'utf8') : undefined;
}

/** Why the cluster in `state` cannot be started on a machine that holds the cluster in `owner`. */
export function ownerConflict(
  state: string,
  owner: string | undefined,
  exists: (folder: string) => boolean = existsSync,
): string | undefined {
  if (owner === undefined) return undefined;
  if (!exists(owner))
    return `this machine holds a cluster whose folder ${owner} is gone: run hack/cluster down first`;
  if (owner !== state)
    return `this machine already holds the cluster of ${owner}: hack/cluster down removes it`;
  return undefined;
}

/** @throws with what to do instead where this machine cannot hold the cluster, or holds that of another folder */
export function checkMachine(): void {
  const state = stateDir();
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Error(
      'a cluster on this machine needs Linux and root; use --context NAME for a cluster that you have',
    );
  }
  if (state.length > LONGEST_STATE_DIR) {
    throw new Error(
      `${state} is too long a path for the sockets in it: set XDG_CACHE_HOME to a shorter folder`,
    );
  }
  const conflict = ownerConflict(state, readOwner());
  if (conflict !== undefined) throw new Error(conflict);
}

async function prepareNetwork(): Promise<void> {
  const addresses = await run('ip', ['-o', 'addr', 'show', 'dev', 'lo']);
  if (!addresses.includes(`${NODE.address}/32`))
    await run('ip', ['addr', 'add', `${NODE.address}/32`, 'dev', 'lo']);
  const forwarding = readFileSync(IP_FORWARD, 'utf8');
  if (!existsSync(FORWARDING_BEFORE)) writeFileSync(FORWARDING_BEFORE, forwarding);
  await run('nft', ['-f', '-'], { input: networkRules() });
  writeFileSync(IP_FORWARD, '1');
}

async function startContainerd(binaries: string, state: string, paths: NodePaths): Promise<void> {
  const path = join(state, 'containerd.toml');
  mkdirSync(paths.containerdRoot, { recursive: true });
  mkdirSync(paths.cniConfig, { recursive: true });
  const text = containerdConfig(paths, machineLimits(paths.containerdRoot));
  writeFileSync(join(paths.cniConfig, '10-ptp.conflist'), cniConfig(paths));
  const env = { ...process.env, PATH: `${binaries}:${process.env.PATH}:/usr/sbin:/sbin` };
  const spec = { name: 'containerd', command: join(binaries, 'containerd'), outlivesCaller: true, env };
  const record = await startDaemon(
    RECORDS,
    { ...spec, args: ['--config', path], config: { path, text } },
    logFolder(state),
  );
  await waitUntil('containerd answers', [record], async () =>
    (await ctr(binaries, 'version')).includes('Server'),
  );
  const archive = join(state, 'pause.tar');
  await writePauseImage(join(binaries, 'pause'), NODE.pauseImage, archive);
  await importImage(binaries, archive);
}

/** Gives the node the images of a docker-archive file. */
export async function importImage(binaries: string, archive: string): Promise<void> {
  await ctr(binaries, 'images', 'import', '--local', archive);
}

function ctr(binaries: string, ...args: string[]): Promise<string> {
  return run(join(binaries, 'ctr'), ['--address', CONTAINERD_SOCKET, '--namespace', 'k8s.io', ...args]);
}

async function startNode(
  binaries: string,
  state: string,
  paths: NodePaths,
  plane: ControlPlane,
): Promise<DaemonRecord[]> {
  const serving = await ensureCertificate(plane.certificateDir, plane.authority, {
    name: 'kubelet',
    commonName: NODE.name,
    hosts: [NODE.name, NODE.address],
  });
  const nodeKubeconfig = await plane.kubeconfigFor('node', `system:node:${NODE.name}`, 'system:nodes');
  const proxyKubeconfig = await plane.kubeconfigFor('kube-proxy', 'system:kube-proxy');
  for (const folder of [paths.podLogs, join(state, 'volumes')]) mkdirSync(folder, { recursive: true });
  const config = (name: string, text: string) => ({ path: join(state, name), text });
  const tls = { clientCa: plane.authority.certificate, ...serving };
  const kubelet = config('kubelet.json', kubeletConfig(paths, tls, machineLimits(paths.containerdRoot)));
  const proxy = config('kube-proxy.json', kubeProxyConfig(proxyKubeconfig));
  const dns = config('Corefile', corefile(plane.kubeconfigPath));
  const admin = plane.kubeconfigPath;
  const programs: (Pick<DaemonSpec, 'name' | 'config'> & { args: readonly string[] })[] = [
    {
      name: 'kubelet',
      config: kubelet,
      args: [
        `--config=${kubelet.path}`,
        `--kubeconfig=${nodeKubeconfig}`,
        `--root-dir=${paths.kubeletRoot}`,
        `--hostname-override=${NODE.name}`,
        `--node-ip=${NODE.address}`,
      ],
    },
    { name: 'kube-proxy', config: proxy, args: [`--config=${proxy.path}`] },
    { name: 'coredns', config: dns, args: ['-conf', dns.path] },
    {
      name: 'volume-provisioner',
      args: [`-kubeconfig=${admin}`, `-root=${join(state, 'volumes')}`, `-node=${NODE.name}`],
    },
    {
      name: 'metrics-server',
      args: [
        `--kubeconfig=${admin}`,
        `--authentication-kubeconfig=${admin}`,
        `--authorization-kubeconfig=${admin}`,
        `--bind-address=${NODE.address}`,
        `--secure-port=${NODE.metricsServerPort}`,
        `--cert-dir=${join(state, 'metrics-server')}`,
        '--metric-resolution=15s',
        `--kubelet-certificate-authority=${plane.authority.certificate}`,
        '--kubelet-preferred-address-types=InternalIP',
      ],
    },
  ];
  const env = { PATH: `${process.env.PATH}:/usr/sbin:/sbin`, HOME: process.env.HOME };
  const start = (program: (typeof programs)[number]) =>
    startDaemon(
      RECORDS,
      { ...program, command: join(binaries, program.name), outlivesCaller: true, env },
      logFolder(state),
    );
  return Promise.all(programs.map(start));
}

function logFolder(state: string): string {
  return join(state, 'run');
}

function nodePaths(state: string): NodePaths {
  return {
    containerdRoot: join(state, 'containerd'),
    containerdState: join(RUNTIME_DIR, 'containerd'),
    containerdSocket: CONTAINERD_SOCKET,
    runcRoot: join(RUNTIME_DIR, 'runc'),
    cniConfig: join(state, 'cni'),
    cniState: join(RUNTIME_DIR, 'cni'),
    cniPlugins: '/usr/lib/cni',
    kubeletRoot: join(state, 'kubelet'),
    podLogs: join(state, 'pod-logs'),
  };
}

function machineLimits(root: string): NodeLimits {
  const status = readFileSync('/proc/self/status', 'utf8');
  const capabilities = BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(status)?.[1] ?? '0'}`);
  return {
    noResourceCapability: ((capabilities >> CAP_SYS_RESOURCE) & 1n) === 0n,
    noOverlay: statfsSync(root).type === OVERLAYFS_MAGIC,
  };
}

/** Waits up to two minutes; a program that ended meanwhile is the error, with the end of its log. */
async function waitUntil(
  what: string,
  programs: readonly DaemonRecord[],
  check: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    if (await check().catch(() => false)) return;
    const ended = programs.find((record) => !isRunning(record));
    if (ended) throw new Error(`${ended.name} ended; ${ended.logFile} says:\n${logTail(ended)}`);
    if (Date.now() > deadline) {
      throw new Error(
        `waited two minutes until ${what}; see ${programs.map(({ logFile }) => logFile).join(', ')}`,
      );
    }
    await sleep(250);
  }
}
