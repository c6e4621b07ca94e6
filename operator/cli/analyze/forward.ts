/** A local port whose connections end in a pod, as `kubectl port-forward` makes one. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { PortForward } from '@kubernetes/client-node';
import type { PooledKubeConfig } from '../../runtime/kube-config.ts';
import { CommandError } from '../errors.ts';
import type { Target } from './choose.ts';

/**
 * Calls `use` with the address, such as `http://127.0.0.1:40001`, and closes the port afterwards.
 * @throws CommandError where the pod could not be reached; otherwise what `use` throws
 */
export async function withForwardedPort<T>(
  config: PooledKubeConfig,
  target: Target,
  signal: AbortSignal,
  use: (origin: string) => Promise<T>,
): Promise<T> {
  const problems: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    // A connection that breaks fails the request that it carries; nothing else has to know.
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    connect(config, target, socket, (problem) => {
      problems.push(problem);
      socket.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening', { signal });
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } catch (error) {
    const [problem] = problems;
    if (problem === undefined) throw error;
    throw new CommandError(`no port of pod ${target.pod} could be forwarded: ${problem}`, 1, {
      cause: error,
    });
  } finally {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
}

function connect(
  config: PooledKubeConfig,
  { pod, namespace, port }: Target,
  socket: Socket,
  failed: (problem: string) => void,
): void {
  const complaints = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const text = chunk.toString().trim();
      if (text !== '') failed(text);
      done();
    },
  });
  new PortForward(config).portForward(namespace, pod, [port], socket, complaints, socket).then(
    (tunnel) => {
      // Without retries it is the connection itself.
      if (typeof tunnel === 'function') return;
      tunnel.onclose = () => socket.end();
      socket.on('close', () => tunnel.close());
    },
    // A WebSocket fails with an event, not with an Error.
    (reason: { readonly message?: string }) => failed(refusalOf(reason.message ?? '')),
  );
}

const refusalOf = (message: string) =>
  /response: 403\b/.test(message)
    ? 'you may not create pods/portforward'
    : message || 'the API server refused the connection';
