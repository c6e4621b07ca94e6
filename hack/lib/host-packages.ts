/** Debian packages that the set-up needs, installed only where a program of theirs is missing. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { withLock } from './lock.ts';
import { cacheDir } from './paths.ts';
import { findProgram, run } from './process.ts';
import type { Report } from './steps.ts';

/** A program or file, and the package that brings it. */
export type HostNeeds = Readonly<Record<string, string>>;

export const CLUSTER_NEEDS: HostNeeds = {
  openssl: 'openssl',
  runc: 'runc',
  nft: 'nftables',
  ip: 'iproute2',
  mount: 'mount',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
};
/** What the inference program itself needs outside an image. */
export const SERVE_NEEDS: HostNeeds = { ffmpeg: 'ffmpeg', ffprobe: 'ffmpeg' };
/** What the tests start beside it; openssl makes the certificates of their control planes, promtool checks metrics and alerts. */
export const TEST_NEEDS: HostNeeds = {
  ...SERVE_NEEDS,
  openssl: 'openssl',
  'redis-server': 'redis-server',
  promtool: 'prometheus',
};
export const IMAGE_NEEDS: HostNeeds = { buildah: 'buildah', mmdebstrap: 'mmdebstrap' };

/** Installs what is missing with apt. @throws where that is not possible, saying what a person has to install */
export async function ensureHostPackages(needs: HostNeeds, report: Report, logFile?: string): Promise<void> {
  const missing = () => [
    ...new Set(
      Object.keys(needs)
        .filter((need) => findProgram(need) === undefined)
        .map((need) => needs[need] ?? need),
    ),
  ];
  if (missing().length === 0) return;
  if (findProgram('apt-get') === undefined || process.getuid?.() !== 0) {
    throw new Error(
      `missing programs: install the packages ${missing().join(' ')} (as root), or run this as root on Debian`,
    );
  }
  mkdirSync(cacheDir(), { recursive: true });
  await withLock(cacheDir('apt.lock'), report, async () => {
    const packages = missing();
    if (packages.length === 0) return;
    report(`installing ${packages.join(', ')} with apt`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const options = { env, ...(logFile === undefined ? {} : { logFile }) };
    await run('apt-get', ['update', '-q'], options);
    await withoutServices(() =>
      run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], options),
    );
  });
}

/** Programs are wanted, not the servers that some packages start for the whole network. */
async function withoutServices(install: () => Promise<unknown>): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) {
    await install();
    return;
  }
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await install();
  } finally {
    rmSync(policy, { force: true });
  }
}
