/**
 * One pass of a ModelDeployment that keeps revisions: looks, has it decided (operator/rollout/), and makes one class of change, in
 * the order revisions, services, traffic, analysis, scaling, status. The change is seen by a watch, which brings the next pass.
 */
import type { AnalysesInput, AnalysesOutput, Track } from '../../analysis/analyses.ts';
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../../api/model-deployment.ts';
import { FIELD_MANAGER } from '../../api/names.ts';
import type {
  RolloutDecision,
  RolloutInput,
  RolloutObservation,
  WantedTraffic,
} from '../../rollout/contract.ts';
import { covers } from '../../runtime/apply.ts';
import type { KubeClient } from '../../runtime/client.ts';
import { mergeConditions } from '../../runtime/conditions.ts';
import { isConflict } from '../../runtime/errors.ts';
import type { EventNote } from '../../runtime/events.ts';
import {
  type Applied,
  isControlledBy,
  type KubeObject,
  keyText,
  type ObjectKey,
} from '../../runtime/object.ts';
import type { KindState } from '../../runtime/optional-informer.ts';
import type { Store } from '../../runtime/store.ts';
import { type ChildContext, ensureChild, removeChild } from '../children.ts';
import {
  DEPLOYMENT,
  type Deployment,
  type HorizontalPodAutoscaler,
  HPA,
  HTTP_ROUTE,
  type HttpRoute,
  JOB,
  type Job,
  type ModelDeployment,
  type Pod,
  PVC,
  type Service,
} from '../kinds.ts';
import { claimsIn } from '../model/indexes.ts';
import { type InferenceImage, podProblem } from '../pods.ts';
import { conflict, type Problem, refused } from '../problems.ts';
import { acceleratorDemand, askFreeAccelerators, holdsAccelerators } from './capacity.ts';
import { BY_DEPLOYMENT, BY_PROBE } from './indexes.ts';
import type { ModelResolution } from './models.ts';
import type { MonitoringObservation } from './monitoring.ts';
import { CANARY, podSelector, STABLE, trackName } from './names.ts';
import type { Plan } from './plan.ts';
import { packagesIn, revisionIn } from './revision.ts';
import {
  type KeptRevisions,
  keptRevisions,
  type ObservedRevision,
  observeRevision,
  podsOf,
  revisionsStatus,
} from './revisions.ts';
import { rolloutFields, summarizeRollout } from './rollout-status.ts';
import { autoscalerOf } from './scaling.ts';
import { endpointOf, serviceUrl } from './service.ts';
import { gatewayRouting } from './strategy.ts';
import { scaleChanges, scaledTracks, wantedReplicas } from './track-scaling.ts';
import { applyTraffic } from './traffic/apply.ts';
import { observeTraffic, type RouteSighting, trafficCondition } from './traffic/observe.ts';
import { whyPodsWait } from './waiting.ts';

export interface RolloutStores {
  /** Indexed by BY_DEPLOYMENT. */
  readonly deployments: Store<Deployment>;
  readonly services: Store<Service>;
  readonly autoscalers: Store<HorizontalPodAutoscaler>;
  readonly httpRoutes: { state(): KindState; readonly store: Store<HttpRoute> };
  /** These two are indexed by BY_PROBE. */
  readonly jobs: Store<Job>;
  readonly pods: Store<Pod>;
}

export interface RolloutPass extends ChildContext {
  readonly key: ObjectKey;
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  readonly client: KubeClient;
  readonly stores: RolloutStores;
  readonly image: InferenceImage;
  readonly nowMs: number;
  readonly advance: (input: RolloutInput) => RolloutDecision;
  readonly analyse: (input: AnalysesInput) => Promise<AnalysesOutput>;
}

