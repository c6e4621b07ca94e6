import type { RequestOptions } from 'node:https';
import { KubeConfig, type RequestContext } from '@kubernetes/client-node';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';

/**
 * A KubeConfig whose requests share one connection pool; client-node's own makes a new one per call. The pool is replaced
 * only when the TLS material changes (rotated certificates). HTTP/1.1 on purpose: a dead connection then takes one
 * request or watch with it, and each of those has its own timeout.
 */
export class PooledKubeConfig extends KubeConfig {
  #pool: { readonly material: string; readonly dispatcher: Dispatcher } | undefined;

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    const options: RequestOptions = {};
    await this.applyToHTTPSOptions(options);
    for (const [name, value] of Object.entries(options.headers ?? {})) {
      context.setHeaderParam(name, String(value));
    }
    if (options.auth) {
      context.setHeaderParam('Authorization', `Basic ${Buffer.from(options.auth).toString('base64')}`);
    }
    context.setDispatcher(this.#dispatcherFor(options));
  }

  #dispatcherFor({ ca, cert, key, rejectUnauthorized, servername }: RequestOptions): Dispatcher {
    const tls = {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
      ...(servername === undefined ? {} : { servername }),
    } as { ca?: string; cert?: string; key?: string; rejectUnauthorized?: boolean; servername?: string };
    const proxyUrl = this.getCurrentCluster()?.proxyUrl;
    const material = JSON.stringify([tls, proxyUrl]);
    if (this.#pool?.material !== material) {
      const old = this.#pool?.dispatcher;
      const common = { allowH2: false, keepAliveTimeout: 30_000 };
      const dispatcher = proxyUrl
        ? new ProxyAgent({ ...common, uri: proxyUrl, requestTls: tls })
        : new Agent({ ...common, connect: { ...tls, timeout: 10_000 } });
      this.#pool = { material, dispatcher };
      // Lets running requests end; long watches move to the new pool when they are renewed.
      old?.close().catch(() => undefined);
    }
    return this.#pool.dispatcher;
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    await this.#pool?.dispatcher.destroy();
    this.#pool = undefined;
  }
}
