/** Puts the operator of this checkout on the cluster: both images built and loaded, the chart installed. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { CLUSTER_STEP, type Cluster, currentCluster } from './cluster.ts';
import { ensureHostPackages, IMAGE_NEEDS } from './host-packages.ts';
import { buildImage, dockerAnswersBuilds, ensureBaseImages, loadImages } from './images.ts';
import { withLock } from './lock.ts';
import {
  ensureMarkedNamespace,
  findNamespace,
  findRelease,
  isOurs,
  MARK_LABEL,
  recovery,
  refusal,
  removeMarkedNamespace,
} from './ownership.ts';
import { cacheDir, REPOSITORY } from './paths.ts';
import { run } from './process.ts';
import type { Report, Step } from './steps.ts';

export const RELEASE = 'deepfake-operator';
export const OPERATOR_NAMESPACE = 'deepfake-operator';

/** References of the two images built from this checkout. */
export interface Images {
  readonly operator: string;
  readonly inference: string;
}

export const CHART = join(REPOSITORY, 'charts/deepfake-operator');
const CRDS = join(REPOSITORY, 'crds');
const REGISTRY = 'deepfake-operator.io';
const COMMON_FILES = ['package.json', 'package-lock.json', '.npmrc', '.dockerignore', 'LICENSE', 'NOTICE'];
const PROGRAMS = {
  operator: ['Dockerfile.operator', 'operator'],
  inference: ['Dockerfile.inference', 'inference', 'models'],
} as const;

/** Both images are tagged with a digest of what goes into them, so that a change is a new image to the cluster. */
export async function imagesOfCheckout(): Promise<Images> {
  const reference = async (program: keyof typeof PROGRAMS) =>
    `${REGISTRY}/${program}:dev-${await contentDigest([...COMMON_FILES, ...PROGRAMS[program]])}`;
  return { operator: await reference('operator'), inference: await reference('inference') };
}

const LOAD_STEP = 'load images';
export const OPERATOR_STEP = 'operator';

/** Builds, loads and installs, after the steps of `clusterSteps`. A cluster of the user's pulls `images` itself. */
export function deploySteps(
  images: Images,
  options: { readonly pullImages: boolean; readonly after?: string },
): Step[] {
  const install: Step = {
    name: OPERATOR_STEP,
    after: [options.after ?? CLUSTER_STEP],
    remedy: `kubectl -n ${OPERATOR_NAMESPACE} describe pods; kubectl -n ${OPERATOR_NAMESPACE} logs deployment/${RELEASE}`,
    run: ({ report, logFile }) => installOperator(currentCluster(), images, report, logFile),
  };
  if (options.pullImages) return [install];
  const bases: Step = {
    name: 'base images',
    remedy: 'check that this machine reaches its Debian mirror and the npm registry, then run this again',
    run: async ({ report, logFile }) => {
      if (!(await dockerAnswersBuilds())) await ensureHostPackages(IMAGE_NEEDS, report, logFile);
      return ensureBaseImages(report, logFile);
    },
  };
  const build = (program: keyof Images, after: string): Step => ({
    name: `${program} image`,
    after: [after],
    remedy: `see the log for the failing line of Dockerfile.${program}`,
    run: async ({ report, logFile }) =>
      buildImage({ dockerfile: `Dockerfile.${program}`, tag: images[program] }, report, logFile),
  });
  // One after the other: both are bound by the same cores and network.
  const operator = build('operator', bases.name);
  const inference = build('inference', operator.name);
  const load: Step = {
    name: LOAD_STEP,
    after: [inference.name, CLUSTER_STEP],
    remedy: 'hack/cluster status; then run this again',
    run: ({ report, logFile }) => loadImages(currentCluster(), Object.values(images), report, logFile),
  };
  return [bases, operator, inference, load, { ...install, after: [LOAD_STEP] }];
}

/** Runs helm on a cluster and returns what it printed. @throws CommandError */
export const helm = (
  { binaries, kubeconfig }: Cluster,
  args: readonly string[],
  options: { readonly logFile?: string } = {},
): Promise<string> => run(join(binaries, 'helm'), ['--kubeconfig', kubeconfig, ...args], options);

/** Waits until every replica of the operator is of its latest revision and ready. @throws CommandError after three minutes */
export async function operatorRolledOut({ kubectl }: Cluster): Promise<void> {
  const deployment = `deployment/${RELEASE}`;
  await kubectl(['-n', OPERATOR_NAMESPACE, 'rollout', 'status', deployment, '--timeout=180s']);
}

