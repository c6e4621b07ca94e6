/**
 * The programs of a local cluster, at pinned versions, cached per version: downloaded as official releases where
 * their hosts are reached and the published checksum fits, otherwise built from the Go modules in hack/kubernetes.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { goArch, goBuild } from './go-build.ts';
import { withLock } from './lock.ts';
import { cacheDir, REPOSITORY } from './paths.ts';
import { download, HostNotReached, type Release, releaseOf, type Versions } from './releases.ts';
import type { Report } from './steps.ts';

const MODULES = {
  shared: join(REPOSITORY, 'hack/kubernetes'),
  containerd: join(REPOSITORY, 'hack/kubernetes/containerd'),
};
const GO_TAGS = 'no_btrfs,no_devmapper,no_zfs';

interface Source {
  readonly module: keyof typeof MODULES;
  readonly package: string;
}

const SOURCES = {
  'kube-apiserver': kubernetes('kube-apiserver'),
  etcd: shared('go.etcd.io/etcd/server/v3'),
  kubectl: kubernetes('kubectl'),
  'kube-controller-manager': kubernetes('kube-controller-manager'),
  'kube-scheduler': kubernetes('kube-scheduler'),
  kubelet: kubernetes('kubelet'),
  'kube-proxy': kubernetes('kube-proxy'),
  containerd: containerd('containerd'),
  'containerd-shim-runc-v2': containerd('containerd-shim-runc-v2'),
  ctr: containerd('ctr'),
  coredns: shared('./coredns'),
  'metrics-server': shared('sigs.k8s.io/metrics-server/cmd/metrics-server'),
  helm: shared('helm.sh/helm/v4/cmd/helm'),
  kind: shared('sigs.k8s.io/kind'),
  pause: shared('./pause'),
  'volume-provisioner': shared('./volume-provisioner'),
} as const satisfies Record<string, Source>;

export type Binary = keyof typeof SOURCES;

/** What a test needs that talks to a real API server. */
export const CONTROL_PLANE_BINARIES = [
  'kube-apiserver',
  'etcd',
  'kubectl',
] as const satisfies readonly Binary[];
/** What the cluster on this machine consists of, with the clients that a person needs. */
export const CLUSTER_BINARIES = (Object.keys(SOURCES) as Binary[]).filter((name) => name !== 'kind');

export interface EnsureBinariesOptions {
  /** Base URL of a mirror of the release hosts, laid out as MIRROR/HOST/PATH. Default: RELEASE_MIRROR of the environment. */
  readonly mirror?: string | undefined;
  /** Default: the user's cache, in a folder per version. */
  readonly directory?: string;
  /** Ends a build early. */
  readonly signal?: AbortSignal;
  /** Default: `go build`. */
  readonly build?: typeof buildFromSource;
}

/** The folder of the given programs, after making those that are missing. Two processes never make them at once. */
export async function ensureBinaries(
  names: readonly Binary[],
  report: Report,
  options: EnsureBinariesOptions = {},
): Promise<string> {
  const directory = options.directory ?? binariesDir();
  const missing = () => names.filter((name) => !existsSync(join(directory, name)));
  if (missing().length === 0) return directory;
  mkdirSync(directory, { recursive: true });
  await withLock(join(directory, '.lock'), report, async () => {
    for (const rest of readdirSync(directory).filter((name) => /^\.(build|download)-/.test(name))) {
      rmSync(join(directory, rest), { recursive: true, force: true });
    }
    await downloadAll(missing(), directory, report, options.mirror ?? process.env.RELEASE_MIRROR);
    for (const module of ['shared', 'containerd'] as const) {
      const rest = missing().filter((name) => SOURCES[name].module === module);
      if (rest.length > 0) await (options.build ?? buildFromSource)(rest, directory, report, options.signal);
    }
  });
  return directory;
}

/** The cache folder of this checkout's versions; it may not exist yet. */
export function binariesDir(): string {
  return cacheDir('bin', versionKey(sourceFiles(), goArch()));
}

/** `v1.36.3-amd64-0123456789ab`: changes with anything that changes a program. */
export function versionKey(files: readonly string[], arch: string): string {
  const hash = createHash('sha256').update(GO_TAGS);
  for (const file of files) hash.update('\0').update(file);
  const version = requiredVersion(files[0] ?? '', 'k8s.io/kubernetes');
  return `${version}-${arch}-${hash.digest('hex').slice(0, 12)}`;
}

