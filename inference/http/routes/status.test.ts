import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { answerOf, errorOf, send, withTestServer } from '../../testing/server.ts';
import { healthAnswer, readinessAnswer } from '../views/health.ts';
import { catalogueAnswer, modelCardAnswer, modelsAnswer } from '../views/models.ts';
import { configurationAnswer, deviceAnswer, rootAnswer, statsAnswer, systemAnswer } from '../views/status.ts';

const open = {
  '/': rootAnswer,
  '/ping': z.strictObject({ status: z.literal('pong') }),
  '/health': healthAnswer,
  '/health/live': z.strictObject({ status: z.literal('alive') }),
  '/health/ready': readinessAnswer,
  '/v1/health': z.strictObject({ status: z.literal('ok') }),
  '/version': z.strictObject({
    version: z.string(),
    revision: z.string().nullable(),
    node_version: z.string(),
  }),
};
const guarded = {
  '/stats': statsAnswer,
  '/device': deviceAnswer,
  '/system': systemAnswer,
  '/config': configurationAnswer,
  '/models': modelsAnswer,
  '/v1/models': catalogueAnswer,
  '/v1/models/picture': modelCardAnswer,
};

test('every page about the server is exactly what its schema says, and guarded where it tells of the inside', () =>
  withTestServer(async (server) => {
    for (const [path, schema] of Object.entries(open)) await answerOf(schema, fetch(server.url + path));
    for (const [path, schema] of Object.entries(guarded)) {
      await answerOf(schema, send(server, path));
      assert.equal(await errorOf(401, fetch(server.url + path)), 'unauthorized', path);
    }
  }));

test('a healthy server says so in the words of every kind of client', () =>
  withTestServer(async (server) => {
    const health = await answerOf(healthAnswer, send(server, '/health'));
    assert.deepEqual(
      [health.status, health.ready, health.model_loaded, health.checkpoint_exists],
      ['healthy', true, true, true],
    );
    const readiness = await answerOf(readinessAnswer, send(server, '/health/ready'));
    assert.deepEqual([readiness.status, readiness.model_loaded], ['ready', true]);
    assert.match(readiness.checkpoint_path, /picture$/);
  }));

test('no page repeats a key', () =>
  withTestServer(async (server) => {
    for (const path of Object.keys({ ...open, ...guarded }))
      assert.doesNotMatch(await (await send(server, path)).text(), /right-key/, path);
  }));

test('a model that is not there has no card', () =>
  withTestServer(async (server) => {
    assert.equal(await errorOf(404, send(server, '/v1/models/nobody')), 'unknown_model');
  }));

test('a wrong method is told from a wrong path, also where its body cannot be read', () =>
  withTestServer(async (server) => {
    const put = (path: string) =>
      fetch(server.url + path, {
        method: 'PUT',
        body: '{',
        headers: { 'x-api-key': 'right-key', 'content-type': 'application/json' },
      });
    const wrongMethod = await put('/v1/models/picture');
    assert.equal(wrongMethod.headers.get('allow'), 'GET, HEAD');
    assert.equal(await errorOf(405, wrongMethod), 'method_not_allowed');
    assert.equal(await errorOf(404, put('/v1/nothing')), 'not_found');
  }));

for (const [name, path, error] of [
  ['cannot be decoded', '/v1/models/%zz', 'invalid_request'],
  ['has a part of any length', `/v1/models/${'m'.repeat(4000)}`, 'unknown_model'],
] as const) {
  test(`a path that ${name} is answered like any other mistake`, () =>
    withTestServer(async (server) => {
      const answer = await send(server, path, undefined, { 'x-request-id': 'mine' });
      assert.equal(answer.headers.get('x-request-id'), 'mine');
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
      assert.equal(await errorOf(error === 'unknown_model' ? 404 : 400, answer), error);
      const ofProtocol = await send(server, path.replace('/v1/', '/v2/'));
      assert.deepEqual(Object.keys((await ofProtocol.json()) as object), ['error']);
    }));
}
