/** ModelDeployment: what its spec asks for made so in its children, and what came of them in status. */
import { Analyses } from '../../analysis/analyses.ts';
import {
  type ModelDeploymentSpec,
  type ModelDeploymentStatus,
  modelDeploymentSpec,
} from '../../api/model-deployment.ts';
import { LABEL } from '../../api/names.ts';
import { advance } from '../../rollout/state.ts';
import type { KubeClient } from '../../runtime/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import { mergeConditions, replaceConditions, timestamp } from '../../runtime/conditions.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import { isControlledBy, type KubeObject, keyText, type ObjectKey } from '../../runtime/object.ts';
import type { ReconcileContext, Reconciler, Result } from '../../runtime/reconciler.ts';
import type { Store } from '../../runtime/store.ts';
import type { ChildContext } from '../children.ts';
import {
  DEPLOYMENT,
  type DeepfakeModel,
  type Deployment,
  type HorizontalPodAutoscaler,
  type Job,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  type Pod,
  RESOURCE_CLAIM,
} from '../kinds.ts';
import { givenUp, type InferenceImage, living, podProblem } from '../pods.ts';
import { invalidSpec, type Problem, parseSpec } from '../problems.ts';
import { apiKeyOf, knownApiKey } from './auth.ts';
import {
  applyChildren,
  applyMonitoring,
  applyShared,
  type ChildrenOutcome,
  type ChildStores,
} from './children.ts';
import { type DeviceImages, deviceClaim, deviceImage } from './devices.ts';
import { newsOf } from './events.ts';
import { BY_DEPLOYMENT } from './indexes.ts';
import { type ModelResolution, resolveModels } from './models.ts';
import { podSelector, trackName } from './names.ts';
import { type Plan, type PlanInput, planWorkload } from './plan.ts';
import { retireRevisions } from './retire.ts';
import { packagesOf } from './revision.ts';
import { ownDeployments, type RolloutStores, rolloutPass } from './rollout.ts';
import { autoscalerConflict } from './scaling.ts';
import { endpointOf } from './service.ts';
import { summarize } from './status.ts';
import { StatusWriter } from './status-writer.ts';
import { keepsRevisions } from './strategy.ts';
import { whyPodsWait } from './waiting.ts';

export interface DeploymentReconcilerOptions extends ChildStores {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly image: InferenceImage;
  readonly deviceImages: DeviceImages;
  readonly operatorNamespace: string;
  readonly modelDeployments: Store<ModelDeployment>;
  readonly models: Store<DeepfakeModel>;
  /** Indexed by BY_DEPLOYMENT, as autoscalers and Deployments are, and by BY_PROBE. */
  readonly pods: Store<Pod>;
  readonly httpRoutes: RolloutStores['httpRoutes'];
  /** Indexed by BY_PROBE. */
  readonly jobs: Store<Job>;
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

  readonly #statuses: StatusWriter;
  readonly #analyses: Analyses;

  constructor(options: DeploymentReconcilerOptions) {
    this.#options = options;
    this.#statuses = new StatusWriter(options.client);
    this.#analyses = new Analyses({ clock: options.clock });
  }

  async reconcile(key: ObjectKey, { signal, log }: ReconcileContext): Promise<Result> {
    const { client, modelDeployments } = this.#options;
    const cached = modelDeployments.get(key);
    // Children go with their owner.
    if (!cached || cached.metadata.deletionTimestamp !== undefined) return {};
    const owner = await this.#statuses.newest(cached, signal);
    if (!owner || owner.metadata.deletionTimestamp !== undefined) return {};
    const spec = await this.#specOf(owner, signal);
    const pass: Pass = { key, owner, spec, client, signal, log };
    return keepsRevisions(spec) ? this.#rollOut(pass) : this.#roll(pass);
  }