/** What the controller has seen and done before revisions are looked at. */
export interface RolloutContext {
  readonly models: ModelResolution;
  readonly plan: Plan;
  /** All that are the owner's and have not ended. */
  readonly pods: readonly Pod[];
  readonly givenUp: Problem | undefined;
  readonly autoscalerConflict: Problem | undefined;
  /** Of the children that all revisions share. */
  readonly childProblem: Problem | undefined;
  readonly monitoring: MonitoringObservation | undefined;
  readonly authSecret: ModelDeploymentStatus['authSecret'];
}

export interface RolloutOutcome {
  readonly status: ModelDeploymentStatus;
  readonly events: readonly EventNote[];
  readonly problem: Problem | undefined;
  readonly lookAgainInMs: number | undefined;
  /** To be called once status is written: what it names then must be there. */
  readonly afterStatus: () => Promise<void>;
}

interface Seen {
  readonly kept: KeptRevisions;
  readonly revisions: readonly ObservedRevision[];
  readonly observation: RolloutObservation;
  readonly sighting: RouteSighting | undefined;
  /** Why spec.rollbackTo cannot be followed although its revision is kept. */
  readonly rollbackProblem: Problem | undefined;
}

/** What came of a class of change. */
interface Change {
  readonly changed: boolean;
  readonly waits?: boolean;
  readonly problem?: Problem | undefined;
}
const NOTHING: Change = { changed: false };

export async function rolloutPass(pass: RolloutPass, context: RolloutContext): Promise<RolloutOutcome> {
  const seen = await observe(pass, context);
  const { owner, spec, nowMs } = pass;
  const decision = pass.advance({
    // What cannot be gone back to is not: what serves goes on.
    spec: seen.rollbackProblem ? withoutRollback(spec) : spec,
    status: owner.status,
    observation: seen.observation,
    nowMs,
  });
  let analyses: AnalysesOutput | undefined;
  let mayShrink = true;
  const steps: readonly (() => Promise<Change>)[] = [
    () => changeRevisions(pass, context, seen, decision),
    async () => {
      const outcome = await changeTraffic(pass, seen, decision.traffic);
      mayShrink = !outcome.waits;
      return outcome;
    },
    async () => {
      analyses = await analyse(pass, context, decision);
      return NOTHING;
    },
    () => scale(pass, seen, decision, mayShrink),
  ];
  let problem = context.childProblem;
  // Which revision is stable is written down before anything follows from it: what came with it would be lost otherwise.
  const remembers = decision.status.stableRevision !== owner.status?.stableRevision;
  // What keeps pods from being made does not keep requests from being taken from those that are bad.
  const possible = context.childProblem ? steps.slice(1, 2) : steps;
  for (const step of remembers ? [] : possible) {
    const outcome = await step();
    problem ??= outcome.problem;
    if (outcome.changed) break;
  }
  return report(pass, context, seen, { decision, analyses, problem });
}

async function observe(pass: RolloutPass, context: RolloutContext): Promise<Seen> {
  const { key, owner, spec, stores } = pass;
  const kept = keptRevisions(owner, ownDeployments(pass));
  const demand = demandOf(pass, context);
  const gives = (of: { readonly spec?: Pod['spec'] } | undefined) =>
    demand === undefined || holdsAccelerators(demand, of?.spec);
  const revisions = await Promise.all(
    [...kept.byRevision].map(async ([revision, deployment]) => ({
      ...(await lookAt(pass, context, revision, deployment)),
      holdsAccelerators: gives(deployment.spec?.template),
    })),
  );
  const wantedRevision = context.plan.workload?.revision;
  const stableRevision = owner.status?.stableRevision;
  const stable = stableRevision === undefined ? undefined : kept.byRevision.get(stableRevision);
  const inStore = <T extends KubeObject>(store: Store<T>, name: string) =>
    ownChild(owner, store.get({ namespace: key.namespace, name }));
  const autoscaler = inStore(stores.autoscalers, trackName(key.name, STABLE));
  const wanted = wantedReplicas(spec, stable, autoscaler);
  const sighting = routeSighting(pass);
  const readyOf = (revision: string | undefined) =>
    revisions.find((each) => each.revision === revision)?.ready ?? 0;
  const readyStable = readyOf(stableRevision);
  const traffic = observeTraffic({
    owner,
    spec,
    services: {
      clients: inStore(stores.services, key.name),
      stable: inStore(stores.services, trackName(key.name, STABLE)),
      canary: inStore(stores.services, trackName(key.name, CANARY)),
    },
    sighting,
    refused: undefined,
    readyPods: {
      stable: readyStable,
      canary: revisions.reduce((sum, { ready }) => sum + ready, -readyStable),
    },
  });
  const analyses = (owner.status?.canary?.analysis ?? []).map(({ id, phase, message = '' }) => ({
    id,
    phase,
    message,
  }));
  return {
    kept,
    revisions,
    sighting,
    rollbackProblem: await rollbackProblem(pass, kept),
    observation: {
      wantedRevision,
      revisions,
      analyses,
      traffic,
      wantedReplicas: wanted,
      freeAccelerators: await freeAccelerators(pass, context, revisions, wanted),
      leavingPods: context.pods.filter((pod) => pod.metadata.deletionTimestamp !== undefined && gives(pod))
        .length,
    },
  };
}

