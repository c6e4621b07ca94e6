/** What a strategy that kept revisions leaves, once the Deployment of a rolling update has taken over. */
import type { ChildContext } from '../children.ts';
import { removeChild } from '../children.ts';
import { DEPLOYMENT, type Deployment, HPA, SERVICE } from '../kinds.ts';
import { CANARY, STABLE, trackName } from './names.ts';
import { ownDeployments, type RolloutPass, removeRoute } from './rollout.ts';

type RetirePass = ChildContext & Pick<RolloutPass, 'key' | 'owner' | 'stores'>;

/** Until then the pods of the revisions serve on beside it. */
export async function retireRevisions(pass: RetirePass, serving: Deployment): Promise<void> {
  const { key, stores } = pass;
  const others = ownDeployments(pass).filter(({ metadata }) => metadata.name !== serving.metadata.name);
  if (others.length > 0 && !isAvailable(serving)) return;
  await removeRoute(pass);
  for (const track of [STABLE, CANARY]) {
    await removeChild(pass, SERVICE, stores.services, trackName(key.name, track));
  }
  await removeChild(pass, HPA, stores.autoscalers, trackName(key.name, CANARY));
  for (const { metadata } of others) await removeChild(pass, DEPLOYMENT, stores.deployments, metadata.name);
}

function isAvailable({ metadata, spec, status }: Deployment): boolean {
  const wanted = spec?.replicas ?? 1;
  const observed = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  return observed && (status?.updatedReplicas ?? 0) >= wanted && (status?.availableReplicas ?? 0) >= wanted;
}
