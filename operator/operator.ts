/** Puts the controllers together: who watches what, and in which order things start and stop. */
import type { Logger } from 'pino';
import { MANAGED_SELECTOR } from './api/names.ts';
import { DeploymentReconciler } from './controllers/deployment/controller.ts';
import type { DeviceImages } from './controllers/deployment/devices.ts';
import {
  BY_DEPLOYMENT,
  BY_PROBE,
  BY_ROUTE,
  deploymentKeyOfChild,
  deploymentKeysOfAutoscaler,
  probeKeysOf,
  routeKeysOfDeployment,
} from './controllers/deployment/indexes.ts';
import { keepReplicasOwner } from './controllers/deployment/scaling.ts';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  HPA,
  HTTP_ROUTE,
  JOB,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  NETWORK_POLICY,
  PDB,
  POD,
  POD_MONITOR,
  PVC,
  SERVICE,
} from './controllers/kinds.ts';
import { ClaimCollector } from './controllers/model/collect.ts';
import { ModelReconciler } from './controllers/model/controller.ts';
import type { RetryPolicy } from './controllers/model/fetch-state.ts';
import {
  BY_CLAIM,
  BY_MODEL,
  claimKeysOfDeployment,
  claimKeysOfModel,
  claimKeysOfPod,
  modelKeyOfChild,
  modelKeysOfDeployment,
} from './controllers/model/indexes.ts';
import type { ReadProgress } from './controllers/model/progress.ts';
import { BY_DAMAGED_MODEL, damagedModelKeys } from './controllers/model/repair.ts';
import type { InferenceImage } from './controllers/pods.ts';
import type { OperatorMetrics } from './metrics.ts';
import type { KubeClient } from './runtime/client.ts';
import { type Clock, sleep, systemClock } from './runtime/clock.ts';
import { Controller } from './runtime/controller.ts';
import { EventRecorder } from './runtime/events.ts';
import { Informer, type InformerOptions } from './runtime/informer.ts';
import { LeaderElection, type LeaderElectionOptions } from './runtime/leader-election.ts';
import {
  type Kind,
  type KubeObject,
  keyOf,
  keyText,
  type ManagedFields,
  parseKey,
  trimManagedFields,
} from './runtime/object.ts';
import { OptionalInformer } from './runtime/optional-informer.ts';

export interface OperatorOptions {
  readonly client: KubeClient;
  readonly log: Logger;
  readonly metrics: OperatorMetrics;
  readonly image: InferenceImage;
  /** Default: none, so nothing runs on an accelerator. */
  readonly deviceImages?: DeviceImages;
  /** Where this process runs; its pods may ask those that a NetworkPolicy confines. */
  readonly namespace: string;
  /** Empty: every namespace. */
  readonly namespaces?: readonly string[];
  /** This process, in events and leases. */
  readonly identity: string;
  /** undefined: lead at once. */
  readonly lease?: Pick<
    LeaderElectionOptions,
    'namespace' | 'name' | 'leaseMs' | 'renewDeadlineMs' | 'retryMs'
  >;
  readonly clock?: Clock;
  readonly retry?: RetryPolicy;
  /** How fetch pods are asked how far they are (default: over HTTP). */
  readonly readProgress?: ReadProgress;
  readonly progressMs?: number;
  /** How often to look whether a kind that a cluster may lack was installed, ms. */
  readonly optionalKindsMs?: number;
}

export interface Operator {
  /** True once every store is filled; a standby is ready too. */
  ready(): boolean;
  /** Runs until the signal aborts; rejects if leadership is lost, upon which the process has to end. */
  run(signal: AbortSignal): Promise<void>;
}

/** A renewal that is not answered by then is better asked again, ms. */
const LEASE_REQUEST_MS = 5_000;
/** What was to be told when the operator stops may take this long, ms. */
const FLUSH_MS = 5_000;
/** The controllers wait this long for kinds that a cluster may lack, ms. */
const OPTIONAL_KINDS_MS = 5_000;
const EVENT_CONTROLLER = 'deepfake-operator.io/operator';

