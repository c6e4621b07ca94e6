/** The Services of a rollout: what each of them selects. Pure. */
import type { ModelDeploymentSpec } from '../../../api/model-deployment.ts';
import { LABEL } from '../../../api/names.ts';
import type { WantedTraffic } from '../../../rollout/contract.ts';
import type { Applied } from '../../../runtime/object.ts';
import type { ModelDeployment, Service } from '../../kinds.ts';
import { CANARY, childMetadata, podSelector, revisionSelector, STABLE, trackName } from '../names.ts';
import { serviceOf } from '../service.ts';
import { splitsByPods } from '../strategy.ts';

export interface DesiredServices {
  /** What clients use. */
  readonly clients: Applied;
  readonly stable: Applied;
  /** With no canary it selects the stable revision: whoever still asks it is answered. */
  readonly canary: Applied;
}

export function desiredServices(
  owner: ModelDeployment,
  spec: ModelDeploymentSpec,
  { stable, canary, canaryWeight }: WantedTraffic,
): DesiredServices {
  const { name } = owner.metadata;
  const service = (track: string, selector: Readonly<Record<string, string>>) =>
    serviceOf(owner, childMetadata(owner, trackName(name, track), { [LABEL.track]: track }), selector);
  const ofStable = revisionSelector(name, stable);
  const shared = splitsByPods(spec) && canary !== undefined && canaryWeight > 0;
  return {
    clients: serviceOf(owner, childMetadata(owner, name), shared ? podSelector(name) : ofStable),
    stable: service(STABLE, ofStable),
    canary: service(CANARY, revisionSelector(name, canary ?? stable)),
  };
}

/** The revision that a Service selects; undefined: pods of any. */
export const selectedRevision = (service: Service | undefined): string | undefined =>
  service?.spec?.selector?.[LABEL.revision];
