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
  /** An operator for this namespace, ended with the scene. */
  start(options?: BehindProxy): Promise<OperatorBehindProxy>;
  close(): Promise<void>;
}

export class Stage {
  readonly environment: Environment;
  readonly witness: Witness;
  /** Of the user that operators are. */
  readonly kubeconfig: string;

  private constructor(environment: Environment, witness: Witness, kubeconfig: string) {
    this.environment = environment;
    this.witness = witness;
    this.kubeconfig = kubeconfig;
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
  async openScene({ pods = true } = {}): Promise<Scene> {
    const namespace = await this.environment.namespace();
    const kubelet = pods ? new Kubelet(this.witness, namespace) : undefined;
    const operators: OperatorBehindProxy[] = [];
    return {
      namespace,
      start: async (options = {}) => {
        const scoped = { namespaces: [namespace.name], ...options };
        const operator = await OperatorBehindProxy.start(this.kubeconfig, scoped);
        operators.push(operator);
        return operator;
      },
      close: async () => {
        await kubelet?.stop();
        await Promise.all(operators.map((operator) => operator.stop()));
      },
    };
  }

  /** As openScene, closed with the test. */
  async scene(t: TestContext, options: { readonly pods?: boolean } = {}): Promise<Scene> {
    const scene = await this.openScene(options);
    t.after(() => scene.close());
    return scene;
  }

  /** Waits until d is told to be served in full as its spec asks now: so many pods of that package. */
  untilServed({ name }: Namespace, digest: string, replicas: number): Promise<true> {
    return eventually(
      `${replicas} pods of ${name} serve ${digest}`,
      () => {
        const { metadata, spec, status } = this.witness.live(MODEL_DEPLOYMENT, name)[0] ?? {};
        return (
          spec?.replicas === replicas &&
          status?.phase === 'Healthy' &&
          status.observedGeneration === metadata?.generation &&
          status.availableReplicas === replicas &&
          status.models?.[0]?.digest === digest
        );
      },
      60_000,
    );
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

/** Makes, exchanges the package, and scales: ends with two pods of DIGEST_B. */
export async function makeChangeAndScale(stage: Stage, namespace: Namespace): Promise<void> {
  await deploy(namespace);
  await stage.untilServed(namespace, DIGEST_A, 1);
  await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { digest: DIGEST_B } });
  await stage.untilServed(namespace, DIGEST_B, 1);
  await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 2 } });
  await stage.untilServed(namespace, DIGEST_B, 2);
}
