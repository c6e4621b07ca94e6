/** Damages children of ModelDeployments one after the other, and takes the time until each is as it was. */
import { DEPLOYMENT, type Deployment, PDB, SERVICE } from '../../../operator/controllers/kinds.ts';
import type { KubeClient } from '../../../operator/runtime/client.ts';
import type { KubeObject } from '../../../operator/runtime/object.ts';
import type { Observer } from './observer.ts';
import { NAMESPACE_NAME } from './workload.ts';

const REPAIR_MS = 30_000;
const DAMAGES = ['Deployment edited', 'Service deleted', 'PodDisruptionBudget deleted'] as const;
type Damage = (typeof DAMAGES)[number];

/** The times from just before each damage until the watch shows it repaired, ms. The damaged are spread evenly over `names`. */
export async function driftRepairs(
  client: KubeClient,
  observer: Observer,
  names: readonly string[],
  count: number,
): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = names[Math.floor(((index + 0.5) / count) * names.length)] ?? '';
    const damage = DAMAGES[index % DAMAGES.length] ?? 'Deployment edited';
    times.push(await repairOf(client, observer, name, damage));
  }
  return times;
}

function repairOf(client: KubeClient, observer: Observer, name: string, damage: Damage): Promise<number> {
  if (damage === 'Deployment edited') {
    const key = { namespace: NAMESPACE_NAME, name: `${name}-stable` };
    const before = observer.deployments.store.get(key)?.spec?.revisionHistoryLimit ?? 0;
    const wrong = before + 3;
    const edit = () => client.patch(DEPLOYMENT, key, { spec: { revisionHistoryLimit: wrong } });
    // The edit itself is the first change that the watch shows.
    let damaged = false;
    const repaired = (live: Deployment | undefined) => {
      const limit = live?.spec?.revisionHistoryLimit;
      damaged ||= limit === wrong;
      return damaged && limit === before;
    };
    return observer.timeUntil(observer.deployments, key.name, edit, repaired, REPAIR_MS);
  }
  const isService = damage === 'Service deleted';
  const informer = isService ? observer.services : observer.disruptionBudgets;
  const key = { namespace: NAMESPACE_NAME, name };
  const uid = informer.store.get(key)?.metadata.uid;
  const remove = () => client.delete(isService ? SERVICE : PDB, key);
  const repaired = (live: KubeObject | undefined) => live !== undefined && live.metadata.uid !== uid;
  return observer.timeUntil(informer, name, remove, repaired, REPAIR_MS);
}
