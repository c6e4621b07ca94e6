/**
 * The cluster that the demo and the tests run on, behind one face: a context that the user names, kind where Docker
 * answers, else a real one-node cluster on this machine.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readJson, writeJson } from './files.ts';
import { CLUSTER_NEEDS, ensureHostPackages } from './host-packages.ts';
import { dockerAnswers, removeKindCluster, startKindCluster } from './kind-cluster.ts';
import {
  checkMachine,
  localClusterPrograms,
  removeLocalCluster,
  startLocalCluster,
} from './local-cluster.ts';
import { withLock } from './lock.ts';
import { cacheDir } from './paths.ts';
import { isRunning, run } from './process.ts';
import type { Report, Step } from './steps.ts';
import { type Binary, binariesDir, CLUSTER_BINARIES, ensureBinaries } from './toolchain.ts';

export type Provider = 'context' | 'kind' | 'local';

/** Runs kubectl against one cluster and returns its standard output. */
export type Kubectl = (args: readonly string[], input?: string) => Promise<string>;

export interface Cluster {
  readonly provider: Provider;
  /** Its only context is the administrator's on this cluster. */
  readonly kubeconfig: string;
  /** Folder of kubectl and helm. */
  readonly binaries: string;
  readonly kubectl: Kubectl;
}

/** What is up or was begun, as recorded by the latest `up`. */
export interface ProviderRecord {
  readonly provider: Provider;
  /** Name of the user's context. */
  readonly context?: string;
  /** Absent as long as the cluster has not come up. */
  readonly kubeconfig?: string;
}

/**
 * What is recorded, else what `--context` asks for, else what this machine can do.
 * @throws where `--context` asks for another cluster than the recorded one, which would be forgotten while it runs
 */
export function chooseProvider(
  context: string | undefined,
  recorded: ProviderRecord | undefined,
  docker: boolean,
): Provider {
  if (context !== undefined && recorded !== undefined && recorded.context !== context) {
    const what =
      recorded.provider === 'context' ? `context ${recorded.context}` : `the ${recorded.provider} cluster`;
    throw new Error(
      `${what} is in use: run hack/cluster down first (hack/demo --down where the demo runs on it)`,
    );
  }
  if (recorded !== undefined) return recorded.provider;
  if (context !== undefined) return 'context';
  return docker ? 'kind' : 'local';
}

const PROGRAMS: Readonly<Record<Provider, readonly Binary[]>> = {
  context: ['kubectl', 'helm'],
  kind: ['kind', 'kubectl', 'helm'],
  local: CLUSTER_BINARIES,
};

const INCOMPLETE = 'the cluster did not come up completely';

/** Names of the steps that `clusterSteps` makes, for steps that come after them. */
export const PROGRAMS_STEP = 'cluster programs';
export const CLUSTER_STEP = 'cluster';

/** The steps after which `currentCluster` has the cluster. All are repeatable. @throws where none can be had here */
export async function clusterSteps(options: { readonly context?: string | undefined }): Promise<Step[]> {
  const provider = chooseProvider(options.context, readRecord(), await dockerAnswers());
  if (provider === 'local') checkMachine();
  if (options.context !== undefined) await checkContext(options.context);
  const packages: Step = {
    name: 'host packages',
    remedy: 'check that this machine reaches its Debian mirror (apt-get update), then run this again',
    run: async ({ report, logFile }) => {
      await ensureHostPackages(CLUSTER_NEEDS, report, logFile);
      return Object.values(CLUSTER_NEEDS).join(', ');
    },
  };
  const programs: Step = {
    name: PROGRAMS_STEP,
    remedy:
      'check that this machine reaches the release hosts or the Go module proxy and has 8 GB of free disk',
    run: async ({ report, signal }) => ensureBinaries(PROGRAMS[provider], report, { signal }),
  };
  const cluster: Step = {
    name: CLUSTER_STEP,
    after: [PROGRAMS_STEP],
    remedy: 'hack/cluster down, then run this again; hack/cluster status names the programs and their logs',
    run: async ({ report }) => {
      const kubeconfig = await withLock(lockFile(), report, async () => {
        // Recorded before it starts, so that `down` also finds one that did not come up.
        if (provider !== 'context') record({ ...readRecord(), provider });
        const path = await start(provider, options.context, report);
        const context = options.context === undefined ? {} : { context: options.context };
        record({ ...readRecord(), provider, kubeconfig: path, ...context });
        return path;
      });
      return `${provider === 'local' ? 'one node on this machine' : (options.context ?? provider)}, ${kubeconfig}`;
    },
  };
  return provider === 'local'
    ? [packages, programs, { ...cluster, after: [PROGRAMS_STEP, packages.name] }]
    : [programs, cluster];
}