/** The version of a module in the text of a go.mod. */
export function requiredVersion(goMod: string, module: string): string {
  const line = goMod.split('\n').find((text) =>
    text
      .trim()
      .replace(/^require /, '')
      .startsWith(`${module} v`),
  );
  const version = line?.match(/\s(v\S+)/)?.[1];
  if (version === undefined) throw new Error(`go.mod requires no ${module}`);
  return version;
}

export function pinnedVersions(): Versions {
  const [own = '', theirs = ''] = Object.values(MODULES).map((folder) =>
    readFileSync(join(folder, 'go.mod'), 'utf8'),
  );
  return {
    kubernetes: requiredVersion(own, 'k8s.io/kubernetes'),
    etcd: requiredVersion(own, 'go.etcd.io/etcd/server/v3'),
    coredns: requiredVersion(own, 'github.com/coredns/coredns'),
    helm: requiredVersion(own, 'helm.sh/helm/v4'),
    kind: requiredVersion(own, 'sigs.k8s.io/kind'),
    metricsServer: requiredVersion(own, 'sigs.k8s.io/metrics-server'),
    containerd: requiredVersion(theirs, 'github.com/containerd/containerd/v2'),
  };
}

/** The arguments that build `packages` of one module into `output`. */
export function buildArguments(packages: readonly string[], output: string, versions: Versions): string[] {
  const [major = '', minor = ''] = versions.kubernetes.replace(/^v/, '').split('.');
  const stamps = {
    'k8s.io/component-base/version.gitVersion': versions.kubernetes,
    'k8s.io/component-base/version.gitMajor': major,
    'k8s.io/component-base/version.gitMinor': minor,
    'helm.sh/helm/v4/internal/version.version': versions.helm,
    'github.com/containerd/containerd/v2/version.Version': versions.containerd,
  };
  const linker = ['-s', '-w', ...Object.entries(stamps).map(([name, value]) => `-X ${name}=${value}`)];
  return [
    'build',
    '-v',
    '-trimpath',
    '-tags',
    GO_TAGS,
    '-ldflags',
    linker.join(' '),
    '-o',
    `${output}/`,
    ...packages,
  ];
}

async function downloadAll(
  names: readonly Binary[],
  directory: string,
  report: Report,
  mirror: string | undefined,
): Promise<void> {
  const files = [...groupByFile(names)];
  const unreached = new Set<string>();
  await Promise.all(
    files.map(async ({ release, names }) => {
      try {
        await download(names, release, directory, { mirror });
        report(`downloaded ${names.join(', ')} (checksum verified)`);
      } catch (error) {
        if (error instanceof HostNotReached) unreached.add(error.host);
        else report(`${error instanceof Error ? error.message : error}: building instead`);
      }
    }),
  );
  if (unreached.size > 0) report(`not reached from here: ${[...unreached].join(', ')}: building instead`);
}

/** Programs that one archive holds are downloaded once. */
function groupByFile(names: readonly Binary[]): Iterable<{ release: Release; names: Binary[] }> {
  const versions = pinnedVersions();
  const files = new Map<string, { release: Release; names: Binary[] }>();
  for (const name of names) {
    const release = releaseOf(name, versions, goArch());
    const file = release && files.get(release.url);
    if (file) file.names.push(name);
    else if (release) files.set(release.url, { release, names: [name] });
  }
  return files.values();
}

/** Builds programs of one module into `directory`. */
async function buildFromSource(
  names: readonly Binary[],
  directory: string,
  report: Report,
  signal?: AbortSignal,
): Promise<void> {
  const [first] = names;
  if (first === undefined) return;
  await goBuild({
    module: MODULES[SOURCES[first].module],
    programs: new Map(names.map((name) => [name, SOURCES[name].package])),
    directory,
    tags: GO_TAGS,
    arguments: (packages, output) => buildArguments(packages, output, pinnedVersions()),
    report,
    signal,
  });
}

function sourceFiles(): string[] {
  const own = ['coredns', 'pause', 'volume-provisioner'].map((name) => join(MODULES.shared, name, 'main.go'));
  const modules = Object.values(MODULES).flatMap((folder) => [
    join(folder, 'go.mod'),
    join(folder, 'go.sum'),
  ]);
  return [...modules, ...own].map((file) => readFileSync(file, 'utf8'));
}

function kubernetes(name: string): Source {
  return shared(`k8s.io/kubernetes/cmd/${name}`);
}

function containerd(name: string): Source {
  return { module: 'containerd', package: `github.com/containerd/containerd/v2/cmd/${name}` };
}

function shared(path: string): Source {
  return { module: 'shared', package: path };
}
