/** Against Prometheus itself: what the table of answers in prometheus.test.ts says is what it answers. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Conditions } from '../conditions.ts';
import { measurePrometheus } from './prometheus.ts';

const missing = spawnSync('prometheus', ['--version']).error
  ? 'Prometheus is not there: install the package prometheus'
  : false;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : assert.fail('no port');
}

/** Without anything to scrape: queries of constants need no data. */
async function startPrometheus(folder: string): Promise<{ address: string; stop(): Promise<void> }> {
  const address = `127.0.0.1:${await freePort()}`;
  await writeFile(join(folder, 'prometheus.yml'), 'scrape_configs: []\n');
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
    ],
    { stdio: 'ignore' },
  );
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const ready = await fetch(`http://${address}/-/ready`).catch(() => undefined);
    if (ready?.ok) return { address: `http://${address}`, stop };
    await delay(100);
  }
  await stop();
  return assert.fail('Prometheus did not get ready');
}

describe('a query of a real Prometheus', { skip: missing }, () => {
  let folder = '';
  let prometheus: Awaited<ReturnType<typeof startPrometheus>>;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
    prometheus = await startPrometheus(folder);
  });
  after(async () => {
    await prometheus.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const rows: { query: string; conditions: Conditions; phase: string; value?: string; message?: RegExp }[] = [
    {
      query: 'scalar(vector(0.97))',
      conditions: { successCondition: 'result >= 0.95' },
      phase: 'Successful',
      value: '0.97',
    },
    {
      query: 'vector(0.97)',
      conditions: { successCondition: 'result[0] >= 0.95' },
      phase: 'Successful',
      value: '[0.97]',
    },
    {
      query: 'vector(0.9)',
      conditions: { successCondition: 'result[0] >= 0.95' },
      phase: 'Failed',
      value: '[0.9]',
    },
    {
      query: 'vector(0) / vector(0)',
      conditions: { failureCondition: 'result[0] > 5' },
      phase: 'Inconclusive',
      value: '[NaN]',
    },
    {
      query: 'vector(1) / vector(0)',
      conditions: { failureCondition: 'isInf(result[0])' },
      phase: 'Failed',
      value: '[Infinity]',
    },
    {
      query: 'vector(-1) / vector(0)',
      conditions: { successCondition: 'result[0] < 0' },
      phase: 'Successful',
      value: '[-Infinity]',
    },
    { query: '1e-7', conditions: { successCondition: 'result < 0.001' }, phase: 'Successful', value: '1e-7' },
    {
      query: 'up{pod="{{name}}"}',
      conditions: { successCondition: 'result[0] == 1' },
      phase: 'Inconclusive',
      value: '[]',
    },
    {
      query: 'label_replace(vector(1), "a", "1", "", "") or label_replace(vector(2), "a", "2", "", "")',
      conditions: { successCondition: 'result.all(value, value < 3)' },
      phase: 'Successful',
      value: '[1,2]',
    },
    { query: 'vector(1)[5m:1m]', conditions: {}, phase: 'Error', message: /gives a matrix/ },
    { query: '"text"', conditions: {}, phase: 'Error', message: /gives a string/ },
    { query: 'rate(', conditions: {}, phase: 'Error', message: /: bad_data: .*unclosed left parenthesis/ },
    {
      query: 'vector(1) + on(a) group_left vector("x")',
      conditions: {},
      phase: 'Error',
      message: /: bad_data: /,
    },
  ];
  for (const { query, conditions, phase, value, message } of rows) {
    test(`${query} is ${phase}`, async () => {
      const names = { name: 'd', namespace: 'ns', canaryRevision: 'c', stableRevision: 's' };
      const spec = { address: prometheus.address, query };
      const found = await measurePrometheus(spec, conditions, names, AbortSignal.timeout(30_000));
      assert.equal(found.phase, phase, found.message);
      assert.equal(found.value, value);
      if (message) assert.match(found.message ?? '', message);
    });
  }
});
