/** What a person needs of a cluster after a failed run, kept before the cluster goes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';

/** Writes all pods, events and resources of both kinds, and the logs of our pods, into `folder`, one file each. */
export async function keepEvidence(cluster: Cluster, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const keep = async (file: string, args: readonly string[]) => {
    // What cannot be had is part of the evidence.
    const text = await cluster.kubectl(args).catch((error: Error) => error.message);
    writeFileSync(join(folder, file), text);
    return text;
  };
  await keep('pods.txt', ['get', 'pods', '-A', '-o', 'wide']);
  await keep('events.txt', ['get', 'events', '-A', '--sort-by=.metadata.creationTimestamp']);
  await keep('resources.yaml', ['get', 'deepfakemodels,modeldeployments', '-A', '-o', 'yaml']);
  const format = '-o=jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}';
  const pods = await cluster.kubectl(['get', 'pods', '-A', format]).catch(() => '');
  for (const pod of pods.split('\n').filter((line) => line !== '')) {
    const [namespace = '', name = ''] = pod.split('/');
    await keep(`${namespace}-${name}.log`, ['-n', namespace, 'logs', name, '--all-containers', '--prefix']);
  }
}