const withoutRollback = ({ rollbackTo: _, ...spec }: ModelDeploymentSpec): ModelDeploymentSpec => spec;

/** A kept revision holds its claims, but a person may have deleted one: pods would wait for it for ever. */
async function rollbackProblem(
  { client, key, spec, signal }: RolloutPass,
  { byRevision }: KeptRevisions,
): Promise<Problem | undefined> {
  const { rollbackTo = '' } = spec;
  const deployment = byRevision.get(rollbackTo);
  if (!deployment || (deployment.spec?.replicas ?? 1) > 0) return undefined;
  const { namespace } = key;
  for (const name of claimsIn(deployment.spec?.template.spec?.volumes)) {
    if (name === undefined || (await client.find(PVC, { namespace, name }, signal))) continue;
    const message = `spec.rollbackTo names revision ${rollbackTo}, whose PersistentVolumeClaim ${name} is gone: set its models to the digests of that revision instead, and they are fetched again`;
    return { reason: 'WeightsGone', message };
  }
  return undefined;
}

async function lookAt(
  { client, key, spec, signal, nowMs }: RolloutPass,
  context: RolloutContext,
  revision: string,
  deployment: Deployment,
): Promise<ObservedRevision> {
  const pods = podsOf(revision, context.pods);
  const told = podProblem(pods);
  const { namespace } = key;
  const waiting = told ? {} : await whyPodsWait({ client, namespace, spec, pods, nowMs, signal });
  const observed = observeRevision(revision, deployment, pods, nowMs, told ?? waiting.problem);
  const times = [observed.deadlineInMs, waiting.requeueAfterMs].filter((time) => time !== undefined);
  return { ...observed, deadlineInMs: times.length === 0 ? undefined : Math.min(...times) };
}

const templateOf = ({ workload }: Plan) => (workload?.deployment as Deployment | undefined)?.spec?.template;

const demandOf = ({ spec }: RolloutPass, { plan }: RolloutContext) =>
  acceleratorDemand(spec, templateOf(plan));

/** The API server is asked only while pods are about to come. */
async function freeAccelerators(
  pass: RolloutPass,
  context: RolloutContext,
  revisions: readonly ObservedRevision[],
  wanted: number,
): Promise<number | undefined> {
  const { client, spec, signal, owner } = pass;
  const target = spec.rollbackTo ?? context.plan.workload?.revision;
  if (target === undefined || target === owner.status?.stableRevision) return undefined;
  if (owner.status?.pauseConditions?.length) return undefined;
  const demand = demandOf(pass, context);
  const asked = revisions.find(({ revision }) => revision === target)?.desired ?? 0;
  if (!demand || asked >= wanted) return undefined;
  return askFreeAccelerators(client, demand, signal);
}