/** The cluster that is up. @throws when none is */
export function currentCluster(): Cluster {
  const { provider, kubeconfig } = readRecord() ?? {};
  if (provider === undefined || kubeconfig === undefined)
    throw new Error(`${provider ? INCOMPLETE : 'no cluster is up'}: run hack/cluster up`);
  const binaries = binariesDir();
  const kubectl: Kubectl = (args, input) =>
    run(
      join(binaries, 'kubectl'),
      ['--kubeconfig', kubeconfig, ...args],
      input === undefined ? {} : { input },
    );
  return { provider, kubeconfig, binaries, kubectl };
}

/** Removes the cluster that is up, or what is left of one. A cluster of the user's is only forgotten. */
export function clusterDown(report: Report): Promise<string> {
  return withLock(lockFile(), report, () => removeCluster(report));
}

async function removeCluster(report: Report): Promise<string> {
  const provider = readRecord()?.provider;
  if (provider === 'kind') await removeKindCluster(binariesDir());
  // Also without a record: a start that was interrupted leaves programs behind.
  else if (provider !== 'context') await removeLocalCluster(report);
  rmSync(kubeconfigFolder(), { recursive: true, force: true });
  rmSync(recordFile(), { force: true });
  return provider === 'context' ? 'the cluster of your context is left as it is' : 'removed';
}

/** Whether anything of a cluster is there, complete or not. */
export async function clusterIsThere(): Promise<boolean> {
  return readRecord() !== undefined || (await localClusterPrograms()).length > 0;
}

/** A few lines for a person: what runs, where, which version, ready or not. */
export async function clusterStatus(): Promise<{ readonly text: string; readonly ready: boolean }> {
  const programs = await localClusterPrograms();
  const lines = programs.map((program) => {
    const state = isRunning(program) ? `running, pid ${program.pid}` : 'ENDED';
    return `${program.name.padEnd(24)} ${state.padEnd(20)} ${program.logFile}`;
  });
  const recorded = readRecord();
  if (recorded?.kubeconfig === undefined) {
    lines.push(recorded || programs.length > 0 ? `${INCOMPLETE}: run hack/cluster up` : 'no cluster is up');
    return { text: lines.join('\n'), ready: false };
  }
  const { provider, kubeconfig, kubectl } = currentCluster();
  lines.push(`provider ${provider}, KUBECONFIG ${kubeconfig}`);
  let ready = programs.every(isRunning);
  for (const args of [
    ['version', '--request-timeout=5s'],
    ['get', 'nodes', '-o=wide', '--request-timeout=5s'],
    ['get', 'apiservice', 'v1beta1.metrics.k8s.io', '--request-timeout=5s'],
  ]) {
    const answer = await kubectl(args).catch((error: Error) => {
      ready = false;
      return error.message;
    });
    lines.push(answer.trimEnd());
  }
  return { text: lines.join('\n'), ready };
}

/** Shell code that makes kubectl and helm of a terminal work on the cluster. */
export function clusterEnv({ kubeconfig, binaries }: Pick<Cluster, 'kubeconfig' | 'binaries'>): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  return `export KUBECONFIG=${quote(kubeconfig)}\nexport PATH=${quote(binaries)}:"$PATH"`;
}

async function checkContext(name: string): Promise<void> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromDefault();
  const known = config.getContexts().map((context) => context.name);
  if (!known.includes(name))
    throw new Error(`your kubeconfig has no context ${name}; it has: ${known.join(', ')}`);
}

async function start(provider: Provider, context: string | undefined, report: Report): Promise<string> {
  if (provider === 'local') return startLocalCluster(binariesDir(), report);
  const kubeconfig = join(kubeconfigFolder(), 'kubeconfig');
  mkdirSync(kubeconfigFolder(), { recursive: true });
  if (provider === 'kind') {
    await startKindCluster(binariesDir(), kubeconfig, report);
  } else if (context !== undefined) {
    // A copy with this context alone: nothing we run can reach another cluster of the user's by mistake.
    const kubectl = join(binariesDir(), 'kubectl');
    const config = await run(kubectl, [
      'config',
      'view',
      '--minify',
      '--flatten',
      '--raw',
      '--context',
      context,
    ]);
    writeFileSync(kubeconfig, config, { mode: 0o600 });
    await run(kubectl, ['--kubeconfig', kubeconfig, 'get', 'namespaces', '--request-timeout=15s']);
  }
  return kubeconfig;
}

/** Of kind and of contexts: the local cluster's state is not theirs to remove. */
function kubeconfigFolder(): string {
  return cacheDir('kubeconfig');
}

/** The local cluster is one for all users and caches of the machine. */
function lockFile(): string {
  return process.getuid?.() === 0 ? '/run/deepfake-operator.lock' : cacheDir('cluster.lock');
}

function recordFile(): string {
  return cacheDir('provider.json');
}

function record(entry: ProviderRecord): void {
  mkdirSync(cacheDir(), { recursive: true });
  writeJson(recordFile(), entry);
}

function readRecord(): ProviderRecord | undefined {
  return readJson(recordFile()) as ProviderRecord | undefined;
}
