/** ModelDeployment: what its spec asks for made so in its children, and what came of them in status. */
import { isDeepStrictEqual } from 'node:util';
import {
  type ModelDeploymentSpec,
  type ModelDeploymentStatus,
  modelDeploymentSpec,
} from '../../api/model-deployment.ts';
import { LABEL, STATUS_FIELD_MANAGER } from '../../api/names.ts';
import type { KubeClient } from '../../runtime/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import { mergeConditions, replaceConditions, timestamp } from '../../runtime/conditions.ts';
import { isNotFound } from '../../runtime/errors.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import {
  type Applied,
  isControlledBy,
  type KubeObject,
  keyText,
  type ObjectKey,
} from '../../runtime/object.ts';
import type { ReconcileContext, Reconciler, Result } from '../../runtime/reconciler.ts';
import type { Store } from '../../runtime/store.ts';
import type { ChildContext } from '../children.ts';
import {
  DEPLOYMENT,
  type DeepfakeModel,
  type Deployment,
  type HorizontalPodAutoscaler,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  type Pod,
  RESOURCE_CLAIM,
} from '../kinds.ts';
import { givenUp, type InferenceImage, living, podProblem } from '../pods.ts';
import { invalidSpec, type Problem, parseSpec } from '../problems.ts';
import { apiKeyOf, knownApiKey } from './auth.ts';
import { applyChildren, type ChildrenOutcome, type ChildStores } from './children.ts';
import { type DeviceImages, deviceClaim } from './devices.ts';
import { newsOf } from './events.ts';
import { type ModelResolution, resolveModels } from './models.ts';
import { podSelector, trackName } from './names.ts';
import { type Plan, planWorkload } from './plan.ts';
import { autoscalerConflict, scaledDeployment } from './scaling.ts';
import { endpointOf } from './service.ts';
import { summarize } from './status.ts';
import { whyPodsWait } from './waiting.ts';

/** Index of pods by the ModelDeployment that they serve. */
export const BY_DEPLOYMENT = 'by-model-deployment';
export const deploymentKeyOfChild = ({ metadata }: KubeObject): string[] => {
  const name = metadata.labels?.[LABEL.modelDeployment];
  return name === undefined ? [] : [keyText({ namespace: metadata.namespace ?? '', name })];
};
/** An autoscaler concerns the ModelDeployment that made it and the one that it scales. */
export const deploymentKeysOfAutoscaler = (autoscaler: HorizontalPodAutoscaler): string[] => {
  const name = scaledDeployment(autoscaler);
  const scaled =
    name === undefined ? [] : [keyText({ namespace: autoscaler.metadata.namespace ?? '', name })];
  return [...new Set([...deploymentKeyOfChild(autoscaler), ...scaled])];
};

export interface DeploymentReconcilerOptions extends ChildStores {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly image: InferenceImage;
  readonly deviceImages: DeviceImages;
  readonly operatorNamespace: string;
  readonly modelDeployments: Store<ModelDeployment>;
  readonly models: Store<DeepfakeModel>;
  /** Indexed by BY_DEPLOYMENT, as autoscalers are. */
  readonly pods: Store<Pod>;
}

interface Pass extends ChildContext {
  readonly key: ObjectKey;
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
}

/** Everything that a pass found, before it changes anything. */
interface Observation {
  readonly models: ModelResolution;
  readonly live: Deployment | undefined;
  readonly pods: readonly Pod[];
  readonly podProblem: Problem | undefined;
  readonly lookAgainInMs: number | undefined;
  readonly givenUp: Problem | undefined;
  readonly autoscaler: HorizontalPodAutoscaler | undefined;
  readonly autoscalerConflict: Problem | undefined;
}

interface StatusVersion {
  /** That of the owner as this pass knows or left it. */
  readonly resourceVersion: string | undefined;
}

/** What keeps a child away may go without that a watch tells: a quota, somebody else's object, a kind that is not there, ms. */
const RETRY_MS = 30_000;

export class DeploymentReconciler implements Reconciler {
  readonly #options: DeploymentReconcilerOptions;

