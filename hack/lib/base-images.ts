/**
 * The images that the Dockerfiles start from where no registry is used: Debian from its own packages, and on top of
 * it Node.js and npm from npm's.
 */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digest, type ImageStore, imageStore, inTemporaryFolder, withBuilds } from './image-store.ts';
import { REPOSITORY } from './paths.ts';
import { run } from './process.ts';
import type { Report } from './steps.ts';

const NPM_VERSION = '11.21.2';
const DEBIAN = 'bookworm';
/** Files of the host that builds see at these paths; the bases have them empty, so that mounting leaves no trace. */
export const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
/** npm's global configuration in an image whose node is /usr/local/bin/node. */
export const GLOBAL_NPMRC = '/usr/local/etc/npmrc';

/** Images that a Dockerfile's BUILD_IMAGE (node and npm) and RUNTIME_IMAGE (Debian with apt) can name. */
export interface BaseImages {
  readonly build: string;
  readonly runtime: string;
}

/** References of the base images of this checkout's versions; they may not exist yet. */
export function baseImages(): BaseImages {
  const node = readFileSync(join(REPOSITORY, 'node_modules/node/package.json'), 'utf8');
  const recipe = readFileSync(import.meta.filename, 'utf8');
  const key = digest(`${node}\0${recipe}`);
  return { build: `localhost/base/node:${key}`, runtime: `localhost/base/debian:${key}` };
}

/** Makes the base images, once per version, and returns their references. */
export async function makeBaseImages(report: Report, logFile: string): Promise<BaseImages> {
  const bases = baseImages();
  const store = await imageStore();
  return withBuilds(store, report, async () => {
    if (!(await store.has(bases.runtime))) {
      report(`installing Debian ${DEBIAN} into an image`);
      await makeRuntimeBase(store, bases.runtime, logFile);
    }
    if (!(await store.has(bases.build))) {
      report('adding Node.js and npm for the build stages');
      await makeBuildBase(store, bases, logFile);
    }
    return bases;
  });
}

/**
 * Debian's own repositories among those that apt lists as `URI RELEASE COMPONENT ORIGIN`, as sources.list lines. Empty
 * where the host is of another release: mmdebstrap knows Debian's mirrors itself.
 */
export function debianSources(targets: string): readonly string[] {
  const ours = targets
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, release = '', component, origin]) => {
      return origin === 'Debian' && component === 'main' && release.startsWith(DEBIAN);
    })
    .map(([uri, release]) => `deb ${uri} ${release} main`);
  return ours.some((line) => line.endsWith(` ${DEBIAN} main`)) ? ours : [];
}

async function makeRuntimeBase(store: ImageStore, tag: string, logFile: string): Promise<void> {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)';
  const targets = await run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']).catch(
    () => '',
  );
  await inTemporaryFolder(async (folder) => {
    const options = [
      '--variant=apt',
      '--include=libatomic1,libstdc++6',
      ...['man', 'locale', 'doc'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      '--dpkgopt=path-include=/usr/share/doc/*/copyright',
      // Mount points of a build's settings: files that are there already are left as they are.
      `--customize-hook=mkdir -p "$1/etc/ssl/certs" "$1/usr/local/etc"; : >"$1${CA_BUNDLE}"; : >"$1${GLOBAL_NPMRC}"`,
    ];
    await run('mmdebstrap', [...options, DEBIAN, join(folder, 'base.tar'), ...debianSources(targets)], {
      logFile,
    });
    const recipe =
      'FROM scratch\nADD base.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n';
    writeFileSync(join(folder, 'Dockerfile'), `${recipe}CMD ["bash"]\n`);
    await store.buildah(['bud', '--format=docker', '--tag', tag, folder], { logFile });
  });
}

async function makeBuildBase(store: ImageStore, bases: BaseImages, logFile: string): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    copyFileSync(join(REPOSITORY, 'node_modules/node/bin/node'), join(folder, 'node'));
    const install = ['install', '--global', '--prefix', folder, '--ignore-scripts', `npm@${NPM_VERSION}`];
    await run('npm', install, { logFile, cwd: folder });
    const link = (name: string) => `ln -s ../lib/node_modules/npm/bin/${name}-cli.js /usr/local/bin/${name}`;
    const recipe = [
      `FROM ${bases.runtime}`,
      'COPY node /usr/local/bin/node',
      'COPY lib/node_modules/npm /usr/local/lib/node_modules/npm',
      `RUN ${link('npm')} && ${link('npx')}`,
    ];
    writeFileSync(join(folder, 'Dockerfile'), `${recipe.join('\n')}\n`);
    await store.buildah(
      ['bud', '--isolation=chroot', '--format=docker', '--pull-never', '--tag', bases.build, folder],
      { logFile },
    );
  });
}
