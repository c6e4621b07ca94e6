import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { readConfig } from '../../config/config.ts';
import { createLogger } from '../../observability/logger.ts';
import { type RunningServer, startServer } from '../../serve.ts';
import { flatImage, inTemporaryFolder } from '../../testing/media.ts';
import { mountSecret } from '../../testing/mounted-secret.ts';
import { writeImagePackage } from '../../testing/packages.ts';
import { freePort, RedisServer, redisPassword } from '../../testing/redis.ts';
import { audience, issuer, secretToken, serveKeySet, tokenIssuer } from '../../testing/tokens.ts';
import { until } from '../../testing/until.ts';
import { hashApiKey } from './api-keys.ts';

const white = await flatImage({ width: 256, height: 256, level: 255, format: 'png' });
const key = 'the-key-of-the-environment';
const rules = { JWT_ISSUER: issuer, JWT_AUDIENCE: audience };
const fileName = 'a-private-holiday.png';

type Headers = Readonly<Record<string, string>>;

interface Scene {
  readonly server: RunningServer;
  readonly folder: string;
  /** Everything logged so far. */
  readonly log: () => string;
  get(path: string, headers?: Headers): Promise<Answer>;
  analyze(headers?: Headers): Promise<Answer>;
  /** The number after a metric's name and labels; 0 where there is none. */
  metric(line: string): Promise<number>;
}

interface Answer {
  readonly status: number;
  readonly headers: Response['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: the tests look at JSON of many shapes
  readonly body: any;
}

/** A server with one picture model. `env` may name files of the folder that `prepare` has written. */
async function inScene(
  env: Headers | ((folder: string) => Headers | Promise<Headers>),
  action: (scene: Scene) => Promise<void>,
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'models/picture'));
    const lines: string[] = [];
    const logger = createLogger('info', { write: (line) => lines.push(line) });
    const fixed = { PORT: '0', MODELS_DIR: join(folder, 'models'), ENGINE_WORKERS: '1' };
    const given = typeof env === 'function' ? await env(folder) : env;
    const server = await startServer(readConfig({ ...fixed, ...given }), logger);
    try {
      await server.ready;
      await action(sceneOf(server, folder, () => lines.join('')));
    } finally {
      await server.stop();
    }
  });
}

function sceneOf(server: RunningServer, folder: string, log: () => string): Scene {
  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(server.url + path, init);
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  return {
    server,
    folder,
    log,
    get: (path, headers = {}) => send(path, { headers }),
    analyze: (headers = {}) => {
      const body = new FormData();
      body.set('media', new Blob([new Uint8Array(white)]), fileName);
      return send('/analyze', { method: 'POST', body, headers });
    },
    metric: async (line) => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
      return Number(found?.split(' ').at(-1) ?? 0);
    },
  };
}

const bearer = (credential: string): Headers => ({ authorization: `Bearer ${credential}` });

/** A file of keys as text; each key may do what is listed. */
function keyFile(keys: Readonly<Record<string, object>>): string {
  const entries = Object.entries(keys).map(([name, overrides]) => ({
    name,
    hash: hashApiKey(keyOf(name)),
    scopes: ['predict', 'read'],
    ...overrides,
  }));
  return JSON.stringify({ keys: entries });
}

function keyOf(name: string): string {
  return `the-secret-key-of-${name}`;
}

async function withRedis(action: (redis: RedisServer) => Promise<void>): Promise<void> {
  const redis = new RedisServer(await freePort());
  await redis.start();
  try {
    await action(redis);
  } finally {
    await redis.kill();
  }
}

async function untilCountedInRedis({ log }: Scene): Promise<void> {
  await until(() => log().includes('Redis is connected'));
}

