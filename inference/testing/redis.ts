/** A real Redis for tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** Must never be found in a log. */
export const redisPassword = 'hunter2';

/** A redis-server process on one port that can go and come back. */
export class RedisServer {
  readonly url: string;
  readonly #port: number;
  #process: ChildProcess | undefined;

  constructor(port: number) {
    this.#port = port;
    this.url = `redis://:${redisPassword}@127.0.0.1:${port}`;
  }

  async start(): Promise<void> {
    const options = {
      port: this.#port,
      bind: '127.0.0.1',
      requirepass: redisPassword,
      save: '',
      appendonly: 'no',
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process = child;
    process.once('exit', () => child.kill('SIGKILL'));
    for await (const line of createInterface(child.stdout))
      if (line.includes('Ready to accept connections')) return;
    throw new Error('redis-server did not start');
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

/** A port of this machine on which nobody listens. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}