async function installOperator(
  cluster: Cluster,
  images: Images,
  report: Report,
  logFile: string,
): Promise<string> {
  await ensureMarkedNamespace(cluster, OPERATOR_NAMESPACE);
  report('helm upgrade --install');
  const values = (prefix: string, reference: string) => {
    const colon = reference.lastIndexOf(':');
    return [
      `--set=${prefix}.repository=${reference.slice(0, colon)}`,
      `--set=${prefix}.tag=${reference.slice(colon + 1)}`,
    ];
  };
  const args = [
    'upgrade',
    '--install',
    RELEASE,
    CHART,
    `--namespace=${OPERATOR_NAMESPACE}`,
    `--labels=${MARK_LABEL}`,
    ...values('image', images.operator),
    ...values('inferenceImage', images.inference),
  ];
  // Under the lock a pending release is nobody's work in progress.
  await withLock(cacheDir('helm.lock'), report, async () => {
    const status = (await findRelease(cluster, RELEASE, OPERATOR_NAMESPACE))?.status;
    const mend = recovery(status);
    if (mend) {
      report(`the release is ${status}: helm ${mend}`);
      await helm(cluster, [mend, RELEASE, `--namespace=${OPERATOR_NAMESPACE}`], { logFile });
    }
    await helm(cluster, args, { logFile });
  });
  await operatorRolledOut(cluster);
  return `release ${RELEASE} in namespace ${OPERATOR_NAMESPACE}`;
}

/** @throws where installing would take over an operator, its definitions or a namespace that the demo did not make */
export async function checkNothingIsTakenOver(cluster: Cluster, demoNamespace: string): Promise<void> {
  const found = await cluster.kubectl(['get', '-f', CRDS, '--ignore-not-found', '-o', 'name']);
  const why = refusal({
    release: await findRelease(cluster, RELEASE, OPERATOR_NAMESPACE),
    definitions: found.split('\n').filter((line) => line !== ''),
    namespace: await findNamespace(cluster, demoNamespace),
  });
  if (why !== undefined) throw new Error(why);
}

/**
 * Removes the demo's release, its namespace and the definitions; a release of somebody else stays.
 * @throws where resources of both kinds are left, which would go with the definitions
 */
export async function uninstallOperator(cluster: Cluster, report: Report): Promise<void> {
  if (!isOurs(await findRelease(cluster, RELEASE, OPERATOR_NAMESPACE))) {
    report("no release of the demo's is there; nothing else is touched");
    return removeMarkedNamespace(cluster, OPERATOR_NAMESPACE);
  }
  if ((await cluster.kubectl(['get', '-f', CRDS, '--ignore-not-found', '-o', 'name'])).trim() !== '') {
    const left = await cluster.kubectl(['get', 'deepfakemodels,modeldeployments', '-A', '-o', 'name']);
    if (left.trim() !== '')
      throw new Error(
        `resources that the demo did not make need the operator and its definitions: delete them first (kubectl get dfm,mdep -A)\n${left.trim()}`,
      );
  }
  report('removing the release and its definitions');
  // The operator has to be there while they go: it is the one that releases their finalizers.
  await cluster.kubectl(['delete', '-f', CRDS, '--ignore-not-found', '--timeout=120s']);
  await helm(cluster, ['uninstall', RELEASE, `--namespace=${OPERATOR_NAMESPACE}`, '--ignore-not-found']);
  await removeMarkedNamespace(cluster, OPERATOR_NAMESPACE);
}

async function contentDigest(paths: readonly string[]): Promise<string> {
  const files = (await Promise.all(paths.map(filesOf))).flat().sort();
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(
      `${file}\0${createHash('sha256')
        .update(readFileSync(join(REPOSITORY, file)))
        .digest('hex')}\n`,
    );
  }
  return hash.digest('hex').slice(0, 12);
}

async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(join(REPOSITORY, path), { withFileTypes: true, recursive: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTDIR') return undefined;
      throw error;
    },
  );
  if (entries === undefined) return [path];
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(REPOSITORY, join(entry.parentPath, entry.name)))
    .filter((file) => !file.endsWith('.test.ts') && !/^models\/(faces|import|training)\//.test(file));
}
