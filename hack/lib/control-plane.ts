/**
 * A real Kubernetes control plane on this machine: etcd and kube-apiserver, and where asked for
 * kube-controller-manager and kube-scheduler. Several run side by side, each in its own folder on its own ports.
 * Needs no root as long as nothing but this machine is to reach the API server.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CertificateFiles,
  ensureAuthority,
  ensureCertificate,
  ensureServiceAccountKey,
} from './certificates.ts';
import { freePorts } from './free-ports.ts';
import { type DaemonRecord, isRunning, listDaemons, logTail, startDaemon, stopDaemon } from './process.ts';

export const SERVICE_CIDR = '10.96.0.0/16';
const API_SERVICE_IP = '10.96.0.1';
const LOOPBACK = '127.0.0.1';

export interface ControlPlaneOptions {
  /** Holds keys, data, logs and records. A later start on the same folder goes on with the same cluster. */
  readonly dataDir: string;
  /** Folder of the records of what runs; in `dataDir` by default. */
  readonly recordDir?: string;
  /** Folder of etcd, kube-apiserver, kube-controller-manager and kube-scheduler. */
  readonly binaries: string;
  readonly controllerManager?: boolean;
  readonly scheduler?: boolean;
  /** Fixed ports; free ones are taken otherwise. */
  readonly ports?: ControlPlanePorts;
  /** An address of this machine, not in 127.0.0.0/8, at which pods reach the API server: it listens there alone. */
  readonly advertiseAddress?: string;
  /** true: the programs go on when the caller ends. By default the kernel ends them with the caller. */
  readonly outlivesCaller?: boolean;
  /** true: etcd flushes to disk, so that the data survive a crash of the machine. */
  readonly durable?: boolean;
  /** How long the API server may take to become ready, ms (default 120,000). */
  readonly timeoutMs?: number;
  /** Further arguments of its programs. Of a flag that is given twice the last one counts. */
  readonly extraArguments?: Readonly<Partial<Record<ControlPlaneProgram, readonly string[]>>>;
}

export type ControlPlaneProgram = 'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler';

export interface ControlPlanePorts {
  readonly etcdClient: number;
  readonly etcdPeer: number;
  readonly apiServer: number;
  readonly controllerManager: number;
  readonly scheduler: number;
}

export interface ControlPlane {
  /** A kubeconfig of a cluster administrator, certificates included. */
  readonly kubeconfigPath: string;
  /** `https://ADDRESS:PORT` */
  readonly apiServerUrl: string;
  /** Give these to a later start on the same folder to get the same addresses. */
  readonly ports: ControlPlanePorts;
  readonly certificateDir: string;
  readonly authority: CertificateFiles;
  readonly processes: readonly DaemonRecord[];
  /** Writes a kubeconfig that authenticates as the given user and groups, and returns its path. */
  kubeconfigFor(name: string, user: string, organization?: string): Promise<string>;
  /** Ends every program of this control plane; the data stay. */
  stop(): Promise<void>;
}

/** Starts what does not run yet in `dataDir` and returns when the API server is ready. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const paths = layoutOf(options.dataDir);
  mkdirSync(paths.run, { recursive: true });
  const ports = options.ports ?? (await controlPlanePorts());
  const files = await ensureFiles(paths.pki, options.advertiseAddress);
  const plan: Plan = { options, ports, files, paths };
  const apiServerUrl = `https://${options.advertiseAddress ?? LOOPBACK}:${ports.apiServer}`;
  const kubeconfigFor = async (name: string, user: string, organization?: string) => {
    const identity = organization === undefined ? {} : { organization };
    const client = await ensureCertificate(paths.pki, files.authority, {
      name,
      commonName: user,
      ...identity,
    });
    const path = join(options.dataDir, `${name}.kubeconfig`);
    writeFileSync(path, kubeconfig(apiServerUrl, files.authority, client), { mode: 0o600 });
    return path;
  };
  const kubeconfigPath = await kubeconfigFor('admin', 'admin', 'system:masters');

  const stop = () => stopControlPlane(options.dataDir, options.recordDir);
  const processes = [
    await start(plan, 'etcd', etcdArguments(plan)),
    await start(plan, 'kube-apiserver', apiServerArguments(plan)),
  ];
  try {
    await waitForReady(apiServerUrl, paths.pki, files.authority, processes, options.timeoutMs ?? 120_000);
    if (options.controllerManager) {
      const config = await kubeconfigFor('controller-manager', 'system:kube-controller-manager');
      const args = controllerManagerArguments(plan, config);
      processes.push(await start(plan, 'kube-controller-manager', args));
    }
    if (options.scheduler) {
      const config = await kubeconfigFor('scheduler', 'system:kube-scheduler');
      processes.push(await start(plan, 'kube-scheduler', schedulerArguments(plan, config)));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kubeconfigPath,
    apiServerUrl,
    ports,
    certificateDir: paths.pki,
    authority: files.authority,
    processes,
    kubeconfigFor,
    stop,
  };
}

/** Ends the control plane recorded in `run`, by default that of `dataDir`: clients of the API server first, etcd last. */
export async function stopControlPlane(dataDir: string, run: string = layoutOf(dataDir).run): Promise<void> {
  const order = ['kube-scheduler', 'kube-controller-manager', 'kube-apiserver', 'etcd'];
  const records = (await listDaemons(run)).filter(({ name }) => order.includes(name));
  records.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  // An API server drains for as long as a watch lasts: nothing here is worth waiting that long.
  for (const record of records) await stopDaemon(run, record, 3_000);
}

