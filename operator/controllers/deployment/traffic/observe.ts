/** How requests are split now, and whether whoever splits them has taken it over. Pure. */
import type { ModelDeploymentSpec } from '../../../api/model-deployment.ts';
import type { TrafficObservation } from '../../../rollout/contract.ts';
import { findCondition, type Verdict } from '../../../runtime/conditions.ts';
import type { KindState } from '../../../runtime/optional-informer.ts';
import { HTTP_ROUTE, type HttpRoute, type ModelDeployment, type Service } from '../../kinds.ts';
import type { Problem } from '../../problems.ts';
import { STABLE, trackName } from '../names.ts';
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

export interface TrackServices {
  /** What clients use. */
  readonly clients: Service | undefined;
  readonly stable: Service | undefined;
  readonly canary: Service | undefined;
}

export interface TrafficInput {
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  readonly services: TrackServices;
  /** undefined: none is asked for. */
  readonly sighting: RouteSighting | undefined;
  /** Why the last write of services or route was refused. */
  readonly refused: Problem | undefined;
  readonly readyPods: { readonly stable: number; readonly canary: number };
}

export function observeTraffic(input: TrafficInput): TrafficObservation {
  const { spec, services } = input;
  const selected = { stable: selectedRevision(services.stable), canary: selectedRevision(services.canary) };
  return { ...selected, ...(gatewayRouting(spec) ? observeRoute(input) : observePods(input)) };
}

type SplitObservation = Omit<TrafficObservation, 'stable' | 'canary'>;

function observePods({ owner, spec, services, refused, readyPods }: TrafficInput): SplitObservation {
  const { clients } = services;
  const { stable, canary } = readyPods;
  const shared = clients !== undefined && splitsByPods(spec) && selectedRevision(clients) === undefined;
  return {
    canaryWeight: clients && (shared ? (owner.status?.canary?.weights?.canary ?? 0) : 0),
    verified: refused === undefined,
    achieved: shared && canary > 0 ? (100 * canary) / (stable + canary) : 0,
    problem: refused,
  };
}

function observeRoute({ owner, sighting, refused }: TrafficInput): SplitObservation {
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

function routeVerdict(owner: ModelDeployment, { kind, name, route }: RouteSighting): State {
  if (kind !== 'served') return KIND_STATES[kind];
  if (!route) {
    const message = `${KIND} ${name} does not exist in this namespace`;
    return { status: 'False', reason: 'RouteNotFound', message };
  }
  if (canaryWeightOf(owner, route.spec?.rules ?? []) === undefined) {
    const service = trackName(owner.metadata.name, STABLE);
    const message = `no rule of ${KIND} ${name} names Service ${service} as a backend: requests do not come here`;
    return { status: 'False', reason: 'RouteWithoutBackend', message };
  }
  return refusedByGateway(name, route) ?? seenByGateways(name, route);
}

type Parent = NonNullable<NonNullable<HttpRoute['status']>['parents']>[number];

/** What a gateway says of the route as it is now; what it said of an older one does not count. */
const wordOf = ({ conditions }: Parent, type: string, { generation = 0 }: HttpRoute['metadata']) => {
  const found = findCondition(conditions, type);
  return (found?.observedGeneration ?? 0) >= generation ? found : undefined;
};

const ROUTE_REASONS = { Accepted: 'RouteNotAccepted', ResolvedRefs: 'RouteRefsNotResolved' } as const;
const ROUTE_CONDITIONS = ['Accepted', 'ResolvedRefs'] as const;

function refusedByGateway(name: string, { metadata, status }: HttpRoute): State | undefined {
  for (const parent of status?.parents ?? []) {
    for (const type of ROUTE_CONDITIONS) {
      const word = wordOf(parent, type, metadata);
      if (word?.status !== 'False') continue;
      const message = `${KIND} ${name}: ${word.reason} at ${parent.parentRef?.name}: ${word.message}`;
      return { status: 'False', reason: ROUTE_REASONS[type], message };
    }
  }
  return undefined;
}

function seenByGateways(name: string, { metadata, status }: HttpRoute): State {
  const parents = status?.parents ?? [];
  const silent = parents.find((parent) =>
    ROUTE_CONDITIONS.some((type) => wordOf(parent, type, metadata)?.status !== 'True'),
  );
  if (parents.length > 0 && !silent) {
    return { status: 'True', reason: 'RouteAccepted', message: `${KIND} ${name} is in force` };
  }
  const who = silent?.parentRef?.name ?? 'a gateway';
  const message = `${who} has not taken over generation ${metadata.generation} of ${KIND} ${name} yet`;
  return { status: 'Unknown', reason: 'RouteNotSeen', message };
}

/** undefined: no route is asked for. */
export function trafficCondition({ owner, sighting, refused }: TrafficInput): Verdict | undefined {
  if (!sighting) return undefined;
  const type = 'TrafficRouted';
  return refused ? { type, status: 'False', ...refused } : { type, ...routeVerdict(owner, sighting) };
}
