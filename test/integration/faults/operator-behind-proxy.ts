import { OperatorMetrics } from '../../../operator/metrics.ts';
import { createOperator, type OperatorOptions } from '../../../operator/operator.ts';
import { eventually, OPERATOR_DEFAULTS } from '../environment.ts';
import { FaultProxy, type Rule } from './fault-proxy.ts';

export interface BehindProxy extends Partial<OperatorOptions> {
  readonly rule?: Rule;
  /** Deadline of its requests, ms. */
  readonly timeoutMs?: number;
}

/** An operator of this process whose every request passes a proxy of its own. */
export class OperatorBehindProxy {
  readonly proxy: FaultProxy;
  readonly metrics: OperatorMetrics;
  /** Resolves with the error that ended it, or with undefined where it was asked to end. */
  readonly ended: Promise<unknown>;
  readonly ready: () => boolean;
  readonly #ending = new AbortController();

  private constructor(proxy: FaultProxy, { rule, timeoutMs, ...options }: BehindProxy) {
    this.proxy = proxy;
    if (rule) proxy.rule = rule;
    this.metrics = new OperatorMetrics();
    const client = proxy.client(timeoutMs === undefined ? {} : { timeoutMs });
    const operator = createOperator({ ...OPERATOR_DEFAULTS, client, metrics: this.metrics, ...options });
    this.ready = operator.ready;
    this.ended = operator.run(this.#ending.signal).then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  /** @param kubeconfigPath the API server and the user that the operator is there. */
  static async start(kubeconfigPath: string, options: BehindProxy = {}): Promise<OperatorBehindProxy> {
    return new OperatorBehindProxy(await FaultProxy.start(kubeconfigPath), options);
  }

  untilReady(): Promise<true> {
    return eventually('the operator is ready', () => this.ready());
  }

  /** Ends it from one request to the next, as a crash would: nothing that it does from now on reaches anybody. */
  async crash(): Promise<void> {
    this.proxy.cut();
    await this.stop();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.ended;
    await this.proxy.stop();
  }
}