function routeSighting({ key, spec, stores }: RolloutPass): RouteSighting | undefined {
  const routing = gatewayRouting(spec);
  if (!routing) return undefined;
  const { namespace } = key;
  const name = routing.httpRoute ?? key.name;
  return { kind: stores.httpRoutes.state(), name, route: stores.httpRoutes.store.get({ namespace, name }) };
}

export const ownDeployments = ({ key, stores, owner }: Pick<RolloutPass, 'key' | 'stores' | 'owner'>) =>
  stores.deployments
    .byIndex(BY_DEPLOYMENT, keyText(key))
    .filter((deployment) => isControlledBy(deployment, owner));

const ownChild = <T extends KubeObject>(owner: KubeObject, child: T | undefined): T | undefined =>
  child && isControlledBy(child, owner) ? child : undefined;

async function changeRevisions(
  pass: RolloutPass,
  { plan }: RolloutContext,
  { kept }: Seen,
  decision: RolloutDecision,
): Promise<Change> {
  const { workload } = plan;
  if (workload) {
    const serving = kept.byRevision.get(workload.revision);
    // The Deployment of a rolling update serves its revision as it is.
    if (!serving || serving.metadata.name === workload.deployment.metadata.name) {
      const replicas = decision.replicas.get(workload.revision) ?? 0;
      const outcome = await ensureRevision(pass, serving, workload.deployment, replicas);
      if (outcome.changed || outcome.problem) return outcome;
    }
  }
  const removed = decision.remove.flatMap((revision) => kept.byRevision.get(revision) ?? []);
  const gone = [...removed, ...kept.surplus.filter((each) => isReplaced(each, kept))];
  for (const { metadata } of gone)
    await removeChild(pass, DEPLOYMENT, pass.stores.deployments, metadata.name);
  return { changed: gone.length > 0 };
}

/** The other Deployment of its revision serves in full. */
function isReplaced(surplus: Deployment, { byRevision }: KeptRevisions): boolean {
  const serving = byRevision.get(revisionIn(surplus) ?? '');
  return serving !== undefined && (serving.status?.availableReplicas ?? 0) >= (serving.spec?.replicas ?? 1);
}

/**
 * Made with its count by a create; afterwards the count is written apart, also for older revisions, of whose pods nobody knows more
 * than their Deployment says. So an apply here says nothing of it and never resets it.
 */
async function ensureRevision(
  { client, owner, signal, log, stores }: RolloutPass,
  known: Deployment | undefined,
  desired: Applied,
  replicas: number,
): Promise<Change> {
  const { name, namespace = '' } = desired.metadata;
  try {
    const live = known ?? (await client.find(DEPLOYMENT, { name, namespace }, signal));
    if (live && !isControlledBy(live, owner))
      return { changed: false, problem: conflict(DEPLOYMENT.kind, name) };
    if (live?.metadata.deletionTimestamp !== undefined) return { changed: true };
    if (!live) {
      const { spec } = desired as unknown as Deployment;
      await client.create(DEPLOYMENT, { ...desired, spec: { ...spec, replicas } } as Deployment, signal);
      log.info({ kind: DEPLOYMENT.kind, child: name, replicas }, 'revision made');
      return { changed: true };
    }
    if (covers(live, desired)) return { changed: stores.deployments.get({ name, namespace }) === undefined };
    const { uid } = live.metadata;
    const intent = { ...desired, metadata: { ...desired.metadata, ...(uid === undefined ? {} : { uid }) } };
    await client.apply(DEPLOYMENT, intent, { fieldManager: FIELD_MANAGER, signal });
    return { changed: true };
  } catch (error) {
    if (isConflict(error)) throw error;
    return { changed: false, problem: refused(DEPLOYMENT.kind, name, error) };
  }
}

