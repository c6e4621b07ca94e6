/** A cluster of kind (Kubernetes in Docker) with what a plain one lacks: the metrics API. */
import { join } from 'node:path';
import { CommandError, findProgram, run } from './process.ts';
import type { Report } from './steps.ts';
import { pinnedVersions } from './toolchain.ts';

export const KIND_CLUSTER = 'deepfake-operator';
const KUBELET_FLAG = '--kubelet-insecure-tls';

/** Whether a Docker daemon answers this user. */
export async function dockerAnswers(): Promise<boolean> {
  if (findProgram('docker') === undefined) return false;
  try {
    await run('docker', ['info', '--format', '{{.ServerVersion}}'], { signal: AbortSignal.timeout(10_000) });
    return true;
  } catch {
    return false;
  }
}

/** Creates the cluster, or keeps the one that is there, and writes its kubeconfig. */
export async function startKindCluster(binaries: string, kubeconfig: string, report: Report): Promise<void> {
  const kind = (args: readonly string[]) => run(join(binaries, 'kind'), args);
  const names = (await kind(['get', 'clusters'])).split('\n');
  if (!names.includes(KIND_CLUSTER)) {
    report('creating a kind cluster');
    await kind(['create', 'cluster', '--name', KIND_CLUSTER, '--kubeconfig', kubeconfig, '--wait', '180s']);
  }
  await kind(['export', 'kubeconfig', '--name', KIND_CLUSTER, '--kubeconfig', kubeconfig]);
  const kubectl = (args: readonly string[]) =>
    run(join(binaries, 'kubectl'), ['--kubeconfig', kubeconfig, ...args]);
  const target = ['-n', 'kube-system', 'deployment', 'metrics-server'];
  const args = await kubectl([
    'get',
    ...target,
    '--ignore-not-found',
    '-o=jsonpath={.spec.template.spec.containers[0].args}',
  ]);
  // The patch below takes the arguments over, so a second apply would be a conflict.
  if (args.includes(KUBELET_FLAG)) return;
  const release = `releases/download/${pinnedVersions().metricsServer}/components.yaml`;
  await kubectl([
    'apply',
    '--server-side',
    '--force-conflicts',
    '-f',
    `https://github.com/kubernetes-sigs/metrics-server/${release}`,
  ]);
  // kind's kubelets serve certificates that no authority of the cluster signed.
  const flag = [{ op: 'add', path: '/spec/template/spec/containers/0/args/-', value: KUBELET_FLAG }];
  await kubectl(['patch', ...target, '--type=json', `-p=${JSON.stringify(flag)}`]);
}

export async function removeKindCluster(binaries: string): Promise<void> {
  await run(join(binaries, 'kind'), ['delete', 'cluster', '--name', KIND_CLUSTER]);
}

/** Copies a Docker image to the nodes. @throws CommandError */
export async function loadIntoKind(binaries: string, tag: string): Promise<void> {
  try {
    await run(join(binaries, 'kind'), ['load', 'docker-image', '--name', KIND_CLUSTER, tag]);
  } catch (error) {
    if (error instanceof CommandError)
      throw new Error(`kind did not take the image ${tag}: ${error.output}`, { cause: error });
    throw error;
  }
}
