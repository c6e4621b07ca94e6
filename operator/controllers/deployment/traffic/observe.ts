/** How requests are split now, and whether whoever splits them has taken it over. Pure. */
import type { ModelDeploymentSpec } from '../../../api/model-deployment.ts';
import type { TrafficObservation } from '../../../rollout/contract.ts';
import { findCondition, type Verdict } from '../../../runtime/conditions.ts';
import type { KindState } from '../../../runtime/optional-informer.ts';
import { HTTP_ROUTE, type HttpRoute, type ModelDeployment, type Service } from '../../kinds.ts';
import type { Problem } from '../../problems.ts';
import { gatewayRouting, splitsByPods } from '../strategy.ts';
import { canaryWeightOf } from './route.ts';
import { selectedRevision } from './services.ts';

/** What is known of the route. */
export interface RouteSighting {
  /** Of its kind in this cluster. */
  readonly kind: KindState;
  readonly name: string;
  readonly route: HttpRoute | undefined;
}

export interface TrafficInput {
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  /** What clients use. */
  readonly clients: Service | undefined;
  /** undefined: none is asked for. */
  readonly sighting: RouteSighting | undefined;
  /** Why the last write of services or route was refused. */
  readonly refused: Problem | undefined;
  readonly readyPods: { readonly stable: number; readonly canary: number };
}

export function observeTraffic(input: TrafficInput): TrafficObservation {
  const { spec, clients, refused, readyPods } = input;
  if (gatewayRouting(spec)) return observeRoute(input);
  const { stable, canary } = readyPods;
  const shared = clients !== undefined && splitsByPods(spec) && selectedRevision(clients) === undefined;
  const achieved = shared && canary > 0 ? (100 * canary) / (stable + canary) : 0;
  return {
    canaryWeight: clients && (shared ? (input.owner.status?.canary?.weights?.canary ?? 0) : 0),
    verified: refused === undefined,
    achieved,
    problem: refused,
  };
}

function observeRoute({ owner, sighting, refused }: TrafficInput): TrafficObservation {
  const route = sighting?.route;
  const canaryWeight = route && canaryWeightOf(owner, route.spec?.rules ?? []);
  const verdict = sighting ? routeVerdict(owner, sighting) : undefined;
  const verified = verdict?.status === 'True' && refused === undefined;
  const failed = verdict?.status === 'False' ? verdict : undefined;
  return { canaryWeight, verified, achieved: canaryWeight ?? 0, problem: refused ?? failed };
}

const { apiVersion: GROUP_VERSION, kind: KIND } = HTTP_ROUTE;

type State = Pick<Verdict, 'status' | 'reason' | 'message'>;

const KIND_STATES: Readonly<Record<Exclude<KindState, 'served'>, State>> = {
  absent: {
    status: 'False',
    reason: 'KindNotInstalled',
    message: `this cluster does not serve ${KIND} of ${GROUP_VERSION}: install the Gateway API and a gateway, or use trafficRouting.replicas`,
  },
  unlisted: {
    status: 'Unknown',
    reason: 'KindNotListed',
    message: `the operator could not list ${KIND} of ${GROUP_VERSION} yet: if that lasts, look whether its role allows it`,
  },
  unknown: {
    status: 'Unknown',
    reason: 'KindNotKnown',
    message: `the API server has not said yet whether it serves ${KIND} of ${GROUP_VERSION}`,
  },
};

/** What its gateways say of the route as it is now. */
function routeVerdict(owner: ModelDeployment, { kind, name, route }: RouteSighting): State {
  if (kind !== 'served') return KIND_STATES[kind];
  if (!route) {
    return {
      status: 'False',
      reason: 'RouteNotFound',
      message: `${KIND} ${name} does not exist in this namespace`,
    };
  }
  if (canaryWeightOf(owner, route.spec?.rules ?? []) === undefined) {
    const service = `${owner.metadata.name}-stable`;
    const message = `no rule of ${KIND} ${name} names Service ${service} as a backend: requests do not come here`;
    return { status: 'False', reason: 'RouteWithoutBackend', message };
  }
  const { generation = 0 } = route.metadata;
  const parents = route.status?.parents ?? [];
  for (const { parentRef, conditions } of parents) {
    for (const type of ['Accepted', 'ResolvedRefs']) {
      const found = findCondition(conditions, type);
      if (found?.status !== 'False' || (found.observedGeneration ?? 0) < generation) continue;
      const message = `${KIND} ${name}: ${found.reason} at gateway ${parentRef?.name ?? '?'}: ${found.message}`;
      return {
        status: 'False',
        reason: type === 'Accepted' ? 'RouteNotAccepted' : 'RouteRefsNotResolved',
        message,
      };
    }
  }
  const heard = parents.filter(({ conditions }) =>
    ['Accepted', 'ResolvedRefs'].every((type) => {
      const found = findCondition(conditions, type);
      return found?.status === 'True' && (found.observedGeneration ?? 0) >= generation;
    }),
  );
  if (parents.length === 0 || heard.length < parents.length) {
    const message = `no word yet of ${KIND} ${name} in its generation ${generation} from ${parents.length === 0 ? 'a gateway' : 'every gateway'}`;
    return { status: 'Unknown', reason: 'RouteNotSeen', message };
  }
  return { status: 'True', reason: 'RouteAccepted', message: `${KIND} ${name} is in force` };
}

/** undefined: no route is asked for. */
export function trafficCondition({ owner, sighting, refused }: TrafficInput): Verdict | undefined {
  if (!sighting) return undefined;
  const type = 'TrafficRouted';
  return refused ? { type, status: 'False', ...refused } : { type, ...routeVerdict(owner, sighting) };
}
