import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { decisionsAnswer } from '../http/views/decisions.ts';
import { flatImage } from '../testing/media.ts';
import { answerOf, form, send, withTestServer } from '../testing/server.ts';
import { DecisionLog } from './decision-log.ts';

const decided = (requestId: string) => ({
  requestId,
  sha256: 'f'.repeat(64),
  model: 'picture',
  score: 0.5,
  verdict: 'SUSPICIOUS' as const,
});
const idOf = (requestId: string, sha256 = 'f'.repeat(64)) =>
  createHash('sha256').update(`${requestId}\n${sha256}`).digest('hex').slice(0, 16);

describe('the log of decisions', () => {
  const rows = [
    { name: 'keeps what there is', limit: 3, added: ['a', 'b'], kept: ['a', 'b'] },
    { name: 'is full with as many as it may keep', limit: 2, added: ['a', 'b'], kept: ['a', 'b'] },
    { name: 'forgets the oldest', limit: 2, added: ['a', 'b', 'c'], kept: ['b', 'c'] },
    { name: 'goes round more than once', limit: 2, added: ['a', 'b', 'c', 'd', 'e'], kept: ['d', 'e'] },
    { name: 'keeps nothing where it is off', limit: 0, added: ['a'], kept: [] },
  ];
  for (const { name, limit, added, kept } of rows) {
    test(name, () => {
      const log = new DecisionLog(limit, () => 7);
      for (const id of added) log.add(decided(id));
      assert.deepEqual(
        log.latest(),
        kept.map((id) => ({ id: idOf(id), model: 'picture', score: 0.5, verdict: 'SUSPICIOUS', time: 7 })),
      );
    });
  }
});

describe('GET /decisions', () => {
  const analyse = async (server: Parameters<typeof send>[0], level: number, headers = {}) => {
    const media = await flatImage({ width: 256, height: 256, level, format: 'png' });
    const answer = await send(server, '/analyze', form(['media', media]), headers);
    assert.equal(answer.status, 200);
    return createHash('sha256').update(media).digest('hex');
  };

  test('tells decisions by a hash that two servers share, to anybody', () =>
    withTestServer(async (one) =>
      withTestServer(async (other) => {
        const sha256 = await analyse(one, 255, { 'x-request-id': 'mirrored-1' });
        await analyse(other, 255, { 'x-request-id': 'mirrored-1' });
        for (const server of [one, other]) {
          const { decisions } = await answerOf(decisionsAnswer, fetch(`${server.url}/decisions`));
          assert.deepEqual(
            decisions.map(({ id, model, verdict }) => ({ id, model, verdict })),
            [{ id: idOf('mirrored-1', sha256), model: 'picture', verdict: 'DEEPFAKE' }],
          );
        }
      }),
    ));

  test('has one for each file of a batch, and one of a result that was known', () =>
    withTestServer(async (server) => {
      const white = await flatImage({ width: 256, height: 256, level: 255, format: 'png' });
      const black = await flatImage({ width: 256, height: 256, level: 0, format: 'png' });
      await send(server, '/analyze/batch', form(['media', white], ['media', black], ['media', white]));
      const { decisions } = await answerOf(decisionsAnswer, send(server, '/decisions'));
      assert.deepEqual(decisions.map(({ verdict }) => verdict).sort(), ['AUTHENTIC', 'DEEPFAKE', 'DEEPFAKE']);
      assert.equal(new Set(decisions.map(({ id }) => id)).size, 2);
    }));

  test('has nothing of what was refused', () =>
    withTestServer(async (server) => {
      await send(server, '/analyze', form(['media', new Uint8Array([1, 2, 3])]));
      assert.deepEqual(await answerOf(decisionsAnswer, send(server, '/decisions')), { decisions: [] });
    }));

  test('is not there where it is off', () =>
    withTestServer(async (server) => assert.equal((await send(server, '/decisions')).status, 404), {
      MAX_LOGGED_DECISIONS: '0',
    }));
});