async function changeTraffic(
  pass: RolloutPass,
  { sighting, observation, kept }: Seen,
  wanted: WantedTraffic | undefined,
): Promise<Change> {
  if (!wanted || !kept.byRevision.has(wanted.stable)) return NOTHING;
  const { services, httpRoutes } = pass.stores;
  const { verified } = observation.traffic;
  const routes = httpRoutes.store;
  const outcome = await applyTraffic({ ...pass, services, routes, sighting, verified, wanted });
  if (!outcome.changed && !gatewayRouting(pass.spec)?.parentRefs) await removeRoute(pass);
  return outcome;
}

/** The route that was made while parentRefs asked for it; one of the user is never ours. */
export async function removeRoute(pass: ChildContext & Pick<RolloutPass, 'key' | 'stores'>): Promise<void> {
  const { httpRoutes } = pass.stores;
  if (httpRoutes.state() === 'served') await removeChild(pass, HTTP_ROUTE, httpRoutes.store, pass.key.name);
}

async function analyse(
  { owner, spec, key, stores, image, signal, analyse: run }: RolloutPass,
  { pods }: RolloutContext,
  { analyses: wanted, status, traffic }: RolloutDecision,
): Promise<AnalysesOutput | undefined> {
  const previous = status.canary?.analysis ?? [];
  const revision = traffic?.canary ?? status.currentRevision;
  if (revision === undefined || (wanted.length === 0 && previous.length === 0)) return undefined;
  const track = (of: string, name: string): Track => ({
    revision: of,
    pods: podsOf(of, pods),
    url: serviceUrl(key.namespace, trackName(key.name, name)),
  });
  const { stableRevision } = status;
  const probes = keyText(key);
  return run({
    owner: { ...owner, spec },
    wanted,
    previous,
    canary: track(revision, CANARY),
    stable: stableRevision === undefined ? undefined : track(stableRevision, STABLE),
    probeJobs: stores.jobs.byIndex(BY_PROBE, probes).filter((job) => isControlledBy(job, owner)),
    probePods: stores.pods.byIndex(BY_PROBE, probes),
    image,
    signal,
  });
}

async function scale(
  pass: RolloutPass,
  { kept, observation }: Seen,
  { replicas, traffic, status }: RolloutDecision,
  mayShrink: boolean,
): Promise<Change> {
  const { key, owner, spec, stores, client, signal, log } = pass;
  const { byRevision } = kept;
  const { wantedReplicas: wanted } = observation;
  const tracks = scaledTracks({
    spec,
    traffic,
    replicas,
    byRevision,
    wantedReplicas: wanted,
    aborted: status.abort === true,
  });
  const before = [STABLE, CANARY].flatMap((track) => {
    const found = stores.autoscalers.get({ namespace: key.namespace, name: trackName(key.name, track) });
    return ownChild(owner, found) ?? [];
  });
  let changed = false;
  // One that goes must not scale what another begins to.
  for (const autoscaler of before) {
    if (tracks.some(({ track }) => trackName(key.name, track) === autoscaler.metadata.name)) continue;
    await removeChild(pass, HPA, stores.autoscalers, autoscaler.metadata.name);
    changed = true;
  }
  for (const { deployment, replicas: count } of scaleChanges(
    { replicas, byRevision, wantedReplicas: wanted },
    tracks,
    before,
    mayShrink,
  )) {
    const { name, resourceVersion } = deployment.metadata;
    const body = { metadata: { resourceVersion }, spec: { replicas: count } };
    await client.patch(DEPLOYMENT, deployment.metadata, body, { signal });
    log.info({ kind: DEPLOYMENT.kind, child: name, replicas: count }, 'revision scaled');
    changed = true;
  }
  for (const track of spec.autoscaling ? tracks : []) {
    const desired = autoscalerOf(owner, spec.autoscaling as NonNullable<typeof spec.autoscaling>, track);
    const { problem } = await ensureChild(pass, HPA, stores.autoscalers, desired);
    if (problem) return { changed, problem };
  }
  return { changed };
}

