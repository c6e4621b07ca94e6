import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { messageOf } from './runtime/errors.ts';

/** Serves /healthz, /readyz and /metrics; resolves with the port once it listens. */
export function startServer(
  port: number,
  registry: Registry,
  ready: () => boolean,
): Promise<{ readonly server: Server; readonly port: number }> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        response.end('ok\n');
        return;
      case '/readyz':
        response.writeHead(ready() ? 200 : 503).end(ready() ? 'ok\n' : 'stores are being filled\n');
        return;
      case '/metrics': {
        const metrics = await registry.metrics();
        response.writeHead(200, { 'content-type': registry.contentType }).end(metrics);
        return;
      }
      default:
        response.writeHead(404).end('there are /healthz, /readyz and /metrics\n');
    }
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.writeHead(500).end(`${messageOf(error)}\n`);
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve({ server, port: (server.address() as AddressInfo).port }));
  });
}