  /** One Deployment whose pods are exchanged. */
  async #roll(pass: Pass): Promise<Result> {
    const { operatorNamespace } = this.#options;
    const seen = await this.#observe(pass);
    const others = this.#left(pass);
    const serving = others.reduce((sum, { spec }) => sum + (spec?.replicas ?? 1), 0);
    const plan = await this.#plan(pass, { ...seen, serving });
    const keyKeeper = this.#keyKeeper(pass);
    const outcome = await applyChildren({
      ...pass,
      stores: this.#options,
      operatorNamespace,
      deployment: plan.workload?.deployment,
      live: seen.live,
      rememberKey: keyKeeper.remember,
    });
    const { authSecret, resourceVersion } = keyKeeper;
    await this.#writeStatus(pass, seen, plan, { ...outcome, authSecret, resourceVersion });
    const served = outcome.applied ?? seen.live;
    if (served && !outcome.problem) await retireRevisions({ ...pass, stores: this.#options }, served);
    const retry = outcome.problem ?? outcome.monitoring?.problem ?? plan.problem;
    const requeueAfterMs = seen.lookAgainInMs ?? (retry ? RETRY_MS : undefined);
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  /** Every revision has a Deployment, and which of them serve is decided by the rollout. */
  async #rollOut(pass: Pass): Promise<Result> {
    const { key, owner, spec, signal } = pass;
    const { clock, events, image, deviceImages, operatorNamespace, pods, autoscalers } = this.#options;
    const stores = this.#options;
    const ours = pods.byIndex(BY_DEPLOYMENT, keyText(key));
    const models = this.#models(pass);
    const deployments = ownDeployments({ key, owner, stores });
    const plan = await this.#plan(pass, {
      models,
      live: deployments[0],
      pods: living(ours),
      podProblem: undefined,
    });
    const keyKeeper = this.#keyKeeper(pass);
    const shared = {
      ...pass,
      stores,
      operatorNamespace,
      live: deployments.length === 0 ? undefined : together(deployments),
      rememberKey: keyKeeper.remember,
    };
    const childProblem = await applyShared(shared);
    const outcome = await rolloutPass(
      {
        ...pass,
        stores,
        image: deviceImage(spec.device, image, deviceImages) ?? image,
        nowMs: clock.now(),
        advance,
        analyse: (input) => this.#analyses.run(input),
      },
      {
        models,
        plan,
        pods: living(ours),
        givenUp: givenUp(ours),
        autoscalerConflict: autoscalerConflict(owner, spec, autoscalers.byIndex(BY_DEPLOYMENT, keyText(key))),
        childProblem,
        monitoring: await applyMonitoring(shared),
        authSecret: keyKeeper.authSecret,
      },
    );
    const { resourceVersion } = keyKeeper;
    const status = { ...outcome.status };
    if (keyKeeper.authSecret) status.authSecret = keyKeeper.authSecret;
    await this.#statuses.write(owner, status, { signal, resourceVersion });
    for (const note of [...outcome.events, ...newsOf(owner.status, status)]) {
      events.record(MODEL_DEPLOYMENT, owner, note);
    }
    await outcome.afterStatus();
    const retry = (outcome.problem ?? plan.problem) ? RETRY_MS : undefined;
    const requeueAfterMs = outcome.lookAgainInMs ?? retry;
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  /** Deployments of revisions that a canary or blueGreen has left. */
  #left({ key, owner }: Pass): readonly Deployment[] {
    const rolling = trackName(key.name);
    return ownDeployments({ key, owner, stores: this.#options }).filter(
      ({ metadata }) => metadata.name !== rolling,
    );
  }

  #models({ key, spec }: Pass): ModelResolution {
    const { models } = this.#options;
    return resolveModels(
      spec.models.map(({ name }) => name),
      (name) => models.get({ namespace: key.namespace, name }),
    );
  }

  async #plan(
    { owner, spec, client }: Pass,
    seen: Pick<PlanInput, 'models' | 'live' | 'pods' | 'podProblem' | 'serving'>,
  ): Promise<Plan> {
    const { image, deviceImages } = this.#options;
    const claimsServed = deviceClaim(spec) === undefined || (await client.serves(RESOURCE_CLAIM));
    return planWorkload({ owner, spec, image, deviceImages, claimsServed, ...seen });
  }

  /** Whose the API key is, and the version of the owner in which that was written down. */
  #keyKeeper({ key, owner, spec, signal }: Pass) {
    const { clock } = this.#options;
    const statuses = this.#statuses;
    const keeper = {
      authSecret: knownApiKey(owner, spec),
      resourceVersion: owner.metadata.resourceVersion,
      remember: async (renewed: boolean) => {
        const renewal = renewed ? { renewedAt: timestamp(clock.now()) } : {};
        keeper.authSecret = { ...apiKeyOf(key.name, spec), ...renewal };
        const status = { ...owner.status, authSecret: keeper.authSecret };
        const { resourceVersion } = keeper;
        keeper.resourceVersion = await statuses.write(owner, status, { signal, resourceVersion });
      },
    };
    return keeper;
  }

  async #observe(pass: Pass): Promise<Observation> {
    const { key, owner, spec, client, signal } = pass;
    const { deployments, autoscalers, pods } = this.#options;
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
      models: this.#models(pass),
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
      await this.#statuses.write(owner, status, { signal, resourceVersion });
      throw error;
    }
  }

  async #writeStatus(
    pass: Pass,
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
    const { owner, spec, signal } = pass;
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
      others: together(this.#left(pass)).status?.availableReplicas ?? 0,
      current: before?.spec?.template?.metadata?.labels?.[LABEL.revision] === workload?.revision,
      revision: workload?.revision,
      stableRevision: old?.stableRevision,
    });
    const currentRevision = workload?.revision ?? old?.currentRevision;
    const stableRevision = summary.complete ? currentRevision : old?.stableRevision;
    const packages = models.served && packagesOf(models.served);
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
    await this.#statuses.write(owner, status, { signal, resourceVersion });
    for (const note of newsOf(old, status)) events.record(MODEL_DEPLOYMENT, owner, note);
  }
}

/** The counts of all revisions. */
function together(deployments: readonly Deployment[]): Pick<Deployment, 'status'> {
  const sum = (field: 'replicas' | 'availableReplicas') =>
    deployments.reduce((total, { status }) => total + (status?.[field] ?? 0), 0);
  return { status: { replicas: sum('replicas'), availableReplicas: sum('availableReplicas') } };
}

function ownChild<T extends KubeObject>(owner: KubeObject, child: T | undefined): T | undefined {
  return child && isControlledBy(child, owner) ? child : undefined;
}
