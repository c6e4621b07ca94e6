/** Where the official releases of the cluster's programs lie, and how one is downloaded and checked. */
import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { run } from './process.ts';

/** One file to download, with the file that publishes its SHA-256. */
export interface Release {
  readonly url: string;
  readonly checksumUrl: string;
  /** Programs inside a tar archive, by name; none where the file is the program itself. */
  readonly members?: Readonly<Record<string, string>>;
}

export interface Versions {
  readonly kubernetes: string;
  readonly etcd: string;
  readonly containerd: string;
  readonly coredns: string;
  readonly helm: string;
  readonly kind: string;
  readonly metricsServer: string;
}

/** A release host that does not answer: none of its other files is worth a try. */
export class HostNotReached extends Error {
  override readonly name = 'HostNotReached';
  readonly host: string;
  constructor(url: string, cause: unknown) {
    const { host } = new URL(url);
    super(`${host} is not reached (${cause instanceof Error ? cause.message : cause})`, { cause });
    this.host = host;
  }
}

/** The published file differs from its published checksum: it is not used. */
export class ChecksumMismatch extends Error {
  override readonly name = 'ChecksumMismatch';
  constructor(url: string, expected: string, actual: string) {
    super(`refused ${url}: its SHA-256 is ${actual}, published is ${expected}`);
  }
}

const CONTAINERD_PROGRAMS = ['containerd', 'containerd-shim-runc-v2', 'ctr'];

/** The release that holds a program, or undefined where none is published. `arch` is amd64 or arm64. */
export function releaseOf(program: string, versions: Versions, arch: string): Release | undefined {
  const github = 'https://github.com';
  const bare = (version: string) => version.replace(/^v/, '');
  if (/^kube/.test(program)) {
    const url = `https://dl.k8s.io/${versions.kubernetes}/bin/linux/${arch}/${program}`;
    return { url, checksumUrl: `${url}.sha256` };
  }
  if (program === 'etcd') {
    const folder = `${github}/etcd-io/etcd/releases/download/${versions.etcd}`;
    const stem = `etcd-${versions.etcd}-linux-${arch}`;
    return {
      url: `${folder}/${stem}.tar.gz`,
      checksumUrl: `${folder}/SHA256SUMS`,
      members: { etcd: `${stem}/etcd` },
    };
  }
  if (CONTAINERD_PROGRAMS.includes(program)) {
    const stem = `containerd-static-${bare(versions.containerd)}-linux-${arch}.tar.gz`;
    const url = `${github}/containerd/containerd/releases/download/${versions.containerd}/${stem}`;
    return {
      url,
      checksumUrl: `${url}.sha256sum`,
      members: Object.fromEntries(CONTAINERD_PROGRAMS.map((name) => [name, `bin/${name}`])),
    };
  }
  if (program === 'coredns') {
    const stem = `coredns_${bare(versions.coredns)}_linux_${arch}.tgz`;
    const url = `${github}/coredns/coredns/releases/download/${versions.coredns}/${stem}`;
    return { url, checksumUrl: `${url}.sha256`, members: { coredns: 'coredns' } };
  }
  if (program === 'helm') {
    const url = `https://get.helm.sh/helm-${versions.helm}-linux-${arch}.tar.gz`;
    return { url, checksumUrl: `${url}.sha256sum`, members: { helm: `linux-${arch}/helm` } };
  }
  if (program === 'kind') {
    const url = `${github}/kubernetes-sigs/kind/releases/download/${versions.kind}/kind-linux-${arch}`;
    return { url, checksumUrl: `${url}.sha256sum` };
  }
  return undefined;
}

/** `https://HOST/PATH` as the mirror has it: `MIRROR/HOST/PATH`. */
export function mirrored(url: string, mirror: string | undefined): string {
  return mirror === undefined ? url : url.replace(/^https:\/\//, `${mirror.replace(/\/$/, '')}/`);
}

/** The digest of `file` in a checksum file: a bare digest, or lines of `DIGEST  NAME`. */
export function publishedDigest(text: string, file: string): string | undefined {
  const lines = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+\*?/));
  const bare = lines.length === 1 && lines[0]?.length === 1 ? lines[0][0] : undefined;
  const digest = bare ?? lines.find(([, name]) => name !== undefined && basename(name) === file)?.[0];
  return digest !== undefined && /^[0-9a-f]{64}$/i.test(digest) ? digest.toLowerCase() : undefined;
}

export interface DownloadOptions {
  readonly mirror?: string | undefined;
  /** How long the checksum file, asked for first, may take: a host that is not reached is given up quickly, ms. */
  readonly probeMs?: number;
}

/**
 * Puts the programs `names` of one release into `directory`, each complete or not at all.
 * @throws ChecksumMismatch, HostNotReached, or an Error where the host does not have it
 */
export async function download(
  names: readonly string[],
  release: Release,
  directory: string,
  options: DownloadOptions = {},
): Promise<void> {
  const file = basename(release.url);
  const checksums = await get(mirrored(release.checksumUrl, options.mirror), options.probeMs ?? 15_000);
  const expected = publishedDigest(await checksums.text(), file);
  if (expected === undefined) throw new Error(`${release.checksumUrl} names no SHA-256 of ${file}`);

  mkdirSync(directory, { recursive: true });
  const temporary = mkdtempSync(join(directory, '.download-'));
  try {
    const path = join(temporary, file);
    const actual = await save(mirrored(release.url, options.mirror), path);
    if (actual !== expected) throw new ChecksumMismatch(release.url, expected, actual);
    const members = names.map((name) => [name, release.members?.[name]] as const);
    const packed = members.flatMap(([, member]) => (member === undefined ? [] : [member]));
    if (packed.length > 0) await run('tar', ['-xzf', path, '-C', temporary, ...packed]);
    for (const [name, member] of members) {
      const program = member === undefined ? path : join(temporary, member);
      await chmod(program, 0o755);
      renameSync(program, join(directory, name));
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function save(url: string, path: string): Promise<string> {
  const response = await get(url, 15 * 60_000);
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  if (response.body === null) throw new Error(`${url} answered without a body`);
  await pipeline(Readable.fromWeb(response.body), hashing, createWriteStream(path));
  return hash.digest('hex');
}

async function get(url: string, timeoutMs: number): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new HostNotReached(url, cause);
  }
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response;
}
