/** A real API server with our kinds, and somebody who plays kubelet and the controllers that do not run here. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { pino } from 'pino';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  startControlPlane,
} from '../../hack/lib/control-plane.ts';
import { ensureBinaries } from '../../hack/lib/toolchain.ts';
import { eventually } from '../../hack/lib/waiting.ts';
import { customResourceDefinition } from '../../operator/api/crd.ts';
import { deepfakeModelDefinition } from '../../operator/api/deepfake-model.ts';
import { modelDeploymentDefinition } from '../../operator/api/model-deployment.ts';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  type DeepfakeModel,
  type Deployment,
  JOB,
  type Job,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  POD,
  type Pod,
} from '../../operator/controllers/kinds.ts';
import { OperatorMetrics } from '../../operator/metrics.ts';
import { createOperator, type OperatorOptions } from '../../operator/operator.ts';
import { CLUSTER_RULES, RECONCILE_RULES } from '../../operator/rbac.ts';
import { KubeClient } from '../../operator/runtime/client.ts';
import type { Kind, KubeObject } from '../../operator/runtime/object.ts';

/**
 * Node.js 24 may spin for ever when it tears itself down after connections were cut in mid-request: all tests have been told of
 * by then, and the process never ends. To exit from the `exit` event leaves the tear-down out.
 */
process.once('exit', (code) => process.exit(code));

export { eventually };

/** What `read` says once it says the same for a second: whoever was still at work has ended. */
export async function atRest<T>(what: string, read: () => Promise<T>): Promise<T> {
  let last = await read();
  await eventually(`${what} come to rest`, async () => {
    await sleep(1_000);
    const before = last;
    last = await read();
    return isDeepStrictEqual(last, before);
  });
  return last;
}

export const silent = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });
export const IMAGE = { name: 'registry.test/inference:1', pullPolicy: 'IfNotPresent' } as const;
export const DIGEST_A = `sha256:${'a'.repeat(64)}`;
export const DIGEST_B = `sha256:${'b'.repeat(64)}`;

const clusterScoped = (apiVersion: string, kind: string, plural: string): Kind => ({
  apiVersion,
  kind,
  plural,
  namespaced: false,
});
export const CRD = clusterScoped(
  'apiextensions.k8s.io/v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
);
export const NAMESPACE = clusterScoped('v1', 'Namespace', 'namespaces');
const CLUSTER_ROLE = clusterScoped('rbac.authorization.k8s.io/v1', 'ClusterRole', 'clusterroles');
const BINDING = clusterScoped('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', 'clusterrolebindings');
const SERVICE_ACCOUNT: Kind = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  namespaced: true,
};

const OPERATOR_USER = 'the-operator';

/** How tests run the operator: quiet, with an image that nobody pulls, and fetches that are soon tried again. */
export const OPERATOR_DEFAULTS = {
  log: silent,
  image: IMAGE,
  identity: 'operator-under-test',
  namespace: 'operators',
  retry: { soon: { baseMs: 2_000, capMs: 2_000 }, seldom: { baseMs: 3_000, capMs: 3_000 } },
} as const;

export interface EnvironmentOptions {
  /** Runs the controllers of Kubernetes itself: garbage collection, Jobs, Deployments. */
  readonly controllerManager?: boolean;
  /** Further arguments of the programs, to switch off what a cluster may lack. */
  readonly extraArguments?: NonNullable<ControlPlaneOptions['extraArguments']>;
}

export class Environment {
  readonly controlPlane: ControlPlane;
  /** An administrator. */
  readonly client: KubeClient;
  readonly #start: ControlPlaneOptions;
  #namespaces = 0;

  private constructor(controlPlane: ControlPlane, start: ControlPlaneOptions) {
    this.controlPlane = controlPlane;
    this.#start = start;
    this.client = KubeClient.fromFile(controlPlane.kubeconfigPath);
  }

  static async start(options: EnvironmentOptions = {}): Promise<Environment> {
    const binaries = await ensureBinaries(
      [
        'etcd',
        'kube-apiserver',
        ...(options.controllerManager ? (['kube-controller-manager'] as const) : []),
      ],
      (line) => process.stderr.write(`${line}\n`),
    );
    const dataDir = await mkdtemp(join(tmpdir(), 'deepfake-operator-it-'));
    const start = { dataDir, binaries, ...options };
    const environment = new Environment(await startControlPlane(start), start);
    await environment.#prepare();
    return environment;
  }

