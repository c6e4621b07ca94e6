/** Brings all children of a ModelDeployment to what they should be, in the order in which they need each other. */
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import type { Applied, Kind, KubeObject } from '../../runtime/object.ts';
import type { KindState } from '../../runtime/optional-informer.ts';
import type { Store } from '../../runtime/store.ts';
import { type ChildContext, ensureChild, removeChild } from '../children.ts';
import {
  DEPLOYMENT,
  type Deployment,
  type HorizontalPodAutoscaler,
  HPA,
  type ModelDeployment,
  NETWORK_POLICY,
  type NetworkPolicy,
  PDB,
  POD_MONITOR,
  type PodDisruptionBudget,
  type PodMonitor,
  SERVICE,
  type Service,
} from '../kinds.ts';
import { type Problem, refused, unavailable } from '../problems.ts';
import { ensureApiKey } from './auth.ts';
import { desiredDisruptionBudget } from './disruption.ts';
import { desiredPodMonitor, type MonitoringObservation } from './monitoring.ts';
import { trackName } from './names.ts';
import { desiredNetworkPolicy } from './network-policy.ts';
import { desiredAutoscaler, replicasHandover, SCALE_FIELD_MANAGER } from './scaling.ts';
import { desiredService } from './service.ts';

export interface ChildStores {
  readonly deployments: Store<Deployment>;
  readonly services: Store<Service>;
  /** Of everybody, to tell who works against ours. */
  readonly autoscalers: Store<HorizontalPodAutoscaler>;
  readonly disruptionBudgets: Store<PodDisruptionBudget>;
  readonly networkPolicies: Store<NetworkPolicy>;
  readonly podMonitors: { state(): KindState; readonly store: Store<PodMonitor> };
}

export interface ChildrenPass extends ChildContext {
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  readonly stores: ChildStores;
  readonly operatorNamespace: string;
  /** undefined: it stays as it is. */
  readonly deployment: Applied | undefined;
  readonly live: Deployment | undefined;
  /** Keeps in status that the Secret with the key is the owner's, and whether the key is a new one. */
  readonly rememberKey: (renewed: boolean) => Promise<void>;
}

export interface ChildrenOutcome {
  /** The first child that cannot be what it should be; those after it were not touched. */
  readonly problem: Problem | undefined;
  /** undefined: nobody asked for monitoring. */
  readonly monitoring: MonitoringObservation | undefined;
  /** As it was answered; undefined where it was not looked at. */
  readonly applied: Deployment | undefined;
}

export async function applyChildren(pass: ChildrenPass): Promise<ChildrenOutcome> {
  const { owner, spec, stores, deployment } = pass;
  const { name } = owner.metadata;
  const track = trackName(name);
  const autoscaler = desiredAutoscaler(owner, spec);
  const ensure = async <T extends KubeObject>(kind: Kind<T>, store: Store<T>, desired: Applied | undefined) =>
    desired && (await ensureChild(pass, kind, store, desired)).problem;
  let applied: Deployment | undefined;
  const ensureDeployment = async () => {
    if (!deployment) return undefined;
    const { live, problem } = await ensureChild(pass, DEPLOYMENT, stores.deployments, deployment);
    applied = live;
    return problem;
  };
  const steps: readonly (() => Promise<Problem | undefined>)[] = [
    () => applyShared(pass),
    () => ensure(SERVICE, stores.services, desiredService(owner)),
    // Before the count is taken back from it.
    async () => (autoscaler ? undefined : settle(pass, HPA, stores.autoscalers, track, undefined)),
    () => handOverReplicas(pass),
    ensureDeployment,
    () => ensure(HPA, stores.autoscalers, deployment && autoscaler),
  ];
  const problem = await firstProblem(steps);
  return { problem, monitoring: await applyMonitoring(pass), applied };
}

export type SharedPass = Omit<ChildrenPass, 'deployment' | 'live'> & {
  /** How many pods there are and run. */
  readonly live: Pick<Deployment, 'status'> | undefined;
};

/** What all pods share whatever the strategy, and what they cannot begin without. */
export function applyShared(pass: SharedPass): Promise<Problem | undefined> {
  const { owner, spec, stores } = pass;
  const { name } = owner.metadata;
  const networkPolicy = desiredNetworkPolicy(owner, spec, pass.operatorNamespace);
  const budget = desiredDisruptionBudget(owner, spec);
  return firstProblem([
    () => settle(pass, NETWORK_POLICY, stores.networkPolicies, name, networkPolicy),
    async () => (await ensureChild(pass, PDB, stores.disruptionBudgets, budget)).problem,
    () => ensureApiKey({ ...pass, remember: pass.rememberKey }),
  ]);
}

async function firstProblem(
  steps: readonly (() => Promise<Problem | undefined>)[],
): Promise<Problem | undefined> {
  for (const step of steps) {
    const problem = await step();
    if (problem) return problem;
  }
  return undefined;
}

/** Makes a child, or deletes it where none is wanted. */
async function settle<T extends KubeObject>(
  context: ChildContext,
  kind: Kind<T>,
  store: Store<T>,
  name: string,
  desired: Applied | undefined,
): Promise<Problem | undefined> {
  if (desired) return (await ensureChild(context, kind, store, desired)).problem;
  await removeChild(context, kind, store, name);
  return undefined;
}

async function handOverReplicas({ client, spec, live, signal }: ChildrenPass): Promise<Problem | undefined> {
  const handover = replicasHandover(spec, live);
  if (!handover) return undefined;
  try {
    await client.apply(DEPLOYMENT, handover, { fieldManager: SCALE_FIELD_MANAGER, signal });
    return undefined;
  } catch (error) {
    return refused(DEPLOYMENT.kind, handover.metadata.name, error);
  }
}

/** Nobody's requests depend on it, so what is wrong here keeps nothing else from its place, nor from status. */
export async function applyMonitoring(pass: SharedPass): Promise<MonitoringObservation | undefined> {
  const { owner, spec, stores } = pass;
  const { podMonitors } = stores;
  const { name } = owner.metadata;
  const desired = desiredPodMonitor(owner, spec);
  const kind = podMonitors.state();
  let problem: Problem | undefined;
  try {
    if (kind === 'served') problem = await settle(pass, POD_MONITOR, podMonitors.store, name, desired);
  } catch (error) {
    problem = unavailable(POD_MONITOR.kind, name, error);
  }
  return desired && { kind, problem };
}
