/** An API server with a witness, and namespaces on it where pods run and operators work behind proxies. */
import type { TestContext } from 'node:test';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../../../operator/controllers/kinds.ts';
import {
  DIGEST_A,
  DIGEST_B,
  Environment,
  type EnvironmentOptions,
  eventually,
  type Namespace,
} from '../environment.ts';
import { violations } from './invariants.ts';
import { Kubelet } from './kubelet.ts';
import { type BehindProxy, OperatorBehindProxy } from './operator-behind-proxy.ts';
import { Witness } from './witness.ts';

export interface Scene {
  readonly namespace: Namespace;
  /** An operator for this namespace, ended with the test. */
  start(options?: BehindProxy): Promise<OperatorBehindProxy>;
}

export class Stage {
  readonly environment: Environment;
  readonly witness: Witness;
  readonly #kubeconfig: string;

  private constructor(environment: Environment, witness: Witness, kubeconfig: string) {
    this.environment = environment;
    this.witness = witness;
    this.#kubeconfig = kubeconfig;
  }

  static async open(options: EnvironmentOptions = {}): Promise<Stage> {
    const environment = await Environment.start(options);
    const witness = await Witness.start(environment.client);
    return new Stage(environment, witness, await environment.operatorKubeconfig());
  }

  async close(): Promise<void> {
    await this.witness.stop();
    await this.environment.stop();
  }

  /** A namespace of its own; with `pods` (default) fetches end well there and pods become available. */
  async scene(t: TestContext, { pods = true } = {}): Promise<Scene> {
    const namespace = await this.environment.namespace();
    if (pods) {
      const kubelet = new Kubelet(this.witness, namespace);
      t.after(() => kubelet.stop());
    }
    const start = async (options: BehindProxy = {}) => {
      const operator = await OperatorBehindProxy.start(this.#kubeconfig, {
        namespaces: [namespace.name],
        ...options,
      });
      t.after(() => operator.stop());
      return operator;
    };
    return { namespace, start };
  }

  /** What broke so far in a namespace. */
  violations(namespace: Namespace, ...except: Parameters<typeof violations>[1] & object): string[] {
    return violations(this.witness.history(namespace.name), except);
  }
}

/** A model of a pinned package, and a deployment that serves it. */
export async function deploy(namespace: Namespace, replicas = 1): Promise<void> {
  await namespace.model('m', { source: { builtin: { name: 'b' } }, digest: DIGEST_A });
  await namespace.deployment('d', { models: [{ name: 'm' }], replicas });
}

/** Waits until what is asked for now is served in full. */
export const untilServed = (namespace: Namespace, digest: string, replicas: number) =>
  eventually(
    `${replicas} pods serve ${digest}`,
    async () => {
      const { metadata, status } = (await namespace.find(MODEL_DEPLOYMENT, 'd')) ?? {};
      return (
        status?.phase === 'Healthy' &&
        status.observedGeneration === metadata?.generation &&
        status.availableReplicas === replicas &&
        status.models?.[0]?.digest === digest
      );
    },
    60_000,
  );

/** Makes, exchanges the package, and scales: ends with two pods of DIGEST_B. */
export async function makeChangeAndScale(namespace: Namespace): Promise<void> {
  await deploy(namespace);
  await untilServed(namespace, DIGEST_A, 1);
  await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { digest: DIGEST_B } });
  await untilServed(namespace, DIGEST_B, 1);
  await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 2 } });
  await untilServed(namespace, DIGEST_B, 2);
}
