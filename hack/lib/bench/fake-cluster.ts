/**
 * A real control plane with nodes and kubelets that kwok plays: API server, etcd, scheduler and controller manager do what
 * they do anywhere, only no container ever runs.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { customResourceDefinition } from '../../../operator/api/crd.ts';
import { deepfakeModelDefinition } from '../../../operator/api/deepfake-model.ts';
import { modelDeploymentDefinition } from '../../../operator/api/model-deployment.ts';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../../../operator/api/names.ts';
import { CLUSTER_RULES, RECONCILE_RULES } from '../../../operator/rbac.ts';
import { KubeClient } from '../../../operator/runtime/client.ts';
import type { Applied, Kind, KubeObject } from '../../../operator/runtime/object.ts';
import { type ControlPlane, startControlPlane } from '../control-plane.ts';
import { startDaemon, stopDaemon } from '../process.ts';
import { eventually, inParallel } from '../waiting.ts';
import { AuditLog, auditPolicy } from './audit.ts';
import { kwokArguments, kwokConfig } from './kwok.ts';
import { usageOf } from './process-usage.ts';
import {
  BINDING,
  CLUSTER_ROLE,
  CRD,
  NAMESPACE,
  NAMESPACE_NAME,
  NODE,
  nodes,
  PERSISTENT_VOLUME,
  STORAGE_CLASS,
  storage,
} from './workload.ts';

/** Whom the audit log counts: the operator, and after it the reference. */
const CONTROLLER_USER = 'bench-controller';
const FIELD_MANAGER = 'bench';

/** Without these the controllers of Kubernetes wait for their own rate limits, and nothing else would be measured. */
const UNLIMITED = ['--kube-api-qps=5000', '--kube-api-burst=5000'];

/** As Kubernetes has it; a local cluster of ours is set to ask more often. */
export const AUTOSCALER_PERIOD_S = 15;

export interface FakeClusterOptions {
  /** Folder of etcd, kube-apiserver, kube-controller-manager and kube-scheduler. */
  readonly controlPlanePrograms: string;
  /** Folder of kwok. */
  readonly benchPrograms: string;
  /** How many ModelDeployments are to find a GPU. */
  readonly deployments: number;
}

export class FakeCluster {
  readonly controlPlane: ControlPlane;
  /** An administrator. */
  readonly client: KubeClient;
  /** What the operator or the reference asked for. */
  readonly audit: AuditLog;
  readonly folder: string;

  private constructor(folder: string, controlPlane: ControlPlane, audit: AuditLog) {
    this.folder = folder;
    this.controlPlane = controlPlane;
    this.client = KubeClient.fromFile(controlPlane.kubeconfigPath);
    this.audit = audit;
  }

  static async start(options: FakeClusterOptions): Promise<FakeCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'deepfake-operator-bench-'));
    const policy = join(folder, 'audit-policy.json');
    const auditLog = join(folder, 'audit.log');
    writeFileSync(policy, JSON.stringify(auditPolicy(CONTROLLER_USER)));
    writeFileSync(auditLog, '');
    const controlPlane = await startControlPlane({
      dataDir: folder,
      binaries: options.controlPlanePrograms,
      controllerManager: true,
      scheduler: true,
      extraArguments: {
        'kube-apiserver': [`--audit-policy-file=${policy}`, `--audit-log-path=${auditLog}`],
        'kube-controller-manager': [
          ...UNLIMITED,
          `--horizontal-pod-autoscaler-sync-period=${AUTOSCALER_PERIOD_S}s`,
        ],
        'kube-scheduler': UNLIMITED,
      },
    });
    const cluster = new FakeCluster(folder, controlPlane, new AuditLog(auditLog));
    try {
      await cluster.#prepare(options);
    } catch (error) {
      await cluster.#end();
      throw error;
    }
    return cluster;
  }

  /** A kubeconfig with exactly the rights that the operator says it needs, and a Lease. */
  controllerKubeconfig(): Promise<string> {
    return this.controlPlane.kubeconfigFor('controller', CONTROLLER_USER);
  }

  get logDirectory(): string {
    return join(this.folder, 'run');
  }

  /** CPU time of the control plane and kwok since their start, s. */
  cpuSeconds(): number {
    const records = [...this.controlPlane.processes, ...this.#daemons];
    return records.reduce((total, { pid }) => total + usageOf(pid).cpuSeconds, 0);
  }

  /** Ends everything; `keep` leaves the folder with its logs. */
  async stop(keep: boolean): Promise<void> {
    await this.#end();
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }

  async #end(): Promise<void> {
    await this.client.config.close();
    for (const record of this.#daemons) await stopDaemon(this.logDirectory, record, 2_000);
    await this.controlPlane.stop();
  }

  readonly #daemons: Awaited<ReturnType<typeof startDaemon>>[] = [];

  async #prepare({ benchPrograms, deployments }: FakeClusterOptions): Promise<void> {
    for (const definition of [deepfakeModelDefinition, modelDeploymentDefinition]) {
      await this.#apply(CRD, customResourceDefinition(definition) as unknown as KubeObject);
    }
    for (const kind of [DEEPFAKE_MODEL, MODEL_DEPLOYMENT]) {
      await eventually(`${kind.plural} are served`, () => this.client.list(kind as Kind), 30_000);
    }
    await this.#allow();
    await this.#apply(NAMESPACE, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: NAMESPACE_NAME },
    });
    const { storageClass, volumes } = storage();
    await this.#apply(STORAGE_CLASS, storageClass);
    await inParallel(volumes, (volume) => this.#apply(PERSISTENT_VOLUME, volume));
    const config = join(this.folder, 'kwok.yaml');
    writeFileSync(config, kwokConfig());
    const args = kwokArguments(this.controlPlane.kubeconfigPath, config);
    const kwok = { name: 'kwok', command: join(benchPrograms, 'kwok'), args, outlivesCaller: false };
    this.#daemons.push(await startDaemon(this.logDirectory, kwok));
    await inParallel(nodes(deployments), (node) => this.client.create(NODE, node));
    await eventually('every node is ready', () => this.#nodesReady(), 60_000);
  }

  async #nodesReady(): Promise<boolean> {
    const { items } = await this.client.list(NODE as Kind<FakeNode>);
    return items.every(
      ({ spec, status }) =>
        !spec?.taints?.length &&
        status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
    );
  }

  async #allow(): Promise<void> {
    const name = CONTROLLER_USER;
    const group = 'rbac.authorization.k8s.io';
    const lease = {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      verbs: ['get', 'create', 'update', 'patch'],
    };
    const { apiVersion } = CLUSTER_ROLE;
    const role = {
      apiVersion,
      kind: 'ClusterRole',
      metadata: { name },
      rules: [...RECONCILE_RULES, ...CLUSTER_RULES, lease],
    };
    const binding = {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name },
      subjects: [{ apiGroup: group, kind: 'User', name: CONTROLLER_USER }],
    };
    await this.#apply(CLUSTER_ROLE, role);
    await this.#apply(BINDING, binding);
  }

  #apply(kind: Kind, object: KubeObject): Promise<KubeObject> {
    return this.client.apply(kind, object as Applied, { fieldManager: FIELD_MANAGER });
  }
}

interface FakeNode extends KubeObject {
  readonly spec?: { readonly taints?: readonly unknown[] };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}
