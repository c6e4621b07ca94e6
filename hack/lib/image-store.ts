/** buildah's images, in a store of our own in the cache, away from images that the user may have. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { cacheDir } from './paths.ts';
import { run } from './process.ts';
import type { Report } from './steps.ts';

const OVERLAYFS_MAGIC = 0x794c7630;

export interface ImageStore {
  buildah(
    args: readonly string[],
    options?: { cwd?: string; logFile?: string; input?: string },
  ): Promise<string>;
  has(reference: string): Promise<boolean>;
  /** Digest of the image's configuration. */
  id(reference: string): Promise<string>;
  /** Bytes of all layers, unpacked. */
  size(reference: string): Promise<number>;
}

export async function imageStore(): Promise<ImageStore> {
  const root = cacheDir('images');
  mkdirSync(root, { recursive: true });
  const driver = statfsSync(root).type === OVERLAYFS_MAGIC ? 'vfs' : 'overlay';
  const runRoot = `/run/deepfake-operator-images-${digest(root)}`;
  const global = ['--root', root, '--runroot', runRoot, '--storage-driver', driver];
  const buildah: ImageStore['buildah'] = (args, options) => run('buildah', [...global, ...args], options);
  const inspect = async (reference: string) => {
    const images = JSON.parse(await buildah(['images', '--json', reference])) as {
      id: string;
      size: string;
    }[];
    const [image] = images;
    if (!image) throw new Error(`no image ${reference} in ${root}`);
    return image;
  };
  return {
    buildah,
    has: async (reference) =>
      inspect(reference).then(
        () => true,
        () => false,
      ),
    id: async (reference) => (await inspect(reference)).id,
    size: async (reference) => parseSize((await inspect(reference)).size),
  };
}

/** Does `work` alone with the store's containers, after removing those of builds that failed or were killed. */
export function withBuilds<T>(store: ImageStore, report: Report, work: () => Promise<T>): Promise<T> {
  return withLock(cacheDir('image-build.lock'), report, async () => {
    await store.buildah(['rm', '--all']);
    return work();
  });
}

/** `412 MB` as buildah prints it, in bytes. */
export function parseSize(text: string): number {
  const [amount, unit = ''] = text.trim().split(/\s+/);
  const power = ['B', 'KB', 'MB', 'GB'].indexOf(unit.toUpperCase());
  return Number(amount) * 1000 ** Math.max(power, 0);
}

/** A folder for the duration of `work`. */
export async function inTemporaryFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'image-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Twelve hexadecimal digits of a SHA-256. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