describe('credentials', { timeout: 120_000 }, () => {
  test('are keys in either header, checked before any byte of a body has come', () =>
    inScene({ API_KEY: key }, async ({ server, get, analyze, metric }) => {
      assert.equal((await analyze({ 'x-api-key': key })).status, 200);
      assert.equal((await analyze(bearer(key))).status, 200);
      for (const headers of [{}, bearer('wrong'), { authorization: 'Basic YTpi' }]) {
        const { status, headers: answered, body } = await get('/models', headers);
        assert.deepEqual([status, body.detail], [401, 'Invalid or missing API Key']);
        assert.equal(answered.get('www-authenticate'), 'Bearer realm="deepfake"');
      }
      const request = httpRequest(`${server.url}/analyze`, {
        method: 'POST',
        headers: { 'content-type': 'multipart/form-data; boundary=x', 'content-length': 900_000 },
      });
      request.on('error', () => undefined);
      request.flushHeaders();
      const [response] = await once(request, 'response');
      assert.equal(response.statusCode, 401);
      assert.equal(((await json(response)) as { error: string }).error, 'unauthorized');
      request.destroy();
      assert.equal(await metric('deepfake_auth_total{method="key",result="accepted"}'), 2);
      assert.equal(await metric('deepfake_auth_total{method="key",result="refused"}'), 2);
      assert.equal(await metric('deepfake_auth_total{method="none",result="refused"}'), 2);
    }));

  test('of a file have scopes and an end, and are exchanged without a restart', () =>
    inScene(
      async (folder) => {
        const old = { expires: '2020-01-01T00:00:00Z' };
        const keys = keyFile({ web: {}, old, reader: { scopes: ['read'] } });
        return { API_KEYS_FILE: await mountSecret(folder, 'v1', keys) };
      },
      async ({ folder, get, analyze, metric, log }) => {
        const statusOf = async (name: string) => (await get('/models', { 'x-api-key': keyOf(name) })).status;
        assert.deepEqual(
          [await statusOf('web'), await statusOf('old'), await statusOf('new')],
          [200, 401, 401],
        );
        const refused = await analyze({ 'x-api-key': keyOf('reader') });
        assert.deepEqual([refused.status, refused.body.error], [403, 'insufficient_scope']);
        assert.deepEqual(refused.body.details, { scope: 'predict', granted: 'read' });
        assert.match(
          refused.headers.get('www-authenticate') ?? '',
          /error="insufficient_scope", scope="predict"/,
        );
        await mountSecret(folder, 'v2', keyFile({ new: {} }));
        await until(async () => (await statusOf('new')) === 200);
        assert.equal(await statusOf('web'), 401);
        const usable = () => metric('deepfake_access_file_usable{file="API_KEYS_FILE"}');
        assert.equal(await usable(), 1);
        await mountSecret(folder, 'v3', `keys: [{name: x, hash: ${keyOf('x')}, scopes: [read]}]`);
        await until(async () => (await usable()) === 0);
        assert.equal(await statusOf('new'), 200);
        assert.match(log(), /keys\.0\.hash: is not sha256/);
        assert.doesNotMatch(log(), /the-secret-key-of/);
      },
    ));

  test('are tokens too; where their keys cannot be had that is said, and API keys still work', async () => {
    const [known, unknown] = await Promise.all([tokenIssuer('ES256', 'a'), tokenIssuer('RS256', 'b')]);
    const keySet = await serveKeySet([known.publicJwk]);
    const env = { ...rules, JWT_JWKS_URL: keySet.url.href, API_KEY: key };
    try {
      await inScene(env, async ({ get, analyze }) => {
        assert.equal((await analyze(bearer(await known.sign()))).status, 200);
        const refused = await get('/models', bearer(await known.sign()));
        assert.deepEqual([refused.status, refused.body.error], [403, 'insufficient_scope']);
        const expired = await analyze(bearer(await known.sign({ validS: -100 })));
        assert.deepEqual([expired.status, expired.body.error], [401, 'invalid_token']);
        assert.match(expired.body.detail, /it has expired/);
        assert.match(expired.headers.get('www-authenticate') ?? '', /error="invalid_token"/);
      });
      await keySet.close();
      await inScene(env, async ({ get, metric }) => {
        const { status, headers, body } = await get('/models', bearer(await unknown.sign()));
        assert.deepEqual([status, body.error], [503, 'token_keys_unavailable']);
        assert.ok(headers.has('retry-after'));
        assert.equal((await get('/models', bearer(key))).status, 200);
        assert.equal((await get('/health/ready')).status, 200);
        assert.equal(await metric('deepfake_auth_total{method="token",result="unavailable"}'), 1);
      });
    } finally {
      await keySet.close();
    }
  });

  test('can be left out where they are optional, but not be wrong', () =>
    inScene(
      { AUTH_MODE: 'optional', API_KEY: key, ANONYMOUS_SCOPES: 'predict' },
      async ({ get, analyze }) => {
        assert.equal((await analyze()).status, 200);
        assert.equal((await analyze({ 'x-api-key': 'wrong' })).status, 401);
        assert.equal((await get('/models')).status, 403);
        assert.equal((await get('/models', { 'x-api-key': key })).status, 200);
        assert.equal((await get('/nowhere')).status, 404);
      },
    ));

  test('are not looked at where authentication is off', () =>
    inScene({ AUTH_MODE: 'off', API_KEY: key }, async ({ get }) => {
      assert.equal((await get('/models', { 'x-api-key': 'wrong' })).status, 200);
    }));
});