export function createOperator(options: OperatorOptions): Operator {
  const { client, log, metrics, image, identity, clock = systemClock } = options;
  const informers: Pick<Informer<KubeObject>, 'hasSynced' | 'untilSynced' | 'run'>[] = [];
  const informed = <T extends KubeObject>(kind: Kind<T>, labelSelector?: string): InformerOptions<T> => ({
    client,
    kind,
    log,
    ...(options.namespaces === undefined ? {} : { namespaces: options.namespaces }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    reflector: { onList: () => metrics.runtime.listed(kind.kind) },
  });
  const inform = <T extends KubeObject>(
    kind: Kind<T>,
    labelSelector?: string,
    keepManaged?: (fields: ManagedFields) => readonly ManagedFields[],
  ): Informer<T> => {
    const trim = (object: T) => trimManagedFields(object, keepManaged);
    const informer = new Informer<T>({ ...informed(kind, labelSelector), trim });
    informers.push(informer);
    return informer;
  };
  const models = inform(DEEPFAKE_MODEL);
  const modelDeployments = inform(MODEL_DEPLOYMENT);
  const deployments = inform(DEPLOYMENT, MANAGED_SELECTOR, keepReplicasOwner);
  const services = inform(SERVICE, MANAGED_SELECTOR);
  const autoscalers = inform(HPA);
  const disruptionBudgets = inform(PDB, MANAGED_SELECTOR);
  const networkPolicies = inform(NETWORK_POLICY, MANAGED_SELECTOR);
  const optional = {
    clock,
    ...(options.optionalKindsMs === undefined ? {} : { checkMs: options.optionalKindsMs }),
  };
  const podMonitors = new OptionalInformer({ ...informed(POD_MONITOR, MANAGED_SELECTOR), ...optional });
  // Users' too: their weights are set.
  const httpRoutes = new OptionalInformer({ ...informed(HTTP_ROUTE), ...optional });
  const optionalKinds = [podMonitors, httpRoutes];
  const claims = inform(PVC, MANAGED_SELECTOR);
  const jobs = inform(JOB, MANAGED_SELECTOR);
  const pods = inform(POD, MANAGED_SELECTOR);

  modelDeployments.store.addIndex(BY_MODEL, modelKeysOfDeployment);
  modelDeployments.store.addIndex(BY_ROUTE, routeKeysOfDeployment);
  jobs.store.addIndex(BY_MODEL, modelKeyOfChild);
  pods.store.addIndex(BY_MODEL, modelKeyOfChild);
  pods.store.addIndex(BY_DAMAGED_MODEL, damagedModelKeys);
  models.store.addIndex(BY_CLAIM, claimKeysOfModel);
  deployments.store.addIndex(BY_CLAIM, claimKeysOfDeployment);
  pods.store.addIndex(BY_CLAIM, claimKeysOfPod);
  pods.store.addIndex(BY_DEPLOYMENT, deploymentKeyOfChild);
  deployments.store.addIndex(BY_DEPLOYMENT, deploymentKeyOfChild);
  jobs.store.addIndex(BY_PROBE, probeKeysOf);
  pods.store.addIndex(BY_PROBE, probeKeysOf);
  autoscalers.store.addIndex(BY_DEPLOYMENT, deploymentKeysOfAutoscaler);

  const election = options.lease
    ? new LeaderElection({ client: client.urgent(LEASE_REQUEST_MS), log, identity, clock, ...options.lease })
    : undefined;
  const writer = election ? client.guarded(election.guard) : client;
  const events = new EventRecorder({
    client: writer,
    log,
    controller: EVENT_CONTROLLER,
    instance: identity,
    clock,
  });
  const modelController = new Controller({
    name: 'deepfakemodel',
    log,
    observe: metrics.runtime.observe,
    reconciler: new ModelReconciler({
      client: writer,
      clock,
      events,
      image,
      models: models.store,
      deployments: modelDeployments.store,
      claims: claims.store,
      jobs: jobs.store,
      pods: pods.store,
      ...(options.retry === undefined ? {} : { retry: options.retry }),
      ...(options.readProgress === undefined ? {} : { readProgress: options.readProgress }),
      ...(options.progressMs === undefined ? {} : { progressMs: options.progressMs }),
    }),
  });
  const toModel = (child: KubeObject) => modelKeyOfChild(child).map(parseKey);
  /** Models that share a claim wait for each other, and size it and own it together. */
  const sharersOf = (claimKeys: readonly string[]) =>
    claimKeys.flatMap((key) => models.store.byIndex(BY_CLAIM, key)).map(keyOf);
  /** Of the model itself, and of those that share a claim with it. */
  const withSharers = (keys: readonly string[]) =>
    keys.flatMap((key) => {
      const model = models.store.get(parseKey(key));
      return model ? [parseKey(key), ...sharersOf(claimKeysOfModel(model))] : [];
    });
  modelController
    .watch(models, (model) => [keyOf(model), ...sharersOf(claimKeysOfModel(model))])
    .watch(modelDeployments, (deployment: ModelDeployment) => withSharers(modelKeysOfDeployment(deployment)))
    .watch(claims, (claim) => sharersOf([keyText(keyOf(claim))]))
    .watch(jobs, toModel)
    .watch(pods, (pod) => [...toModel(pod), ...damagedModelKeys(pod).map(parseKey)]);

  const toClaims = (keys: readonly string[]) => keys.map(parseKey);
  const claimController = new Controller({
    name: 'deepfakeclaim',
    log,
    observe: metrics.runtime.observe,
    reconciler: new ClaimCollector({
      client: writer,
      claims: claims.store,
      models: models.store,
      workloads: deployments.store,
      pods: pods.store,
    }),
  });
  claimController
    .watch(claims)
    .watch(models, (model) => toClaims(claimKeysOfModel(model)))
    .watch(deployments, (deployment) => toClaims(claimKeysOfDeployment(deployment)))
    .watch(pods, (pod) => toClaims(claimKeysOfPod(pod)));

  const deploymentController = new Controller({
    name: 'modeldeployment',
    log,
    observe: metrics.runtime.observe,
    reconciler: new DeploymentReconciler({
      client: writer,
      clock,
      events,
      image,
      deviceImages: options.deviceImages ?? {},
      operatorNamespace: options.namespace,
      modelDeployments: modelDeployments.store,
      models: models.store,
      deployments: deployments.store,
      services: services.store,
      autoscalers: autoscalers.store,
      disruptionBudgets: disruptionBudgets.store,
      networkPolicies: networkPolicies.store,
      podMonitors,
      httpRoutes,
      jobs: jobs.store,
      pods: pods.store,
    }),
  });
  const toDeployment = (child: KubeObject) => deploymentKeyOfChild(child).map(parseKey);
  deploymentController
    .watch(modelDeployments)
    .watch(models, (model) => modelDeployments.store.byIndex(BY_MODEL, keyText(keyOf(model))).map(keyOf))
    .watch(deployments, toDeployment)
    .watch(services, toDeployment)
    .watch(autoscalers, (autoscaler) => deploymentKeysOfAutoscaler(autoscaler).map(parseKey))
    .watch(disruptionBudgets, toDeployment)
    .watch(networkPolicies, toDeployment)
    .watch(podMonitors, toDeployment)
    .watch(httpRoutes, (route) => [
      ...toDeployment(route),
      ...modelDeployments.store.byIndex(BY_ROUTE, keyText(keyOf(route))).map(keyOf),
    ])
    .watch(jobs, (job) => probeKeysOf(job).map(parseKey))
    .watch(pods, (pod) => [...toDeployment(pod), ...probeKeysOf(pod).map(parseKey)]);
  podMonitors.onStateChange(() => {
    for (const deployment of modelDeployments.store.list()) {
      if (deployment.spec.monitoring) deploymentController.add(keyOf(deployment));
    }
  });

  httpRoutes.onStateChange(() => {
    for (const deployment of modelDeployments.store.list()) {
      if (routeKeysOfDeployment(deployment).length > 0) deploymentController.add(keyOf(deployment));
    }
  });

  const controllers = [modelController, claimController, deploymentController];
  const ready = () => informers.every((informer) => informer.hasSynced());
  let leads = false;
  metrics.state.watch(() =>
    leads ? { models: models.store.list(), deployments: modelDeployments.store.list() } : undefined,
  );
  const setLeading = (now: boolean) => {
    leads = now;
    if (options.lease) metrics.runtime.leading(options.lease.name, now);
  };
  setLeading(false);

  /** Before that every PodMonitor and HTTPRoute would be told as missing. Not for ever: the operator may not be allowed to list them. */
  const optionalKindsKnown = async (signal: AbortSignal) => {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(OPTIONAL_KINDS_MS)]);
    const settled = () => optionalKinds.every((kind) => kind.settled());
    while (!settled() && !patience.aborted) await sleep(clock, 50, patience);
  };

  /** A process that cannot fill its stores must not keep the Lease from one that can. */
  const prepare = async (signal: AbortSignal) => {
    await Promise.all(informers.map((informer) => informer.untilSynced(signal)));
    await optionalKindsKnown(signal);
  };

  /** Controllers run only while this process leads, and have ended when the lease is given back. */
  const lead = async (signal: AbortSignal) => {
    setLeading(true);
    log.info('leading');
    await Promise.all(controllers.map((controller) => controller.run(signal)));
    await events.flush(AbortSignal.timeout(FLUSH_MS));
    setLeading(false);
  };

  const runElected = async (signal: AbortSignal, elected: LeaderElection) => {
    if (!(await elected.acquire(signal))) return;
    const worked = new AbortController();
    const leading = AbortSignal.any([signal, elected.guard.signal]);
    const controllersDone = lead(leading).finally(() => worked.abort());
    await elected.hold(worked.signal);
    await controllersDone;
  };

  return {
    ready,
    run: async (signal) => {
      const ending = new AbortController();
      const watching = AbortSignal.any([signal, ending.signal]);
      const watches = Promise.all([...informers, ...optionalKinds].map((informer) => informer.run(watching)));
      try {
        await prepare(watching);
        if (watching.aborted) return;
        if (election) await runElected(watching, election);
        else await lead(watching);
      } finally {
        ending.abort();
        await watches;
      }
    },
  };
}
