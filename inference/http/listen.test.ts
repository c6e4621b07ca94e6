import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { fastify } from 'fastify';
import { listen } from './listen.ts';

/** What is listened at on a machine that answers the first host with the code. */
async function listened(host: string, code: string) {
  const hosts: string[] = [];
  const app = {
    listen: async ({ host: at }: { host: string }) => {
      hosts.push(at);
      if (hosts.length === 1) throw Object.assign(new Error(code), { code });
      return '';
    },
  };
  await listen(app as unknown as Parameters<typeof listen>[0], { host, port: 0 });
  return hosts;
}

describe('listening at every address', () => {
  it('answers IPv4, whether there is IPv6 or not', async () => {
    const app = fastify();
    app.get('/', async () => 'here');
    await listen(app, { host: '::', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'here');
    await app.close();
  });

  it('is content with IPv4 on a machine without IPv6', async () => {
    assert.deepEqual(await listened('::', 'EAFNOSUPPORT'), ['::', '0.0.0.0']);
  });
});

describe('listening fails', () => {
  it('where the port is taken', () => assert.rejects(listened('::', 'EADDRINUSE'), { code: 'EADDRINUSE' }));
  it('where the machine does not have the address', () =>
    assert.rejects(listened('2001:db8::1', 'EADDRNOTAVAIL'), { code: 'EADDRNOTAVAIL' }));
});