describe('limits', { timeout: 120_000 }, () => {
  test('count each client alone, and the routes of other scopes not at all', () =>
    inScene(
      async (folder) => {
        const path = join(folder, 'keys');
        await writeFile(path, keyFile({ one: {}, two: {}, more: { rate_limits: { predict: 3 } } }));
        return { API_KEYS_FILE: path, RATE_LIMIT_PREDICT: '1' };
      },
      async ({ get, analyze, metric }) => {
        const first = await analyze({ 'x-api-key': keyOf('one') });
        assert.deepEqual(
          [first.status, first.headers.get('ratelimit-limit'), first.headers.get('ratelimit-remaining')],
          [200, '1', '0'],
        );
        const refused = await analyze({ 'x-api-key': keyOf('one') });
        assert.deepEqual([refused.status, refused.body.error], [429, 'rate_limited']);
        const wait = Number(refused.headers.get('retry-after'));
        assert.ok(wait >= 1 && wait <= 60, String(wait));
        assert.equal(refused.headers.get('ratelimit-reset'), String(wait));
        assert.equal(refused.body.details.retryAfterSeconds, wait);
        assert.equal((await analyze({ 'x-api-key': keyOf('two') })).status, 200);
        for (let count = 0; count < 3; count += 1)
          assert.equal((await analyze({ 'x-api-key': keyOf('more') })).status, 200);
        assert.equal(
          (await get('/models', { 'x-api-key': keyOf('one') })).headers.get('ratelimit-limit'),
          null,
        );
        assert.equal(await metric('deepfake_rate_limited_total{scope="predict"}'), 1);
      },
    ));

  test('count clients without a name by their address, which they cannot choose', () =>
    inScene({ RATE_LIMIT_PREDICT: '1' }, async ({ analyze }) => {
      assert.equal((await analyze({ 'x-forwarded-for': '198.51.100.1' })).status, 200);
      assert.equal((await analyze({ 'x-forwarded-for': '198.51.100.2' })).status, 429);
    }));

  test('believe the address that a trusted proxy tells, and nothing that the client put before it', () =>
    inScene({ RATE_LIMIT_PREDICT: '1', TRUST_PROXY: '127.0.0.0/8' }, async ({ analyze }) => {
      assert.equal((await analyze({ 'x-forwarded-for': '198.51.100.1' })).status, 200);
      assert.equal((await analyze({ 'x-forwarded-for': '198.51.100.2' })).status, 200);
      assert.equal((await analyze({ 'x-forwarded-for': '203.0.113.9, 198.51.100.2' })).status, 429);
    }));

  const statusesOf = async (pods: readonly Scene[]) => {
    const statuses = [];
    for (const pod of pods) statuses.push((await pod.analyze()).status);
    return statuses;
  };
  const refusesFourth = [200, 200, 200, 429];

  test('hold for all pods together in Redis', () =>
    withRedis((redis) => {
      const env = { RATE_LIMIT_PREDICT: '3', REDIS_URL: redis.url };
      return inScene(env, (one) =>
        inScene(env, async (other) => {
          await Promise.all([one, other].map(untilCountedInRedis));
          assert.deepEqual(await statusesOf([one, other, one, other]), refusesFourth);
          assert.equal(await other.metric('deepfake_rate_limit_fallback_total'), 0);
        }),
      );
    }));

  test('are counted over the connection that the pod has anyway', () =>
    withRedis((redis) => {
      const env = { REDIS_URL: redis.url, CACHE_BACKEND: 'redis', RATE_LIMIT_PREDICT: '3' };
      return inScene(env, async (pod) => {
        await untilCountedInRedis(pod);
        assert.equal((await pod.analyze()).status, 200);
        const observer = new Redis(redis.url);
        try {
          const clients = async () =>
            String(await observer.client('LIST'))
              .trim()
              .split('\n');
          // The observer, the pod's commands, and what it hears.
          await until(async () => (await clients()).some((client) => client.includes(' sub=1 ')));
          assert.equal((await clients()).length, 3);
          const key = 'deepfake-rate-limit:predict:address:127.0.0.1';
          assert.equal(await observer.get(key), '1');
          const msLeft = await observer.pttl(key);
          assert.ok(msLeft > 0 && msLeft <= 60_000, String(msLeft));
        } finally {
          observer.disconnect();
        }
      });
    }));

  test('hold for each pod alone while Redis is away, and for all again when it is back', () =>
    withRedis((redis) =>
      inScene({ RATE_LIMIT_PREDICT: '3', REDIS_URL: redis.url }, async (pod) => {
        await untilCountedInRedis(pod);
        await redis.kill();
        assert.deepEqual(await statusesOf([pod, pod, pod, pod]), refusesFourth);
        assert.equal(await pod.metric('deepfake_rate_limit_fallback_total'), 4);
        assert.equal((await pod.get('/health/ready')).status, 200);
        assert.equal(pod.log().split('each pod counts requests alone').length - 1, 1, pod.log());
        assert.doesNotMatch(pod.log(), new RegExp(redisPassword));
        await redis.start();
        await until(async () => (await pod.analyze()).status === 200);
      }),
    ));

  test('hold for each pod alone while Redis hangs', () =>
    withRedis((redis) =>
      inScene({ RATE_LIMIT_PREDICT: '3', REDIS_URL: redis.url }, async (pod) => {
        await untilCountedInRedis(pod);
        redis.signal('SIGSTOP');
        assert.deepEqual(await statusesOf([pod, pod, pod, pod]), refusesFourth);
      }),
    ));
});

