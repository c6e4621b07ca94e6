import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { fastify } from 'fastify';
import { closeUnusedConnections } from './unused-connections.ts';

test('a server that stops does not wait for a connection without a request', {
  timeout: 30_000,
}, async () => {
  const app = fastify({ forceCloseConnections: 'idle' });
  closeUnusedConnections(app);
  app.get('/', async () => 'here');
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  assert.equal(await (await fetch(url)).text(), 'here');
  const closed = once(socket, 'close');
  await app.close();
  await closed;
});
