/** Brings Services and route to the split that is wanted, one kind of change at a time and in an order that loses no request. */
import type { ModelDeploymentSpec } from '../../../api/model-deployment.ts';
import type { WantedTraffic } from '../../../rollout/contract.ts';
import { covers } from '../../../runtime/apply.ts';
import { isConflict } from '../../../runtime/errors.ts';
import type { Applied, KubeObject } from '../../../runtime/object.ts';
import type { Store } from '../../../runtime/store.ts';
import { type ChildContext, ensureChild } from '../../children.ts';
import { HTTP_ROUTE, type HttpRoute, type ModelDeployment, SERVICE, type Service } from '../../kinds.ts';
import { type Problem, unavailable } from '../../problems.ts';
import { gatewayRouting } from '../strategy.ts';
import type { RouteSighting } from './observe.ts';
import { canaryWeightOf, desiredRoute, routePatch, type Split, sendsCopies } from './route.ts';
import { desiredServices } from './services.ts';

export interface TrafficPass extends ChildContext {
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  readonly services: Store<Service>;
  readonly routes: Store<HttpRoute>;
  readonly sighting: RouteSighting | undefined;
  /** The gateways have taken over the route as it is. */
  readonly verified: boolean;
  readonly wanted: WantedTraffic;
}

export interface TrafficOutcome {
  /** Something was written: the pass ends, and the next one looks again. */
  readonly changed: boolean;
  /** Why the split is not as wanted although nothing was written: no pod may be taken from anybody then. */
  readonly waits: boolean;
  readonly problem: Problem | undefined;
}

type Step = () => Promise<TrafficOutcome>;

/**
 * The stable Service comes first: it is turned only to a revision that is ready. Then what takes requests from the canary, so
 * that its Service is only turned to another revision while nobody is sent there; last what sends requests to it.
 */
export async function applyTraffic(pass: TrafficPass): Promise<TrafficOutcome> {
  const desired = desiredServices(pass.owner, pass.spec, pass.wanted);
  const unsent = sendsNobody(pass);
  const service = (object: Applied) => () => ensured(pass, object);
  const steps: readonly Step[] = [
    service(desired.stable),
    service(desired.clients),
    ...(unsent ? [service(desired.canary)] : []),
    () => applyRoute(pass),
    async () => (unsent || turned(pass, desired.canary) ? DONE : WAITS),
  ];
  for (const step of steps) {
    const outcome = await step();
    if (outcome.changed || outcome.waits) return outcome;
  }
  return DONE;
}

const DONE: TrafficOutcome = { changed: false, waits: false, problem: undefined };
const WAITS: TrafficOutcome = { ...DONE, waits: true };
const CHANGED: TrafficOutcome = { ...DONE, changed: true };
const failed = (problem: Problem): TrafficOutcome => ({ changed: false, waits: true, problem });
const changedIf = (changed: boolean): TrafficOutcome => (changed ? CHANGED : DONE);

async function ensured(pass: TrafficPass, desired: Applied): Promise<TrafficOutcome> {
  const before = pass.services.get({
    namespace: desired.metadata.namespace ?? '',
    name: desired.metadata.name,
  });
  const { live, problem } = await ensureChild(pass, SERVICE, pass.services, desired);
  if (problem) return failed(problem);
  return changedIf(live?.metadata.resourceVersion !== before?.metadata.resourceVersion);
}

/** No route sends anybody to the canary's Service, and its gateways know. */
function sendsNobody({ owner, spec, sighting, verified, services, wanted }: TrafficPass): boolean {
  if (!gatewayRouting(spec)) return true;
  const canary = desiredServices(owner, spec, wanted).canary.metadata;
  if (!services.get({ namespace: canary.namespace ?? '', name: canary.name })) return true;
  const rules = sighting?.route?.spec?.rules ?? [];
  const weight = canaryWeightOf(owner, rules) ?? 0;
  if (sighting?.kind === 'absent' || !sighting?.route) return true;
  return weight === 0 && !sendsCopies(owner, rules) && verified;
}

/** The canary's Service selects already what it should. */
function turned({ services }: TrafficPass, desired: Applied): boolean {
  const { namespace = '', name } = desired.metadata;
  const { selector } = (desired as unknown as Service).spec ?? {};
  return covers(services.get({ namespace, name })?.spec?.selector, selector);
}

async function applyRoute(pass: TrafficPass): Promise<TrafficOutcome> {
  const { owner, spec, sighting, routes, client, signal, log } = pass;
  const routing = gatewayRouting(spec);
  if (!routing) return DONE;
  if (sighting?.kind !== 'served') return WAITS;
  const split = splitOf(pass);
  const { name, route } = sighting;
  try {
    if (routing.httpRoute === undefined) {
      const desired = desiredRoute(owner, routing, split);
      const before = route?.metadata.resourceVersion;
      const { live, problem } = await ensureChild<HttpRoute & KubeObject>(pass, HTTP_ROUTE, routes, desired);
      return problem ? failed(problem) : changedIf(live?.metadata.resourceVersion !== before);
    }
    const patch = route && routePatch(owner, route, split);
    if (!route) return WAITS;
    if (!patch) return DONE;
    await client.patch(HTTP_ROUTE, route.metadata, patch, { signal });
    log.info({ kind: HTTP_ROUTE.kind, child: name, weight: split.canaryWeight }, 'route split');
    return CHANGED;
  } catch (error) {
    if (isConflict(error)) throw error;
    return failed(unavailable(HTTP_ROUTE.kind, name, error));
  }
}

/**
 * What the route should do in this pass. Until the canary's Service selects the revision that is wanted nobody is sent there.
 */
function splitOf(pass: TrafficPass): Split {
  const { owner, spec, wanted } = pass;
  const { canary } = desiredServices(owner, spec, wanted);
  if (wanted.canary === undefined) {
    // Both Services select the stable revision once this one is turned.
    return { canaryWeight: 0, headers: [], mirror: undefined };
  }
  if (!turned(pass, canary)) return { canaryWeight: 0, headers: [], mirror: undefined };
  const { canaryWeight, headerRoutes: headers, mirrorRoutes } = wanted;
  return { canaryWeight, headers, mirror: mirrorRoutes.at(-1) };
}
