import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { Pod } from '../controllers/kinds.ts';
import { askAll, askedPods, askPod, podSamples, podUrl } from './scrape.ts';

interface PodChanges {
  readonly name?: string;
  readonly ip?: string | undefined;
  readonly port?: number;
  readonly portName?: string;
  readonly ready?: boolean;
  readonly ending?: boolean;
}

function aServingPod({
  name = 'p',
  ip = '127.0.0.1',
  port = 8080,
  portName = 'http',
  ready = true,
  ending = false,
}: PodChanges): Pod {
  return {
    metadata: { name, uid: `uid-${name}`, ...(ending ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
    spec: {
      containers: [
        { name: 'sidecar', ports: [{ name: 'admin', containerPort: 1 }] },
        { name: 'inference', ports: [{ name: portName, containerPort: port }] },
      ],
    },
    status: { podIP: ip, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  } as unknown as Pod;
}

async function withServer<T>(listener: RequestListener, action: (port: number) => Promise<T>): Promise<T> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await action((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const signal = AbortSignal.timeout(60_000);

describe('the address of a pod', () => {
  test('is its own, at the port called http', () => {
    assert.equal(podUrl(aServingPod({ ip: '10.0.0.1', port: 9000 })), 'http://10.0.0.1:9000');
    assert.equal(podUrl(aServingPod({ ip: 'fd00::1' })), 'http://[fd00::1]:8080');
  });

  test('is missing where it has none', () => {
    assert.throws(() => podUrl(aServingPod({ ip: '' })), /has no address yet/);
    assert.throws(() => podUrl(aServingPod({ portName: 'web' })), /no container port called http/);
  });
});

test('pods are asked that take requests, the same ones every time', () => {
  const many = Array.from({ length: 70 }, (_, index) =>
    aServingPod({ name: `p${String(index).padStart(2, '0')}` }),
  );
  const asked = askedPods([
    aServingPod({ name: 'z', ready: false }),
    ...many.toReversed(),
    aServingPod({ name: 'a', ending: true }),
  ]);
  assert.deepEqual(
    asked.map(({ metadata }) => metadata.name),
    many.slice(0, 64).map(({ metadata }) => metadata.name),
  );
});

describe('asking pods', () => {
  const text = 'process_start_time_seconds 5\ndeepfake_queue_age_seconds{priority="batch"} 2\nother 1\n';

  test('brings what they say of themselves', () =>
    withServer(
      (request, response) => response.end(request.url === '/metrics' ? text : ''),
      async (port) => {
        const pods = [aServingPod({ name: 'a', port }), aServingPod({ name: 'b', port })];
        const found = await askAll(pods, '/metrics', { ask: askPod, parse: podSamples, signal });
        assert.deepEqual(
          found.map(({ uid, startedAt, samples }) => [uid, startedAt, samples.length]),
          [
            ['uid-a', 5, 2],
            ['uid-b', 5, 2],
          ],
        );
      },
    ));

  const failures: { name: string; listener: RequestListener; message: RegExp }[] = [
    {
      name: 'refuses',
      listener: (_, response) => response.writeHead(503).end(),
      message: /^pod p: \/metrics answered 503$/,
    },
    {
      name: 'sends something else',
      listener: (_, response) => response.end('<html>'),
      message: /^pod p: line 1 of the metrics/,
    },
    {
      name: 'breaks off',
      listener: (_, response) =>
        response.writeHead(200, { 'content-length': '99' }).write('a') && response.destroy(),
      message: /^pod p: /,
    },
    {
      name: 'never ends',
      listener: (_, response) => void setInterval(() => response.write('x'.repeat(1e6)), 1).unref(),
      message: /larger than 4194304 bytes/,
    },
    { name: 'says nothing', listener: () => undefined, message: /^pod p: no answer within 3000 ms$/ },
  ];
  for (const { name, listener, message } of failures) {
    test(`fails with its name where one ${name}`, () =>
      withServer(listener, (port) =>
        assert.rejects(
          askAll([aServingPod({ port })], '/metrics', { ask: askPod, parse: podSamples, signal }),
          { message },
        ),
      ));
  }

  test('ends when nobody wants it any more', () =>
    withServer(
      () => undefined,
      async (port) => {
        const aborting = new AbortController();
        const asking = askAll([aServingPod({ port })], '/metrics', {
          ask: askPod,
          parse: podSamples,
          signal: aborting.signal,
        });
        const reason = new Error('ended');
        aborting.abort(reason);
        await assert.rejects(asking, reason);
      },
    ));

  test('asks eight at a time', async () => {
    let [running, most] = [0, 0];
    const ask = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return '';
    };
    const pods = Array.from({ length: 20 }, (_, index) => aServingPod({ name: `p${index}` }));
    assert.equal((await askAll(pods, '/', { ask, parse: () => 1, signal })).length, 20);
    assert.equal(most, 8);
  });
});
