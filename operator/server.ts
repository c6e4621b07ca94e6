import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

/** Serves /healthz, /readyz and /metrics; resolves with the port once it listens. */
export function startServer(
  port: number,
  registry: Registry,
  ready: () => boolean,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer(async (request, response) => {
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        response.end('ok\n');
        return;
      case '/readyz':
        response.writeHead(ready() ? 200 : 503).end(ready() ? 'ok\n' : 'stores are being filled\n');
        return;
      case '/metrics':
        response.setHeader('content-type', registry.contentType);
        response.end(await registry.metrics());
        return;
      default:
        response.writeHead(404).end('there are /healthz, /readyz and /metrics\n');
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve({ server, port: (server.address() as AddressInfo).port }));
  });
}