interface Done {
  readonly decision: RolloutDecision;
  readonly analyses: AnalysesOutput | undefined;
  readonly problem: Problem | undefined;
}

function report(pass: RolloutPass, context: RolloutContext, seen: Seen, done: Done): RolloutOutcome {
  const { key, owner, spec, nowMs, stores, client, signal } = pass;
  const { decision, analyses, problem } = done;
  const { kept, revisions, observation, sighting } = seen;
  const trafficInput = {
    owner,
    spec,
    services: { clients: undefined, stable: undefined, canary: undefined },
    sighting,
    refused: undefined,
    readyPods: { stable: 0, canary: 0 },
  };
  const summary = summarizeRollout({
    spec,
    models: context.models,
    observation,
    decision,
    planProblem: context.plan.problem ?? seen.rollbackProblem,
    childProblem: problem,
    givenUp: context.givenUp,
    autoscaler: ownChild(
      owner,
      stores.autoscalers.get({ namespace: key.namespace, name: trackName(key.name, STABLE) }),
    ),
    autoscalerConflict: context.autoscalerConflict,
    monitoring: context.monitoring,
    traffic: trafficCondition(trafficInput),
  });
  const { generation = 0 } = owner.metadata;
  const fields = rolloutFields(decision);
  const { workload } = context.plan;
  // It is current from the pass on that decides about it, and its Deployment is made afterwards.
  const made = workload?.revision === fields.currentRevision ? workload?.deployment : undefined;
  const current = kept.byRevision.get(fields.currentRevision ?? '') ?? (made as Deployment | undefined);
  const sum = (of: (revision: ObservedRevision) => number) =>
    revisions.reduce((total, revision) => total + of(revision), 0);
  const updated = revisions.find(({ revision }) => revision === fields.currentRevision);
  const models = (current && packagesIn(current)) ?? owner.status?.models;
  const canary = {
    ...fields.canary,
    ...(analyses === undefined ? {} : { analysis: [...analyses.analysis] }),
  };
  const status: ModelDeploymentStatus = {
    observedGeneration: generation,
    phase: summary.phase,
    message: summary.message.slice(0, 4096),
    replicas: sum((revision) => revision.replicas),
    readyReplicas: sum((revision) => revision.ready),
    availableReplicas: sum((revision) => revision.available),
    updatedReplicas: updated?.replicas ?? 0,
    selector: Object.entries(podSelector(key.name))
      .map((pair) => pair.join('='))
      .join(','),
    ...fields,
    ...(Object.keys(canary).length === 0 ? {} : { canary }),
    ...(models === undefined ? {} : { models }),
    ...(context.authSecret === undefined ? {} : { authSecret: context.authSecret }),
    endpoint: endpointOf(owner),
    revisions: revisionsStatus(kept, owner.status, fields.stableRevision, nowMs),
    conditions: mergeConditions(owner.status?.conditions, summary.conditions, generation, nowMs),
  };
  return {
    status,
    events: decision.events.map(({ reason, type, message }) => ({
      reason,
      type,
      action: 'Rollout',
      note: message,
    })),
    problem,
    lookAgainInMs: soonest([
      decision.lookAgainInMs,
      analyses?.lookAgainInMs,
      ...revisions.map(({ deadlineInMs }) => deadlineInMs),
    ]),
    afterStatus: async () => {
      for (const job of analyses?.createJobs ?? []) await createJob(pass, job);
      for (const name of analyses?.deleteJobs ?? []) {
        await client.delete(JOB, { namespace: key.namespace, name }, { signal });
      }
    },
  };
}

async function createJob({ client, signal, log }: RolloutPass, job: Job): Promise<void> {
  try {
    await client.create(JOB, job, signal);
    log.info({ kind: JOB.kind, child: job.metadata.name }, 'measurement begun');
  } catch (error) {
    // Made by a pass that ended before it knew.
    if (!isConflict(error)) throw error;
  }
}

function soonest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.max(Math.min(...known), 0);
}
