import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { createGzip } from 'node:zlib';
import { createLogger } from '../../observability/logger.ts';
import { audience, issuer, serveKeySet, tokenIssuer } from '../../testing/tokens.ts';
import { until } from '../../testing/until.ts';
import { RemoteTokenKeys, type RemoteTokenKeyTimes } from './token-keys.ts';
import { verifyToken } from './tokens.ts';

const rules = { issuer, audiences: [audience], clockToleranceS: 30 };
const first = await tokenIssuer('ES256', 'first');
const second = await tokenIssuer('ES256', 'second');
const times: RemoteTokenKeyTimes = { timeoutMs: 1_000, cooldownMs: 0, retryMs: 0, refreshMs: 3_600_000 };

type KeySetServer = Awaited<ReturnType<typeof serveKeySet>>;

async function withKeys(
  changed: Partial<RemoteTokenKeyTimes>,
  action: (keys: RemoteTokenKeys, server: KeySetServer, log: () => string) => Promise<void>,
): Promise<void> {
  const server = await serveKeySet([first.publicJwk]);
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line) => lines.push(line) });
  const keys = new RemoteTokenKeys(server.url, logger, { ...times, ...changed });
  try {
    await until(() => server.requests > 0);
    await verifyToken(await first.sign(), keys, rules);
    await action(keys, server, () => lines.join(''));
  } finally {
    keys.close();
    await server.close();
  }
}

/** Writes as long as somebody reads. */
function endless(stream: Writable): void {
  const chunk = Buffer.alloc(64 * 1024, ' ');
  const more = () => {
    while (!stream.destroyed && stream.write(chunk));
  };
  stream.on('drain', more);
  more();
}

function packed(response: ServerResponse): Writable {
  response.setHeader('content-encoding', 'gzip');
  const gzip = createGzip();
  gzip.pipe(response);
  response.once('close', () => gzip.destroy());
  return gzip;
}

const unavailable = { code: 'token_keys_unavailable' };
const invalid = { code: 'invalid_token' };

describe('the key set of an issuer', () => {
  test('is fetched once for many tokens', () =>
    withKeys({}, async (keys, server) => {
      for (let count = 0; count < 5; count += 1) await verifyToken(await first.sign(), keys, rules);
      assert.equal(server.requests, 1);
    }));

  test('is fetched again for a key that is not known, and forgets keys that are gone', () =>
    withKeys({}, async (keys, server) => {
      await assert.rejects(verifyToken(await second.sign(), keys, rules), invalid);
      server.keys = [second.publicJwk];
      await verifyToken(await second.sign(), keys, rules);
      await assert.rejects(verifyToken(await first.sign(), keys, rules), invalid);
    }));

  test('is not fetched again soon, whatever strangers send', () =>
    withKeys({ cooldownMs: 3_600_000 }, async (keys, server) => {
      for (let count = 0; count < 5; count += 1)
        await assert.rejects(verifyToken(await second.sign(), keys, rules), invalid);
      assert.equal(server.requests, 1);
    }));

  test('that cannot be fetched leaves known keys in use; tokens of others are told that it is not their fault', () =>
    withKeys({ retryMs: 3_600_000 }, async (keys, server, log) => {
      server.status = 500;
      for (let count = 0; count < 3; count += 1)
        await assert.rejects(verifyToken(await second.sign(), keys, rules), unavailable);
      await verifyToken(await first.sign(), keys, rules);
      assert.equal(server.requests, 2);
      assert.equal(log().split('cannot be fetched').length - 1, 1, log());
    }));

  const unusable: readonly {
    readonly name: string;
    readonly answer: (response: ServerResponse) => void;
    readonly reason: RegExp;
  }[] = [
    { name: 'does not end', answer: endless, reason: /larger than 1048576 bytes/ },
    {
      name: 'is packed and does not end',
      answer: (response) => endless(packed(response)),
      reason: /larger than 1048576 bytes/,
    },
    { name: 'stops in the middle', answer: (response) => void response.write('{'), reason: /timed? ?out/ },
    { name: 'is no JSON', answer: (response) => void response.end('<html>'), reason: /is not JSON/ },
    { name: 'is no key set', answer: (response) => void response.end('{"keys":1}'), reason: /malformed/ },
  ];
  for (const { name, answer, reason } of unusable) {
    test(`that ${name} is one that cannot be fetched, and nothing of it is kept`, () =>
      withKeys({}, async (keys, server, log) => {
        const closed = Promise.withResolvers<void>();
        server.answer = (response) => {
          response.once('close', closed.resolve);
          answer(response);
        };
        await assert.rejects(verifyToken(await second.sign(), keys, rules), unavailable);
        assert.match(log(), reason);
        await closed.promise;
        await verifyToken(await first.sign(), keys, rules);
      }));
  }

  test('is fetched again after an outage', () =>
    withKeys({}, async (keys, server) => {
      server.status = 503;
      await assert.rejects(verifyToken(await second.sign(), keys, rules), unavailable);
      server.status = 200;
      server.keys = [second.publicJwk];
      await verifyToken(await second.sign(), keys, rules);
    }));

  test('is fetched again from time to time, so that a key that was withdrawn is not trusted for long', () =>
    withKeys({ refreshMs: 20, cooldownMs: 3_600_000 }, async (keys, server) => {
      server.keys = [second.publicJwk];
      const { requests } = server;
      await until(() => server.requests > requests + 1);
      await assert.rejects(verifyToken(await first.sign(), keys, rules), invalid);
    }));
});
