import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { aPod } from '../builders.ts';
import {
  type Progress,
  ProgressBoard,
  progressText,
  readProgress,
  readProgressAt,
  withProgress,
} from './progress.ts';

const running = { id: 'x', phase: 'Running', attempts: 1 } as const;
const MIB = 2 ** 20;

describe('a pod is asked how far it is', () => {
  let server: Server;
  let url: string;
  let answer: { status: number; body: string };
  before(async () => {
    server = createServer((_request, response) => response.writeHead(answer.status).end(answer.body));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/progress`;
  });
  after(() => server.close());

  const rows: [string, number, string, Progress | undefined][] = [
    ['and says it', 200, '{"receivedBytes":1,"totalBytes":2}', { receivedBytes: 1, totalBytes: 2 }],
    [
      'and knows no total',
      200,
      '{"receivedBytes":1,"totalBytes":null}',
      { receivedBytes: 1, totalBytes: null },
    ],
    ['and is no fetch pod', 404, '{"receivedBytes":1,"totalBytes":2}', undefined],
    ['and says something else', 200, '{"receivedBytes":"much"}', undefined],
    ['and says no JSON', 200, 'hello', undefined],
    ['and says too much', 200, `{"receivedBytes":1,"totalBytes":2,"x":"${'x'.repeat(5_000)}"}`, undefined],
  ];
  for (const [what, status, body, expected] of rows) {
    it(what, async () => {
      answer = { status, body };
      assert.deepEqual(await readProgressAt(url), expected);
    });
  }

  it('and nobody answers', async () => {
    assert.equal(await readProgressAt('http://127.0.0.1:1/progress'), undefined);
    assert.equal(await readProgress(aPod()), undefined);
  });
});

it('the latest answer is remembered, and asked for again only when it is old', async () => {
  const answers = [1, 2].map((receivedBytes) => ({ receivedBytes, totalBytes: null }));
  let asked = 0;
  const board = new ProgressBoard(async () => answers[asked++]);
  const pod = aPod();
  assert.equal(board.latest(pod, 0, 1_000), undefined);
  await Promise.resolve();
  assert.deepEqual(board.latest(pod, 999, 1_000), answers[0]);
  assert.equal(asked, 1);
  assert.deepEqual(board.latest(pod, 1_000, 1_000), answers[0]);
  await Promise.resolve();
  assert.deepEqual(board.latest(pod, 1_001, 1_000), answers[1]);
  // A pod that says nothing takes nothing back.
  board.latest(pod, 2_001, 1_000);
  await Promise.resolve();
  assert.deepEqual(board.latest(pod, 2_002, 1_000), answers[1]);
});

describe('progress', () => {
  const rows: [string, Partial<Progress>, string | undefined][] = [
    ['in percent', { receivedBytes: 12.1 * MIB, totalBytes: 28 * MIB }, '43 % (12 MiB of 28 MiB)'],
    ['at the beginning', { receivedBytes: 0, totalBytes: 500 }, '0 % (0 B of 500 B)'],
    ['at the end', { receivedBytes: 500, totalBytes: 500 }, '100 % (500 B of 500 B)'],
    ['of more than was said', { receivedBytes: 600, totalBytes: 500 }, '100 % (500 B of 500 B)'],
    ['of much', { receivedBytes: 1.5 * 1024 * MIB, totalBytes: 3 * 1024 * MIB }, '50 % (1.5 GiB of 3.0 GiB)'],
    ['of an unknown total', { receivedBytes: 3 * MIB }, '3 MiB received'],
    ['before the source answers', { receivedBytes: 0 }, undefined],
    ['unknown', {}, undefined],
  ];
  for (const [what, seen, text] of rows) {
    it(`${what}: ${text}`, () => {
      const { receivedBytes, totalBytes } = seen;
      assert.equal(
        progressText({
          ...running,
          ...(receivedBytes === undefined ? {} : { receivedBytes }),
          ...(totalBytes ? { totalBytes } : {}),
        }),
        text,
      );
    });
  }

  it('changes the state by whole percents only', () => {
    const first = withProgress(running, { receivedBytes: 1_000, totalBytes: 10_000 });
    assert.deepEqual([first.receivedBytes, first.totalBytes], [1_000, 10_000]);
    assert.equal(withProgress(first, { receivedBytes: 1_099, totalBytes: 10_000 }), first);
    assert.equal(withProgress(first, { receivedBytes: 1_100, totalBytes: 10_000 }).receivedBytes, 1_100);
  });
});
