import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { RunningServer } from '../serve.ts';
import { errorOf, send, testKey, withTestServer } from '../testing/server.ts';

test('a JSON body has a limit of its own', () =>
  withTestServer(async (server) => {
    const body = { image: 'A'.repeat(15 * 1024 ** 2) };
    assert.equal(await errorOf(413, send(server, '/predict', body)), 'upload_too_large');
  }));

test('a JSON body that stalls ends with the time of an upload, and its client is told', () =>
  withTestServer(
    async (server) => {
      const { status, body } = await stalled(server, '{"image": "AAAA');
      assert.equal(status, 408, body);
      assert.equal(JSON.parse(body).error, 'upload_timeout');
    },
    { UPLOAD_TIMEOUT_MS: '300' },
  ));

/** Sends the beginning of a longer body and then nothing. */
async function stalled(
  { url }: RunningServer,
  beginning: string,
): Promise<{ status: number | undefined; body: string }> {
  const headers = { 'x-api-key': testKey, 'content-type': 'application/json', 'content-length': 10_000 };
  const request = httpRequest(`${url}/predict`, { method: 'POST', headers });
  const answered = Promise.withResolvers<IncomingMessage>();
  request.on('response', answered.resolve).on('error', answered.reject);
  request.write(beginning);
  const response = await answered.promise;
  const body = await text(response);
  request.destroy();
  return { status: response.statusCode, body };
}