  constructor(options: DeploymentReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(key: ObjectKey, { signal, log }: ReconcileContext): Promise<Result> {
    const { client, modelDeployments, image, deviceImages, operatorNamespace } = this.#options;
    const owner = modelDeployments.get(key);
    // Children go with their owner.
    if (!owner || owner.metadata.deletionTimestamp !== undefined) return {};
    const spec = await this.#specOf(owner, signal);
    const pass: Pass = { key, owner, spec, client, signal, log };
    const seen = await this.#observe(pass);
    const claimsServed = deviceClaim(spec) === undefined || (await client.serves(RESOURCE_CLAIM));
    const plan = planWorkload({ owner, spec, image, deviceImages, claimsServed, ...seen });
    let authSecret = knownApiKey(owner, spec);
    let { resourceVersion } = owner.metadata;
    const outcome = await applyChildren({
      ...pass,
      stores: this.#options,
      operatorNamespace,
      deployment: plan.workload?.deployment,
      live: seen.live,
      rememberKey: async (renewed) => {
        const renewal = renewed ? { renewedAt: timestamp(this.#options.clock.now()) } : {};
        authSecret = { ...apiKeyOf(key.name, spec), ...renewal };
        const status = { ...owner.status, authSecret };
        resourceVersion = await this.#applyStatus(owner, status, { signal, resourceVersion });
      },
    });
    await this.#writeStatus(pass, seen, plan, { ...outcome, authSecret, resourceVersion });
    const retry = outcome.problem ?? outcome.monitoring?.problem ?? plan.problem;
    const requeueAfterMs = seen.lookAgainInMs ?? (retry ? RETRY_MS : undefined);
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  async #observe({ key, owner, spec, client, signal }: Pass): Promise<Observation> {
    const { models, deployments, autoscalers, pods } = this.#options;
    const childKey = { namespace: key.namespace, name: trackName(key.name) };
    // One that lost its label is not in the store, yet its count is still the autoscaler's.
    const found = deployments.get(childKey) ?? (await client.find(DEPLOYMENT, childKey, signal));
    const ours = pods.byIndex(BY_DEPLOYMENT, keyText(key));
    const nowMs = this.#options.clock.now();
    const { namespace } = key;
    const running = living(ours);
    const told = podProblem(running);
    const waiting = told ? {} : await whyPodsWait({ client, namespace, spec, pods: ours, nowMs, signal });
    return {
      models: resolveModels(
        spec.models.map(({ name }) => name),
        (name) => models.get({ namespace: key.namespace, name }),
      ),
      live: ownChild(owner, found),
      pods: running,
      podProblem: told ?? waiting.problem,
      lookAgainInMs: waiting.requeueAfterMs,
      givenUp: givenUp(ours),
      autoscaler: ownChild(owner, autoscalers.get(childKey)),
      autoscalerConflict: autoscalerConflict(owner, spec, autoscalers.byIndex(BY_DEPLOYMENT, keyText(key))),
    };
  }

  async #specOf(owner: ModelDeployment, signal: AbortSignal): Promise<ModelDeploymentSpec> {
    try {
      return parseSpec(modelDeploymentSpec, owner.spec);
    } catch (error) {
      const problem = invalidSpec(error);
      const generation = owner.metadata.generation ?? 0;
      const verdicts = [
        { type: 'Degraded', status: 'True', ...problem },
        { type: 'Ready', status: 'False', ...problem },
      ] as const;
      const now = this.#options.clock.now();
      const status: ModelDeploymentStatus = {
        ...owner.status,
        observedGeneration: generation,
        phase: 'Degraded',
        message: problem.message,
        conditions: replaceConditions(owner.status?.conditions, verdicts, generation, now),
      };
      const { resourceVersion } = owner.metadata;
      await this.#applyStatus(owner, status, { signal, resourceVersion });
      throw error;
    }
  }

  async #writeStatus(
    { owner, spec, signal }: Pass,
    { models, live: before, ...seen }: Observation,
    { workload, problem: planProblem }: Plan,
    {
      problem: childProblem,
      monitoring,
      applied: live = before,
      authSecret,
      resourceVersion,
    }: ChildrenOutcome & Pick<ModelDeploymentStatus, 'authSecret'> & StatusVersion,
  ): Promise<void> {
    const { clock, events } = this.#options;
    const { name, generation = 0 } = owner.metadata;
    const { status: old } = owner;
    const summary = summarize({
      ...seen,
      spec,
      models,
      live,
      planProblem,
      childProblem,
      monitoring,
      current: before?.spec?.template?.metadata?.labels?.[LABEL.revision] === workload?.revision,
      revision: workload?.revision,
      stableRevision: old?.stableRevision,
    });
    const currentRevision = workload?.revision ?? old?.currentRevision;
    const stableRevision = summary.complete ? currentRevision : old?.stableRevision;
    const packages = models.served?.map(({ name: model, version, digest }) => ({
      name: model,
      version,
      digest,
    }));
    const served = workload ? packages : old?.models;
    const {
      replicas = 0,
      readyReplicas = 0,
      availableReplicas = 0,
      updatedReplicas = 0,
    } = live?.status ?? {};
    const status: ModelDeploymentStatus = {
      observedGeneration: generation,
      phase: summary.phase,
      message: summary.message.slice(0, 4096),
      replicas,
      readyReplicas,
      availableReplicas,
      updatedReplicas,
      selector: Object.entries(podSelector(name))
        .map((pair) => pair.join('='))
        .join(','),
      ...(currentRevision === undefined ? {} : { currentRevision }),
      ...(stableRevision === undefined ? {} : { stableRevision }),
      ...(served === undefined ? {} : { models: served }),
      ...(authSecret === undefined ? {} : { authSecret }),
      endpoint: endpointOf(owner),
      conditions: mergeConditions(old?.conditions, summary.conditions, generation, clock.now()),
    };
    await this.#applyStatus(owner, status, { signal, resourceVersion });
    for (const note of newsOf(old, status)) events.record(MODEL_DEPLOYMENT, owner, note);
  }

  /**
   * Only onto the object as the pass knows it: status remembers whose the API key is and which revision served, and a pass over an
   * older state would take that away again. Rejects with a conflict then. Returns the version that it made.
   */
  async #applyStatus(
    owner: ModelDeployment,
    status: ModelDeploymentStatus,
    { signal, resourceVersion }: StatusVersion & { readonly signal: AbortSignal },
  ): Promise<string | undefined> {
    if (isDeepStrictEqual(status, owner.status)) return resourceVersion;
    const { name, namespace = '' } = owner.metadata;
    const { apiVersion, kind } = MODEL_DEPLOYMENT;
    const body = { apiVersion, kind, metadata: { name, namespace, resourceVersion }, status } as Applied;
    const { client } = this.#options;
    const options = { fieldManager: STATUS_FIELD_MANAGER, signal };
    try {
      return (await client.applyStatus(MODEL_DEPLOYMENT, body, options)).metadata.resourceVersion;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return undefined;
    }
  }
}

function ownChild<T extends KubeObject>(owner: KubeObject, child: T | undefined): T | undefined {
  return child && isControlledBy(child, owner) ? child : undefined;
}
