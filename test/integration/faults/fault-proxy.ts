/**
 * Stands between one operator and the API server, knows every request of it, and can lose, answer, hold or forward each.
 * Plain HTTP towards the operator; towards the API server it is the user of a kubeconfig.
 */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeClient } from '../../../operator/runtime/client.ts';
import { PooledKubeConfig } from '../../../operator/runtime/kube-config.ts';
import { LEASE } from '../../../operator/runtime/leader-election.ts';

export interface Call {
  readonly method: string;
  /** Without query. */
  readonly path: string;
  readonly body: string;
  readonly watch: boolean;
  /** Changes something. */
  readonly write: boolean;
  /** Renews or takes a Lease. */
  readonly lease: boolean;
  /** When it was passed on to the API server, ms; undefined if it never was. */
  forwardedAt?: number;
  /** The API server's answer; undefined if there was none. */
  status?: number;
  /** What the rule did to it. */
  fault?: Fault['do'];
}

export type Fault =
  | { readonly do: 'answer'; readonly status: number; readonly reason: string; readonly retryAfterS?: number }
  /** The connection is reset before the API server hears of it. */
  | { readonly do: 'lose-request' }
  /** It takes effect, and the connection is reset instead of the answer. */
  | { readonly do: 'lose-answer' }
  /** It takes effect, and the connection is reset in the middle of the answer. */
  | { readonly do: 'cut-answer' }
  /** Nothing happens at all, and the connection stays open. */
  | { readonly do: 'silence' }
  | { readonly do: 'delay'; readonly ms: number }
  /** The network keeps it until then, and brings it even if the sender has given up. */
  | { readonly do: 'deliver-late'; readonly after: Promise<void> };

/** What to do with a request; it may change the world first. */
export type Rule = (call: Call) => Fault | undefined | Promise<Fault | undefined>;

/** Does something once, before the first request that is `met` reaches the API server. */
export function before(met: (call: Call) => boolean, action: (call: Call) => Promise<unknown>): Rule {
  let done = false;
  return async (call) => {
    if (done || !met(call)) return undefined;
    done = true;
    await action(call);
    return undefined;
  };
}

/** Holds for the nth write that changes more than a Lease or an Event. */
export function nthWrite(n: number): (call: Call) => boolean {
  let seen = 0;
  return (call) => {
    if (isEffect(call)) seen += 1;
    return isEffect(call) && seen === n;
  };
}

/** Changes more than a Lease or an Event. */
export const isEffect = ({ write, lease, path }: Call) => write && !lease && !path.endsWith('/events');

interface Credentials {
  readonly server: string;
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export class FaultProxy {
  /** Everything that was asked, in order. */
  readonly calls: Call[] = [];
  rule: Rule = () => undefined;
  /** Bytes reach nobody in either direction, and nobody is told. */
  frozen = false;
  readonly #credentials: Credentials;
  readonly #agent: Agent;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #clients: KubeClient[] = [];
  #down = false;

  private constructor(credentials: Credentials) {
    this.#credentials = credentials;
    const { ca, cert, key } = credentials;
    this.#agent = new Agent({ keepAlive: true, ca, cert, key });
    this.#server = createServer((incoming, outgoing) => {
      // A connection that ends in the middle is what this is for.
      this.#serve(incoming, outgoing).catch(() => outgoing.destroy());
    });
    this.#server.on('connection', (socket) => {
      if (this.#down) socket.destroy();
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.requestTimeout = 0;
  }

