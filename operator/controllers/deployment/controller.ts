/** ModelDeployment: Deployment, Service, autoscaler, disruption budget and key, and what came of them in status. */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import {
  type ModelDeploymentSpec,
  type ModelDeploymentStatus,
  modelDeploymentSpec,
} from '../../api/model-deployment.ts';
import { LABEL, STATUS_FIELD_MANAGER } from '../../api/names.ts';
import type { KubeClient } from '../../runtime/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import { findCondition, mergeConditions, replaceConditions } from '../../runtime/conditions.ts';
import { isConflict, isNotFound } from '../../runtime/errors.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import {
  type Applied,
  isControlledBy,
  type Kind,
  type KubeObject,
  keyText,
  type ObjectKey,
} from '../../runtime/object.ts';
import type { ReconcileContext, Reconciler, Result } from '../../runtime/reconciler.ts';
import type { Store } from '../../runtime/store.ts';
import { ensureChild } from '../children.ts';
import {
  DEPLOYMENT,
  type DeepfakeModel,
  type Deployment,
  type HorizontalPodAutoscaler,
  HPA,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  PDB,
  type Pod,
  type PodDisruptionBudget,
  SECRET,
  SERVICE,
  type Service,
} from '../kinds.ts';
import { type InferenceImage, living, podProblem } from '../pods.ts';
import { invalidSpec, type Problem, parseSpec, refused } from '../problems.ts';
import { newApiKeySecret } from './auth.ts';
import { desiredDisruptionBudget } from './disruption.ts';
import { type ModelResolution, resolveModels } from './models.ts';
import { podSelector, trackName } from './names.ts';
import { appliedReplicas, desiredAutoscaler, replicasHandover, SCALE_FIELD_MANAGER } from './scaling.ts';
import { desiredService, endpointOf } from './service.ts';
import { type DeploymentSummary, needsNoSurge, summarize } from './status.ts';
import { apiKeyOf, desiredWorkload, type Workload } from './workload.ts';

/** Index of pods by the ModelDeployment that they serve. */
export const BY_DEPLOYMENT = 'by-model-deployment';
export const deploymentKeyOfChild = ({ metadata }: KubeObject): string[] => {
  const name = metadata.labels?.[LABEL.modelDeployment];
  return name === undefined ? [] : [keyText({ namespace: metadata.namespace ?? '', name })];
};

export interface DeploymentReconcilerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly image: InferenceImage;
  readonly modelDeployments: Store<ModelDeployment>;
  readonly models: Store<DeepfakeModel>;
  readonly deployments: Store<Deployment>;
  readonly services: Store<Service>;
  readonly autoscalers: Store<HorizontalPodAutoscaler>;
  readonly disruptionBudgets: Store<PodDisruptionBudget>;
  /** Indexed by BY_DEPLOYMENT. */
  readonly pods: Store<Pod>;
}

interface Pass {
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  readonly namespace: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

export class DeploymentReconciler implements Reconciler {
  readonly #options: DeploymentReconcilerOptions;

  constructor(options: DeploymentReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(key: ObjectKey, { signal, log }: ReconcileContext): Promise<Result> {
    const { client, modelDeployments, models, deployments, pods } = this.#options;
    const owner = modelDeployments.get(key);
    // Children go with their owner.
    if (!owner || owner.metadata.deletionTimestamp !== undefined) return {};
    const spec = await this.#specOf(owner, signal);
    const pass: Pass = { owner, spec, namespace: key.namespace, signal, log };

    const resolution = resolveModels(
      spec.models.map(({ name }) => name),
      (name) => models.get({ namespace: key.namespace, name }),
    );
    const childKey = { namespace: key.namespace, name: trackName(key.name) };
    // One that lost its label is not in the store, yet its count is still the autoscaler's.
    const found = deployments.get(childKey) ?? (await client.find(DEPLOYMENT, childKey, signal));
    const live = ownChild(owner, found);
    const problem = podProblem(living(pods.byIndex(BY_DEPLOYMENT, keyText(key))));
    const workload = this.#workload(pass, resolution, live, problem);
    const childProblem = await this.#applyChildren(pass, workload?.deployment, live);
    await this.#writeStatus(pass, resolution, workload, { live, podProblem: problem, childProblem });
    return childProblem ? { requeueAfterMs: 30_000 } : {};
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
      await this.#applyStatus(owner, status, signal);
      throw error;
    }
  }

  /** undefined while no pods may be made. The first pods are only made from models that are all as their specs ask. */
  #workload(
    { owner, spec }: Pass,
    { served, problem }: ModelResolution,
    live: Deployment | undefined,
    pods: Problem | undefined,
  ): Workload | undefined {
    if (!served || (problem && !live)) return undefined;
    const { image } = this.#options;
    const replicas = appliedReplicas(spec, live);
    return desiredWorkload({
      owner,
      spec,
      models: served,
      image,
      replicas,
      noSurge: needsNoSurge(live, pods),
    });
  }