export interface Plan {
  readonly options: ControlPlaneOptions;
  readonly ports: ControlPlanePorts;
  readonly files: ControlPlaneFiles;
  readonly paths: ReturnType<typeof layoutOf>;
}

export interface ControlPlaneFiles {
  readonly authority: CertificateFiles;
  readonly server: CertificateFiles;
  readonly etcd: CertificateFiles;
  readonly kubeletClient: CertificateFiles;
  readonly frontProxy: CertificateFiles;
  readonly serviceAccount: CertificateFiles;
}

export function etcdArguments({ options, ports, files, paths }: Plan): string[] {
  const client = `https://${LOOPBACK}:${ports.etcdClient}`;
  const peer = `https://${LOOPBACK}:${ports.etcdPeer}`;
  // Who reaches etcd unasked owns the cluster: other users of this machine must not.
  const tls = (prefix: string) => [
    `--${prefix}cert-file=${files.etcd.certificate}`,
    `--${prefix}key-file=${files.etcd.key}`,
    `--${prefix}trusted-ca-file=${files.authority.certificate}`,
    `--${prefix}client-cert-auth=true`,
  ];
  return [
    `--data-dir=${paths.etcd}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    ...tls(''),
    ...tls('peer-'),
    '--log-level=warn',
    ...(options.durable ? [] : ['--unsafe-no-fsync']),
  ];
}

export function apiServerArguments({ options, ports, files }: Plan): string[] {
  const reach =
    options.advertiseAddress === undefined
      ? [`--bind-address=${LOOPBACK}`, `--advertise-address=${LOOPBACK}`, '--endpoint-reconciler-type=none']
      : [`--bind-address=${options.advertiseAddress}`, `--advertise-address=${options.advertiseAddress}`];
  return [
    ...reach,
    `--secure-port=${ports.apiServer}`,
    `--etcd-servers=https://${LOOPBACK}:${ports.etcdClient}`,
    `--etcd-cafile=${files.authority.certificate}`,
    `--etcd-certfile=${files.etcd.certificate}`,
    `--etcd-keyfile=${files.etcd.key}`,
    `--service-cluster-ip-range=${SERVICE_CIDR}`,
    `--client-ca-file=${files.authority.certificate}`,
    `--tls-cert-file=${files.server.certificate}`,
    `--tls-private-key-file=${files.server.key}`,
    `--kubelet-certificate-authority=${files.authority.certificate}`,
    `--kubelet-client-certificate=${files.kubeletClient.certificate}`,
    `--kubelet-client-key=${files.kubeletClient.key}`,
    '--kubelet-preferred-address-types=InternalIP',
    `--requestheader-client-ca-file=${files.authority.certificate}`,
    // One authority signs clients and the front proxy, so the front proxy is told apart by its name.
    '--requestheader-allowed-names=front-proxy-client',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-username-headers=X-Remote-User',
    `--proxy-client-cert-file=${files.frontProxy.certificate}`,
    `--proxy-client-key-file=${files.frontProxy.key}`,
    '--enable-aggregator-routing=true',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${files.serviceAccount.certificate}`,
    `--service-account-signing-key-file=${files.serviceAccount.key}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--shutdown-delay-duration=0s',
  ];
}

