/** What spec.strategy means for the children. Pure. */
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import type { CanaryStrategy } from '../../api/rollout/strategy.ts';

type WithStrategy = Pick<ModelDeploymentSpec, 'strategy'>;

/** Every revision has a Deployment of its own, and which of them serves is decided in status. */
export const keepsRevisions = ({ strategy }: WithStrategy) =>
  strategy?.canary !== undefined || strategy?.blueGreen !== undefined;

export type GatewayRouting = NonNullable<NonNullable<CanaryStrategy['trafficRouting']>['gatewayAPI']>;

/** How an HTTPRoute splits requests; undefined: none does. */
export const gatewayRouting = ({ strategy }: WithStrategy): GatewayRouting | undefined =>
  strategy?.canary?.trafficRouting?.gatewayAPI;

/** Requests are split by the number of pods behind one Service. */
export const splitsByPods = (spec: WithStrategy) =>
  spec.strategy?.canary !== undefined && gatewayRouting(spec) === undefined;