  async stop(): Promise<void> {
    await this.client.config.close();
    await this.controlPlane.stop();
    await rm(this.#start.dataDir, { recursive: true, force: true });
  }

  /** Ends API server and etcd, and starts them again on the same data and ports. */
  async restart(): Promise<void> {
    await this.controlPlane.stop();
    await startControlPlane({ ...this.#start, ports: this.controlPlane.ports });
  }

  async #prepare(): Promise<void> {
    const fieldManager = 'test';
    for (const definition of [deepfakeModelDefinition, modelDeploymentDefinition]) {
      const crd = customResourceDefinition(definition) as never;
      await this.client.apply(CRD, crd, { fieldManager });
    }
    for (const kind of [DEEPFAKE_MODEL, MODEL_DEPLOYMENT]) {
      await eventually(`${kind.plural} are served`, () => this.client.list(kind as Kind));
    }
    const metadata = { name: 'the-operator' };
    const { apiVersion } = CLUSTER_ROLE;
    // The chart gives leader election a Role of its own.
    const leases = {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      verbs: ['get', 'create', 'patch'],
    };
    const rules = [...RECONCILE_RULES, ...CLUSTER_RULES, leases];
    await this.client.create(CLUSTER_ROLE, {
      apiVersion,
      kind: 'ClusterRole',
      metadata,
      rules,
    } as KubeObject);
    await this.client.create(BINDING, {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: OPERATOR_USER }],
    } as KubeObject);
  }

  async namespace(): Promise<Namespace> {
    this.#namespaces += 1;
    const name = `test-${this.#namespaces}`;
    await this.client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    // The controller that makes it may not run here, and pods need one.
    const account = {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: name },
    };
    await this.client.apply(SERVICE_ACCOUNT, account, { fieldManager: 'test' });
    return new Namespace(this.client, name, this.#start.controllerManager ?? false);
  }

  /** Authenticates with exactly the rights that the operator says it needs. */
  operatorKubeconfig(): Promise<string> {
    return this.controlPlane.kubeconfigFor('operator', OPERATOR_USER);
  }

  async runOperator(
    options: Partial<OperatorOptions> = {},
  ): Promise<{ readonly metrics: OperatorMetrics; stop(): Promise<void> }> {
    const metrics = new OperatorMetrics();
    const client = KubeClient.fromFile(await this.operatorKubeconfig(), {
      onRequest: metrics.runtime.requested,
    });
    const operator = createOperator({ ...OPERATOR_DEFAULTS, client, metrics, ...options });
    const ending = new AbortController();
    const running = operator.run(ending.signal);
    await eventually('the operator is ready', () => operator.ready());
    return {
      metrics,
      stop: async () => {
        ending.abort();
        await running;
        await client.config.close();
      },
    };
  }
}

/** Objects of one namespace: made with defaults, read back, and moved along as kubelet would. */
export class Namespace {
  readonly name: string;
  readonly #client: KubeClient;
  readonly #jobController: boolean;

  constructor(client: KubeClient, name: string, jobController: boolean) {
    this.#client = client;
    this.name = name;
    this.#jobController = jobController;
  }

  model(name: string, spec: object = { source: { builtin: { name } } }): Promise<DeepfakeModel> {
    const { apiVersion, kind } = DEEPFAKE_MODEL;
    const object = { apiVersion, kind, metadata: { name, namespace: this.name }, spec };
    return this.#client.create(DEEPFAKE_MODEL, object as unknown as DeepfakeModel);
  }

  deployment(name: string, spec: object): Promise<ModelDeployment> {
    const { apiVersion, kind } = MODEL_DEPLOYMENT;
    const object = { apiVersion, kind, metadata: { name, namespace: this.name }, spec };
    return this.#client.create(MODEL_DEPLOYMENT, object as unknown as ModelDeployment);
  }

  find<T extends KubeObject>(kind: Kind<T>, name: string): Promise<T | undefined> {
    return this.#client.find(kind, { namespace: this.name, name });
  }

