/** `kubectl deepfake` as kubectl finds it: a link on the path. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Cluster } from '../../hack/lib/cluster.ts';
import { REPOSITORY } from '../../hack/lib/paths.ts';

export const LAUNCHER = join(REPOSITORY, 'operator/cli/kubectl-deepfake');

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Plugin {
  /** `kubectl deepfake WORDS` in the namespace. */
  run(words: readonly string[]): Promise<Outcome>;
  remove(): Promise<void>;
}

export async function linkPlugin(cluster: Cluster, namespace: string): Promise<Plugin> {
  const folder = await mkdtemp(join(tmpdir(), 'kubectl-plugins-'));
  await symlink(LAUNCHER, join(folder, 'kubectl-deepfake'));
  const PATH = [folder, cluster.binaries, process.env['PATH']].join(delimiter);
  const env = { ...process.env, PATH, KUBECONFIG: cluster.kubeconfig };
  return {
    run: (words) =>
      new Promise((resolve) => {
        const all = ['deepfake', ...words, '-n', namespace];
        execFile(join(cluster.binaries, 'kubectl'), all, { env }, (error, stdout, stderr) => {
          resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
        });
      }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