describe('pages of other origins', { timeout: 60_000 }, () => {
  const origin = 'https://app.example';
  /** What Fetch lets every page read, and what concerns the connection alone. */
  const readableAnyway =
    /^(cache-control|content-(language|length|type)|expires|last-modified|pragma|access-control-.*|vary|date|connection|keep-alive|transfer-encoding)$/;
  const explain = (server: RunningServer, headers: Headers) => {
    const body = new FormData();
    body.set('file', new Blob([new Uint8Array(white)]), fileName);
    return fetch(`${server.url}/explain`, { method: 'POST', body, headers });
  };

  test('may ask where their origin is listed, without a key for the preflight', () =>
    inScene({ API_KEY: key, CORS_ORIGINS: `${origin},https://b.example` }, async ({ server, get }) => {
      const preflight = await fetch(`${server.url}/analyze`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'x-api-key',
        },
      });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get('access-control-allow-origin'), origin);
      assert.equal(preflight.headers.get('access-control-allow-headers'), 'x-api-key');
      const refused = await get('/models', { origin });
      assert.equal(refused.status, 401);
      assert.equal(refused.headers.get('access-control-allow-origin'), origin);
      const stranger = await get('/ping', { origin: 'https://evil.example' });
      assert.equal(stranger.headers.get('access-control-allow-origin'), null);
    }));

  test('may read every header that answers have', () =>
    inScene(
      { API_KEY: key, CORS_ORIGINS: '*', RATE_LIMIT_PREDICT: '1' },
      async ({ server, get, analyze }) => {
        const credentials = { origin, 'x-api-key': key };
        const traced = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
        const answers = [
          await analyze({ ...credentials, ...traced }),
          await analyze(credentials),
          await get('/models', { origin }),
          await get('/models', credentials),
          await get('/openapi.json', { origin }),
          await explain(server, credentials),
        ];
        assert.deepEqual(
          answers.map(({ status }) => status),
          [200, 429, 401, 200, 200, 200],
        );
        const names = new Set(answers.flatMap(({ headers }) => [...headers.keys()]));
        const own = [...names].filter((name) => !readableAnyway.test(name));
        const exposed = (answers[0]?.headers.get('access-control-expose-headers') ?? '').split(', ');
        assert.deepEqual(
          own.filter((name) => !exposed.includes(name)),
          [],
        );
        for (const name of ['x-cache', 'retry-after', 'www-authenticate', 'x-prediction-class'])
          assert.ok(own.includes(name), name);
      },
    ));

  test('get no permission where none is configured', () =>
    inScene({}, async ({ get }) => {
      const { headers } = await get('/ping', { origin });
      assert.equal(headers.get('access-control-allow-origin'), null);
    }));
});