export function controllerManagerArguments({ ports, files }: Plan, kubeconfigPath: string): string[] {
  return [
    `--kubeconfig=${kubeconfigPath}`,
    `--authentication-kubeconfig=${kubeconfigPath}`,
    `--authorization-kubeconfig=${kubeconfigPath}`,
    `--bind-address=${LOOPBACK}`,
    `--secure-port=${ports.controllerManager}`,
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${files.serviceAccount.key}`,
    `--root-ca-file=${files.authority.certificate}`,
    `--cluster-signing-cert-file=${files.authority.certificate}`,
    `--cluster-signing-key-file=${files.authority.key}`,
    '--horizontal-pod-autoscaler-sync-period=5s',
    '--leader-elect=false',
  ];
}

export function schedulerArguments({ ports }: Plan, kubeconfigPath: string): string[] {
  return [
    `--kubeconfig=${kubeconfigPath}`,
    `--authentication-kubeconfig=${kubeconfigPath}`,
    `--authorization-kubeconfig=${kubeconfigPath}`,
    `--bind-address=${LOOPBACK}`,
    `--secure-port=${ports.scheduler}`,
    '--leader-elect=false',
  ];
}

/** A kubeconfig with its certificates inside, as JSON (which is YAML). */
export function kubeconfig(server: string, authority: CertificateFiles, client: CertificateFiles): string {
  const data = (path: string) => readFileSync(path).toString('base64');
  const user = { 'client-certificate-data': data(client.certificate), 'client-key-data': data(client.key) };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'local', cluster: { server, 'certificate-authority-data': data(authority.certificate) } },
    ],
    users: [{ name: 'local', user }],
    contexts: [{ name: 'local', context: { cluster: 'local', user: 'local' } }],
    'current-context': 'local',
  });
}

function layoutOf(dataDir: string) {
  return { run: join(dataDir, 'run'), pki: join(dataDir, 'pki'), etcd: join(dataDir, 'etcd') };
}

async function ensureFiles(pki: string, advertiseAddress: string | undefined): Promise<ControlPlaneFiles> {
  const authority = await ensureAuthority(pki);
  const service = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const addresses = [LOOPBACK, API_SERVICE_IP, ...(advertiseAddress === undefined ? [] : [advertiseAddress])];
  const hosts = ['localhost', ...service, 'kubernetes.default.svc.cluster.local', ...addresses];
  const [server, etcd, kubeletClient, frontProxy] = await Promise.all([
    ensureCertificate(pki, authority, { name: 'apiserver', commonName: 'kube-apiserver', hosts }),
    ensureCertificate(pki, authority, { name: 'etcd', commonName: 'etcd', hosts: ['localhost', LOOPBACK] }),
    ensureCertificate(pki, authority, {
      name: 'apiserver-kubelet-client',
      commonName: 'kube-apiserver-kubelet-client',
      organization: 'system:masters',
    }),
    ensureCertificate(pki, authority, { name: 'front-proxy-client', commonName: 'front-proxy-client' }),
  ]);
  return { authority, server, etcd, kubeletClient, frontProxy, serviceAccount: ensureServiceAccountKey(pki) };
}

function start(plan: Plan, name: ControlPlaneProgram, args: readonly string[]): Promise<DaemonRecord> {
  const { binaries, outlivesCaller = false, recordDir = plan.paths.run, extraArguments } = plan.options;
  const all = [...args, ...(extraArguments?.[name] ?? [])];
  const spec = { name, command: join(binaries, name), args: all, outlivesCaller };
  return startDaemon(recordDir, spec, plan.paths.run);
}

async function waitForReady(
  apiServerUrl: string,
  pki: string,
  authority: CertificateFiles,
  processes: readonly DaemonRecord[],
  timeoutMs: number,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  const client = { certificate: join(pki, 'admin.crt'), key: join(pki, 'admin.key') };
  while (!(await isReady(`${apiServerUrl}/readyz`, authority, client))) {
    const ended = processes.find((record) => !isRunning(record));
    if (ended)
      throw new Error(`${ended.name} ended while starting; ${ended.logFile} says:\n${logTail(ended)}`);
    if (Date.now() > deadline) {
      const logs = processes.map((record) => record.logFile).join(', ');
      throw new Error(`the API server at ${apiServerUrl} is not ready after ${timeoutMs} ms; see ${logs}`);
    }
    await sleep(100);
  }
}

/** Whether the given health endpoint answers 200; anything else, no answer included, is false. */
export function isReady(
  url: string,
  authority: CertificateFiles,
  client: CertificateFiles,
): Promise<boolean> {
  return new Promise((resolve) => {
    const options = {
      ca: readFileSync(authority.certificate),
      cert: readFileSync(client.certificate),
      key: readFileSync(client.key),
      timeout: 2_000,
      agent: false as const,
    };
    const call = request(url, options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end();
  });
}

async function controlPlanePorts(): Promise<ControlPlanePorts> {
  const [etcdClient = 0, etcdPeer = 0, apiServer = 0, controllerManager = 0, scheduler = 0] =
    await freePorts(5);
  return { etcdClient, etcdPeer, apiServer, controllerManager, scheduler };
}
