import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Gauge, Registry } from 'prom-client';
import { startServer } from './server.ts';

it('answers probes and metrics, and outlives a metric that fails', async (t) => {
  const registry = new Registry();
  const state = { ready: false, failing: false };
  new Gauge({
    name: 'one',
    help: 'one',
    registers: [registry],
    collect() {
      if (state.failing) throw new Error('scripted');
      this.set(1);
    },
  });
  const { server, port } = await startServer(0, registry, () => state.ready);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return [response.status, await response.text()] as const;
  };
  assert.deepEqual(await get('/healthz'), [200, 'ok\n']);
  assert.deepEqual(await get('/readyz'), [503, 'stores are being filled\n']);
  state.ready = true;
  assert.deepEqual(await get('/readyz?verbose'), [200, 'ok\n']);
  assert.match((await get('/metrics'))[1], /^one 1$/m);
  state.failing = true;
  assert.deepEqual(await get('/metrics'), [500, 'scripted\n']);
  state.failing = false;
  assert.equal((await get('/metrics'))[0], 200);
  assert.equal((await get('/other'))[0], 404);
});