describe('the audit trail', { timeout: 60_000 }, () => {
  test('tells verdicts and refusals, who and which model, in the log and in a file, and no secret or file name', () =>
    inScene(
      async (folder) => {
        await writeFile(join(folder, 'keys'), keyFile({ web: {}, reader: { scopes: ['read'] } }));
        return {
          ...rules,
          API_KEYS_FILE: join(folder, 'keys'),
          JWT_SECRET: 'a secret of at least thirty-two bytes',
          RATE_LIMIT_PREDICT: '2',
          AUDIT_LOG_FILE: join(folder, 'audit.jsonl'),
        };
      },
      async ({ server, folder, analyze, log }) => {
        const token = await secretToken('a secret of at least thirty-two bytes');
        const expired = await secretToken('a secret of at least thirty-two bytes', { validS: -100 });
        const decision = await analyze({ 'x-api-key': keyOf('web'), 'x-request-id': 'r-1' });
        await analyze(bearer(token));
        const body = new FormData();
        body.set('media', new Blob(['no media']), fileName);
        body.set('model', 'oracle-canary');
        await fetch(`${server.url}/analyze`, {
          method: 'POST',
          body,
          headers: { 'x-api-key': keyOf('web') },
        });
        const secrets = [
          { 'x-api-key': keyOf('web') },
          { 'x-api-key': keyOf('reader') },
          { 'x-api-key': 'wrong-canary' },
          bearer(expired),
          {},
        ];
        for (const headers of secrets) await analyze(headers);
        const records = (await readFile(join(folder, 'audit.jsonl'), 'utf8'))
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line));
        const { data, model } = decision.body;
        const { time, ms, ...first } = records[0];
        assert.ok(!Number.isNaN(Date.parse(time)) && ms >= 0);
        assert.deepEqual(first, {
          audit: true,
          event: 'decision',
          method: 'key',
          subject: 'web',
          address: '127.0.0.1',
          route: '/analyze',
          request_id: 'r-1',
          sha256: data.media.sha256,
          model: 'picture',
          model_digest: model.digest,
          verdict: 'DEEPFAKE',
          score: data.score,
          status: 200,
          error: null,
        });
        assert.deepEqual(
          records.map(({ event, method, subject, status, error }) => [event, method, subject, status, error]),
          [
            ['decision', 'key', 'web', 200, null],
            ['decision', 'token', 'ada', 200, null],
            ['decision', 'key', 'web', 415, 'unsupported_media'],
            ['refusal', 'key', 'web', 429, 'rate_limited'],
            ['refusal', 'key', 'reader', 403, 'insufficient_scope'],
            ['refusal', 'key', null, 401, 'unauthorized'],
            ['refusal', 'token', null, 401, 'invalid_token'],
            ['refusal', 'none', null, 401, 'unauthorized'],
          ],
        );
        assert.equal(log().split('"audit":true').length - 1, records.length);
        const written = log() + JSON.stringify(records);
        const private_ = ['the-secret-key-of', 'canary', fileName, 'thirty-two bytes', token, expired];
        for (const text of private_) assert.ok(!written.includes(text), text);
      },
    ));

  test('that cannot be written ends the start with one line', () =>
    assert.rejects(
      inScene(
        (folder) => ({ AUDIT_LOG_FILE: join(folder, 'nowhere/audit.jsonl') }),
        async () => undefined,
      ),
      { name: 'StartupError', message: /^AUDIT_LOG_FILE: .*cannot be written.*ENOENT/ },
    ));
});