  /** Applies in the order in which children need each other, and reports the first that cannot be. */
  async #applyChildren(
    pass: Pass,
    deployment: Applied | undefined,
    live: Deployment | undefined,
  ): Promise<Problem | undefined> {
    const { owner, spec, signal, log } = pass;
    const context = { client: this.#options.client, owner, signal, log };
    const apply = async <T extends KubeObject>(kind: Kind<T>, store: Store<T>, desired: Applied) =>
      (await ensureChild(context, kind, store, desired)).problem;
    const { deployments, services, autoscalers, disruptionBudgets } = this.#options;
    const autoscaler = desiredAutoscaler(owner, spec);
    const steps = [
      () => apply(SERVICE, services, desiredService(owner)),
      () => apply(PDB, disruptionBudgets, desiredDisruptionBudget(owner, spec)),
      () => this.#ensureApiKey(pass, live),
      () => this.#dropAutoscaler(pass, autoscaler),
      () => this.#handOverReplicas(pass, live),
      () => (deployment ? apply(DEPLOYMENT, deployments, deployment) : undefined),
      () => (deployment && autoscaler ? apply(HPA, autoscalers, autoscaler) : undefined),
    ];
    for (const step of steps) {
      const problem = await step();
      if (problem) return problem;
    }
    return undefined;
  }

  /** While all pods run they have their key; asking again each time they do not finds a key that was deleted. */
  async #ensureApiKey(
    { owner, spec, signal }: Pass,
    live: Deployment | undefined,
  ): Promise<Problem | undefined> {
    const { availableReplicas = 0, replicas = 0 } = live?.status ?? {};
    if (spec.auth || (replicas > 0 && availableReplicas >= replicas)) return undefined;
    const secret = newApiKeySecret(owner);
    try {
      await this.#options.client.create(SECRET, secret, signal);
    } catch (error) {
      if (!isConflict(error)) return refused('Secret', secret.metadata.name, error);
    }
    return undefined;
  }

  async #dropAutoscaler(
    { owner, namespace, signal }: Pass,
    desired: Applied | undefined,
  ): Promise<undefined> {
    const name = trackName(owner.metadata.name);
    const live = ownChild(owner, this.#options.autoscalers.get({ namespace, name }));
    if (!desired && live?.metadata.uid) {
      await this.#options.client.delete(HPA, live.metadata, { uid: live.metadata.uid, signal });
    }
    return undefined;
  }

  async #handOverReplicas({ spec, signal }: Pass, live: Deployment | undefined): Promise<undefined> {
    const handover = replicasHandover(spec, live);
    if (handover) {
      await this.#options.client.apply(DEPLOYMENT, handover, { fieldManager: SCALE_FIELD_MANAGER, signal });
    }
    return undefined;
  }

  async #writeStatus(
    { owner, spec, namespace, signal }: Pass,
    models: ModelResolution,
    workload: Workload | undefined,
    seen: {
      live: Deployment | undefined;
      podProblem: Problem | undefined;
      childProblem: Problem | undefined;
    },
  ): Promise<void> {
    const { clock, autoscalers } = this.#options;
    const { name, generation = 0 } = owner.metadata;
    const before = owner.status;
    const current = seen.live?.spec?.template?.metadata?.labels?.[LABEL.revision] === workload?.revision;
    const summary = summarize({
      ...seen,
      spec,
      models,
      current,
      autoscaler: ownChild(owner, autoscalers.get({ namespace, name: trackName(name) })),
      revision: workload?.revision,
      stableRevision: before?.stableRevision,
    });
    const currentRevision = workload?.revision ?? before?.currentRevision;
    const stableRevision = summary.complete ? currentRevision : before?.stableRevision;
    const {
      replicas = 0,
      readyReplicas = 0,
      availableReplicas = 0,
      updatedReplicas = 0,
    } = seen.live?.status ?? {};
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
      ...(models.served
        ? {
            models: models.served.map(({ name: model, version, digest }) => ({
              name: model,
              version,
              digest,
            })),
          }
        : {}),
      authSecret: apiKeyOf(name, spec),
      endpoint: endpointOf(owner),
      conditions: mergeConditions(before?.conditions, summary.conditions, generation, clock.now()),
    };
    this.#recordEvents(owner, summary, status);
    await this.#applyStatus(owner, status, signal);
  }

  async #applyStatus(owner: ModelDeployment, status: ModelDeploymentStatus, signal: AbortSignal) {
    if (isDeepStrictEqual(status, owner.status)) return;
    const { client } = this.#options;
    const { name, namespace = '' } = owner.metadata;
    const { apiVersion, kind } = MODEL_DEPLOYMENT;
    const body = { apiVersion, kind, metadata: { name, namespace }, status };
    try {
      await client.applyStatus(MODEL_DEPLOYMENT, body, { fieldManager: STATUS_FIELD_MANAGER, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  #recordEvents(owner: ModelDeployment, summary: DeploymentSummary, status: ModelDeploymentStatus): void {
    const { events } = this.#options;
    const degraded = findCondition(status.conditions, 'Degraded');
    const before = findCondition(owner.status?.conditions, 'Degraded');
    if (degraded?.status === 'True' && degraded.reason !== before?.reason) {
      const { reason, message: note } = degraded;
      events.record(MODEL_DEPLOYMENT, owner, { type: 'Warning', reason, action: 'Reconcile', note });
    }
    if (status.currentRevision !== owner.status?.currentRevision) {
      const note = `revision ${status.currentRevision}: ${status.models?.map((model) => `${model.name}@${model.version}`).join(', ')}`;
      events.record(MODEL_DEPLOYMENT, owner, {
        type: 'Normal',
        reason: 'RevisionCreated',
        action: 'Rollout',
        note,
      });
    }
    if (summary.complete && status.stableRevision !== owner.status?.stableRevision) {
      const note = summary.message;
      events.record(MODEL_DEPLOYMENT, owner, {
        type: 'Normal',
        reason: 'RevisionAvailable',
        action: 'Rollout',
        note,
      });
    }
  }
}

function ownChild<T extends KubeObject>(owner: KubeObject, child: T | undefined): T | undefined {
  return child && isControlledBy(child, owner) ? child : undefined;
}