  async list<T extends KubeObject>(kind: Kind<T>): Promise<readonly T[]> {
    return (await this.#client.list(kind, { namespace: this.name })).items;
  }

  patch<T extends KubeObject>(kind: Kind<T>, name: string, body: object, subresource?: string): Promise<T> {
    const options = subresource === undefined ? {} : { subresource };
    return this.#client.patch(kind, { namespace: this.name, name }, body, options);
  }

  create<T extends KubeObject>(kind: Kind<T>, object: T): Promise<T> {
    const { apiVersion, kind: name } = kind;
    return this.#client.create(kind, { apiVersion, kind: name, ...object });
  }

  delete(kind: Kind, name: string): Promise<void> {
    return this.#client.delete(kind, { namespace: this.name, name });
  }

  /** Waits for an object of which `accept` holds. */
  until<T extends KubeObject>(kind: Kind<T>, name: string, accept: (object: T) => boolean, what: string) {
    return eventually(`${kind.kind} ${name} ${what}`, async () => {
      const found = await this.find(kind, name);
      return found && accept(found) ? found : undefined;
    });
  }

  untilModel(name: string, phase: string): Promise<DeepfakeModel> {
    return this.until(DEEPFAKE_MODEL, name, ({ status }) => status?.phase === phase, `is ${phase}`);
  }

  untilDeployment(name: string, phase: string): Promise<ModelDeployment> {
    return this.until(MODEL_DEPLOYMENT, name, ({ status }) => status?.phase === phase, `is ${phase}`);
  }

  /** The Job that fetches a model and has not ended. */
  fetchJob(model: string): Promise<Job> {
    return eventually(`a fetch Job of ${model}`, async () =>
      (await this.list(JOB)).find(
        ({ metadata, status }) =>
          metadata.labels?.['deepfake-operator.io/model'] === model &&
          metadata.deletionTimestamp === undefined &&
          !status?.conditions?.length,
      ),
    );
  }

  /** Plays kubelet, and the Job controller where none runs: one pod that ends with the given last words. */
  async endFetch(model: string, ending: object | ((job: Job) => object)): Promise<Job> {
    const job = await this.fetchJob(model);
    const lastWords = typeof ending === 'function' ? ending(job) : ending;
    const exitCode = 'error' in lastWords ? 1 : 0;
    const pod = await this.#podOf(job);
    const terminated = {
      exitCode,
      message: JSON.stringify(lastWords),
      reason: exitCode ? 'Error' : 'Completed',
    };
    const container = { name: 'fetch', image: IMAGE.name, imageID: '', ready: false, restartCount: 0 };
    const podStatus = {
      phase: exitCode ? 'Failed' : 'Succeeded',
      containerStatuses: [{ ...container, state: { terminated } }],
    };
    await this.patch(POD, pod.metadata.name, { status: podStatus }, 'status');
    if (!this.#jobController) await this.#endJob(job.metadata.name, exitCode === 0);
    return job;
  }

  async #podOf({ metadata, spec }: Job): Promise<Pod> {
    const { name, uid = '' } = metadata;
    if (this.#jobController) {
      return eventually(`the pod of Job ${name}`, async () =>
        (await this.list(POD)).find((pod) => pod.metadata.labels?.['job-name'] === name),
      );
    }
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true };
    const labels = spec?.template.metadata?.labels ?? {};
    const podMetadata = { name: `${name}-pod`, namespace: this.name, labels, ownerReferences: [owner] };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: podMetadata, spec: spec?.template.spec };
    // It is there if an earlier try to end this fetch failed half-way.
    return (await this.find(POD, podMetadata.name)) ?? this.#client.create(POD, pod as Pod);
  }

  async #endJob(name: string, succeeded: boolean): Promise<void> {
    const now = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    const condition = (type: string) => ({
      type,
      status: 'True',
      lastTransitionTime: now,
      reason: 'Test',
      message: '',
    });
    const status = succeeded
      ? {
          succeeded: 1,
          completionTime: now,
          conditions: [condition('SuccessCriteriaMet'), condition('Complete')],
        }
      : { failed: 1, conditions: [condition('FailureTarget'), condition('Failed')] };
    await this.patch(JOB, name, { status: { startTime: now, ...status } }, 'status');
  }

  /** A model that was fetched and verified. */
  async readyModel(name: string, digest = DIGEST_A): Promise<DeepfakeModel> {
    await this.model(name);
    await this.endFetch(name, fetched({ digest }));
    return this.untilModel(name, 'Ready');
  }

  /** Plays the Deployment controller and kubelet: every pod wanted is there and available. */
  async runPods(name: string, replicas = 1): Promise<Deployment> {
    const { metadata } = await this.until(DEPLOYMENT, name, () => true, 'exists');
    const counts = {
      replicas,
      updatedReplicas: replicas,
      readyReplicas: replicas,
      availableReplicas: replicas,
    };
    const conditions = [
      { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: '' },
    ];
    const status = { observedGeneration: metadata.generation, ...counts, conditions };
    return this.patch(DEPLOYMENT, name, { status }, 'status');
  }
}

/** What a fetch reports that went well. */
export const fetched = (changes: { digest?: string; version?: string; modality?: string } = {}) => {
  const { digest = DIGEST_A, version = '0.1.0', modality = 'image' } = changes;
  return {
    digest,
    sizeBytes: 1_234_567,
    durationMs: 42.5,
    card: {
      name: 'image-residual-cnn',
      version,
      modality,
      status: 'demonstration',
      thresholds: { low: 0.3, high: 0.7 },
      evaluation: [{ dataset: 'held-out', metric: 'AUC', value: 0.9 }],
    },
  };
};

export const conditionOf = (object: DeepfakeModel | ModelDeployment, type: string) =>
  object.status?.conditions?.find((condition) => condition.type === type);