  /** @param kubeconfigPath as ControlPlane.kubeconfigFor writes it. */
  static async start(kubeconfigPath: string): Promise<FaultProxy> {
    const { clusters, users } = JSON.parse(await readFile(kubeconfigPath, 'utf8'));
    const decoded = (text: string) => Buffer.from(text, 'base64');
    const proxy = new FaultProxy({
      server: clusters[0].cluster.server,
      ca: decoded(clusters[0].cluster['certificate-authority-data']),
      cert: decoded(users[0].user['client-certificate-data']),
      key: decoded(users[0].user['client-key-data']),
    });
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get kubeconfig(): string {
    const server = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'proxy', cluster: { server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'proxy', user: {} }],
      contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'proxy' } }],
      'current-context': 'proxy',
    });
  }

  /** For a process. */
  async writeKubeconfig(folder: string, name: string): Promise<string> {
    const path = join(folder, `${name}.kubeconfig`);
    await writeFile(path, this.kubeconfig, { mode: 0o600 });
    return path;
  }

  /** A client through this proxy, closed with it. */
  client(options: { readonly timeoutMs?: number } = {}): KubeClient {
    const config = new PooledKubeConfig();
    config.loadFromString(this.kubeconfig);
    const client = new KubeClient(config, options);
    this.#clients.push(client);
    return client;
  }

  /** Writes that reached the API server, Leases and events left out. */
  get writes(): Call[] {
    return this.calls.filter((call) => isEffect(call) && call.forwardedAt !== undefined);
  }

  /** Resets every connection, and every later one. */
  cut(): void {
    this.#down = true;
    this.resetConnections();
  }

  /** Ends what is cut or frozen; connections from before stay dead. */
  mend(): void {
    this.resetConnections();
    this.#down = false;
    this.frozen = false;
  }

  resetConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await Promise.all(this.#clients.map((client) => client.config.close()));
    this.#agent.destroy();
    this.#server.close();
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await read(incoming);
    const call = describe(incoming, body.toString());
    this.calls.push(call);
    const fault = this.frozen ? ({ do: 'silence' } as const) : await this.rule(call);
    if (fault) call.fault = fault.do;
    // Whoever waited for the rule may be cut off by now.
    if (this.#down || outgoing.destroyed) return;
    switch (fault?.do) {
      case 'answer':
        return answer(outgoing, fault);
      case 'lose-request':
        outgoing.socket?.resetAndDestroy();
        return;
      case 'silence':
        return;
      case 'delay':
        await sleep(fault.ms);
        if (outgoing.destroyed) return;
        break;
      case 'deliver-late':
        await fault.after;
    }
    call.forwardedAt = Date.now();
    const reply = await this.#forward(incoming, body, outgoing);
    call.status = reply.statusCode ?? 0;
    if (fault?.do === 'lose-answer') {
      // A watch has no end to wait for.
      if (!call.watch) await read(reply);
      outgoing.socket?.resetAndDestroy();
      return;
    }
    if (call.watch) return this.#stream(reply, outgoing, fault?.do === 'cut-answer');
    const text = await read(reply);
    if (outgoing.destroyed) return;
    if (this.frozen) return;
    outgoing.writeHead(call.status, {
      'content-type': reply.headers['content-type'],
      'content-length': text.length,
    });
    if (fault?.do !== 'cut-answer') {
      outgoing.end(text);
      return;
    }
    outgoing.write(text.subarray(0, text.length / 2), () => outgoing.socket?.resetAndDestroy());
  }

  #forward(incoming: IncomingMessage, body: Buffer, outgoing: ServerResponse): Promise<IncomingMessage> {
    const { server } = this.#credentials;
    const { host: _host, connection: _connection, ...headers } = incoming.headers;
    return new Promise((resolve, reject) => {
      const upstream = request(
        new URL(incoming.url ?? '/', server),
        { method: incoming.method ?? 'GET', headers, agent: this.#agent },
        resolve,
      );
      upstream.on('error', reject);
      // A watch ends with its client; what changes something was sent and takes effect.
      outgoing.on('close', () => incoming.method === 'GET' && upstream.destroy());
      upstream.end(body);
    });
  }

  /** @param cut after the first event. */
  #stream(reply: IncomingMessage, outgoing: ServerResponse, cut: boolean): void {
    outgoing.writeHead(reply.statusCode ?? 500, { 'content-type': reply.headers['content-type'] });
    outgoing.flushHeaders();
    reply.on('data', (chunk: Buffer) => {
      if (this.frozen) return;
      if (!cut) outgoing.write(chunk);
      else outgoing.write(chunk.subarray(0, chunk.length / 2), () => outgoing.socket?.resetAndDestroy());
    });
    reply.on('end', () => this.frozen || outgoing.end());
    reply.on('error', () => this.frozen || outgoing.destroy());
  }
}

function describe({ method = 'GET', url = '/' }: IncomingMessage, body: string): Call {
  const { pathname, searchParams } = new URL(url, 'http://proxy');
  return {
    method,
    path: pathname,
    body,
    watch: searchParams.get('watch') === 'true',
    write: method !== 'GET',
    lease: pathname.includes(`/${LEASE.plural}`),
  };
}

async function read(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function answer(outgoing: ServerResponse, { status, reason, retryAfterS }: Fault & { do: 'answer' }): void {
  if (retryAfterS !== undefined) outgoing.setHeader('retry-after', retryAfterS);
  outgoing.writeHead(status, { 'content-type': 'application/json' });
  const message = `the test says ${reason}`;
  outgoing.end(
    JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, reason, message }),
  );
}
