/**
 * Container images of this checkout: with Docker where its daemon answers, else with buildah on base images that are
 * made from Debian's packages and npm's, so that no image registry is needed.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { baseImages, CA_BUNDLE, GLOBAL_NPMRC, makeBaseImages } from './base-images.ts';
import type { Cluster } from './cluster.ts';
import { digest, type ImageStore, imageStore, inTemporaryFolder, withBuilds } from './image-store.ts';
import { dockerAnswers, loadIntoKind } from './kind-cluster.ts';
import { importImage, stateDir } from './local-cluster.ts';
import { REPOSITORY } from './paths.ts';
import { run } from './process.ts';
import type { Report } from './steps.ts';

export interface ImageBuild {
  /** Relative to the repository, which is the build context unless `context` says otherwise. */
  readonly dockerfile: string;
  readonly tag: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly context?: string;
}

/** Whether Docker builds the images; buildah does where it does not. */
export const dockerAnswersBuilds = dockerAnswers;

/** Makes what the Dockerfiles start from; with Docker, a registry has it. Returns what to print about it. */
export async function ensureBaseImages(report: Report, logFile: string): Promise<string> {
  if (await dockerAnswers()) return 'Docker pulls those that the Dockerfiles name';
  const { build, runtime } = await makeBaseImages(report, logFile);
  return `${runtime}, ${build}`;
}

/** Builds one image and returns what to print about it: its reference and size. */
export async function buildImage(build: ImageBuild, report: Report, logFile: string): Promise<string> {
  report(`building ${build.tag}`);
  if (await dockerAnswers()) {
    await run('docker', ['build', ...buildFlags(build), build.context ?? '.'], { cwd: REPOSITORY, logFile });
    const size = await run('docker', ['image', 'inspect', '--format', '{{.Size}}', build.tag]);
    return `${build.tag}, ${megabytes(Number(size))}`;
  }
  const store = await imageStore();
  await withBuilds(store, report, () => buildWithBuildah(store, build, logFile));
  return `${build.tag}, ${megabytes(await store.size(build.tag))}`;
}

/** Hands built images to the cluster's nodes; those that they have already are skipped. */
export async function loadImages(
  cluster: Cluster,
  tags: readonly string[],
  report: Report,
  logFile: string,
): Promise<string> {
  for (const tag of tags) {
    if (cluster.provider === 'context') {
      throw new Error(
        `${tag}: the nodes of your cluster are not reached from here; push the image to a registry that they pull from`,
      );
    }
    report(`loading ${tag}`);
    if (cluster.provider === 'kind') await loadIntoKind(cluster.binaries, tag);
    else await loadLocally(cluster, tag, logFile);
  }
  return tags.join(', ');
}

/** The flags that Docker and buildah share. */
export function buildFlags(build: ImageBuild): string[] {
  const args = Object.entries(build.buildArgs ?? {}).flatMap(([name, value]) => [
    '--build-arg',
    `${name}=${value}`,
  ]);
  return ['--file', build.dockerfile, '--tag', build.tag, ...args];
}

/** What a build sees of the host, read-only and on paths that the bases have, so that nothing of it stays. */
export function hostMounts(npmrc: string, caBundle: boolean): string[] {
  const mounts = [`${npmrc}:${GLOBAL_NPMRC}:ro`, ...(caBundle ? [`${CA_BUNDLE}:${CA_BUNDLE}:ro`] : [])];
  return mounts.flatMap((mount) => ['--volume', mount]);
}

/** The npm settings of the host that hold inside an image: registry, proxies and tokens, but no paths. */
export function portableNpmConfig(files: readonly string[], registry: string): string {
  const paths = /^\s*(cache|cafile|prefix|userconfig|globalconfig|nodedir|tmp)\s*=/;
  const lines = files
    .flatMap((file) => file.split('\n'))
    .filter((line) => line.trim() !== '' && !paths.test(line));
  return `${[...lines, `registry=${registry}`, `cafile=${CA_BUNDLE}`].join('\n')}\n`;
}

async function buildWithBuildah(store: ImageStore, build: ImageBuild, logFile: string): Promise<void> {
  const bases = baseImages();
  const buildArgs = {
    BUILD_IMAGE: bases.build,
    RUNTIME_IMAGE: bases.runtime,
    ...caArgument(),
    ...build.buildArgs,
  };
  const options = ['--isolation=chroot', '--layers', '--format=docker', '--pull-never'];
  await inTemporaryFolder(async (folder) => {
    const npmrc = join(folder, 'npmrc');
    writeFileSync(npmrc, await hostNpmConfig(), { mode: 0o600 });
    const flags = [...hostMounts(npmrc, existsSync(CA_BUNDLE)), ...buildFlags({ ...build, buildArgs })];
    await store.buildah(['bud', ...options, ...flags, build.context ?? '.'], { cwd: REPOSITORY, logFile });
  });
}

async function loadLocally(cluster: Cluster, tag: string, logFile: string): Promise<void> {
  const docker = await dockerAnswers();
  const store = await imageStore();
  const id = docker
    ? await run('docker', ['image', 'inspect', '--format', '{{.Id}}', tag])
    : await store.id(tag);
  const loaded = join(stateDir(), `loaded-${digest(tag)}`);
  if (existsSync(loaded) && readFileSync(loaded, 'utf8') === id) return;
  await inTemporaryFolder(async (folder) => {
    const archive = join(folder, 'image.tar');
    // Layers of this archive format are not compressed, which saves both sides the time.
    if (docker) await run('docker', ['save', '--output', archive, tag], { logFile });
    else await store.buildah(['push', tag, `docker-archive:${archive}:${tag}`], { logFile });
    await importImage(cluster.binaries, archive);
  });
  writeFileSync(loaded, id);
}

async function hostNpmConfig(): Promise<string> {
  const setting = async (name: string) => (await run('npm', ['config', 'get', name], { cwd: '/' })).trim();
  const files = [await setting('globalconfig'), await setting('userconfig')].filter(existsSync);
  const texts = files.map((file) => readFileSync(file, 'utf8'));
  return portableNpmConfig(texts, await setting('registry'));
}

function caArgument(): Record<string, string> {
  return existsSync(CA_BUNDLE) ? { NODE_EXTRA_CA_CERTS: CA_BUNDLE } : {};
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
