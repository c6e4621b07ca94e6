import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StartupError } from '../errors.ts';
import { readConfig } from './config.ts';

const digest = `sha256:${'ab'.repeat(32)}`;

describe('configuration', () => {
  test('of an empty environment serves on loopback without keys', () => {
    const config = readConfig({});
    assert.equal(config.port, 8080);
    assert.equal(config.host, '127.0.0.1');
    assert.equal(config.access.mode, 'off');
    assert.equal(config.activeModels, undefined);
    assert.equal(config.maxUploadBytes, 52_428_800);
    assert.equal(config.maxSpoolBytes, 1_006_632_960);
    assert.equal(config.precision, 'auto');
    assert.deepEqual(config.batch, { maxItems: undefined, maxDelayMs: 0 });
  });

  test('takes empty variables as absent', () =>
    assert.equal(readConfig({ API_KEY: '', PORT: '' }).access.mode, 'off'));

  test('reads lists of models as names or as JSON, and digests by name', () => {
    assert.deepEqual(readConfig({ ACTIVE_MODELS: 'a, b' }).activeModels, ['a', 'b']);
    assert.deepEqual(readConfig({ ACTIVE_MODELS: '["a","b"]' }).activeModels, ['a', 'b']);
    assert.deepEqual([...readConfig({ MODEL_DIGESTS: `a=${digest}` }).modelDigests], [['a', digest]]);
  });

  const refused: { name: string; env: Record<string, string>; message: RegExp }[] = [
    {
      name: 'less space for uploads than one may need',
      env: { MAX_SPOOL_BYTES: '1000000' },
      message: /MAX_SPOOL_BYTES: is below MAX_UPLOAD_BYTES \(52428800\)/,
    },
    { name: 'a port that is no number', env: { PORT: 'http' }, message: /PORT/ },
    { name: 'an unknown device', env: { DEVICE: 'abacus' }, message: /DEVICE/ },
    { name: 'an unknown precision', env: { PRECISION: 'int4' }, message: /PRECISION/ },
    { name: 'runs without items', env: { ENGINE_MAX_BATCH: '0' }, message: /ENGINE_MAX_BATCH/ },
    {
      name: 'a delay longer than a second',
      env: { ENGINE_MAX_DELAY_MS: '1001' },
      message: /ENGINE_MAX_DELAY_MS/,
    },
    {
      name: 'a default that is not active',
      env: { ACTIVE_MODELS: 'a', DEFAULT_MODEL_NAME: 'b' },
      message: /DEFAULT_MODEL_NAME: "b" is not in ACTIVE_MODELS \(a\)/,
    },
    { name: 'a digest that is none', env: { MODEL_DIGESTS: 'a=md5:1' }, message: /MODEL_DIGESTS: "a=md5:1"/ },
    ...['localhost:6379', 'http://h', 'redis://', 'redis://h/name', 'redis://h?tls=no', 'redis://:%zz@h'].map(
      (url) => ({
        name: `${url} as the address of Redis`,
        env: { REDIS_URL: url },
        message: /REDIS_URL: is not redis:/,
      }),
    ),
    {
      name: 'results in a Redis that is not there',
      env: { CACHE_BACKEND: 'redis' },
      message: /CACHE_BACKEND: is redis, but there is no REDIS_URL/,
    },
    { name: 'a list that is broken JSON', env: { ACTIVE_MODELS: '["a"' }, message: /ACTIVE_MODELS/ },
  ];
  for (const { name, env, message } of refused) {
    test(`refuses ${name}`, () => {
      assert.throws(
        () => readConfig(env),
        (error: StartupError) => {
          assert.equal(error.exitCode, 2);
          assert.match(error.message, message);
          return !error.message.includes('\n');
        },
      );
    });
  }

  test('takes addresses of Redis with and without TLS, and never repeats the password of a bad one', () => {
    for (const url of ['redis://redis:6379', 'rediss://user:p%40ss@[::1]:6380/2'])
      assert.equal(readConfig({ REDIS_URL: url }).redisUrl, url);
    assert.equal(readConfig({}).progressChannel, 'media-progress-events');
    assert.throws(
      () => readConfig({ REDIS_URL: 'redis://:hunter2@host:99999' }),
      (error: Error) => !error.message.includes('hunter2'),
    );
  });

  const caches: { name: string; env: Record<string, string>; backend: string }[] = [
    { name: 'in memory', env: {}, backend: 'memory' },
    {
      name: 'in memory beside a Redis for progress alone',
      env: { REDIS_URL: 'redis://h' },
      backend: 'memory',
    },
    {
      name: 'in Redis where that is said',
      env: { REDIS_URL: 'redis://h', CACHE_BACKEND: 'redis' },
      backend: 'redis',
    },
    { name: 'nowhere without time', env: { CACHE_TTL_SECONDS: '0' }, backend: 'off' },
    { name: 'nowhere without room', env: { CACHE_MAX_BYTES: '0' }, backend: 'off' },
  ];
  for (const { name, env, backend } of caches)
    test(`keeps results ${name}`, () => assert.equal(readConfig(env).cache.backend, backend));

  test('lists every problem at once', () => {
    assert.throws(
      () => readConfig({ PORT: 'x', DEVICE: 'y', LOG_LEVEL: 'z' }),
      /PORT: .*; DEVICE: .*; LOG_LEVEL: /,
    );
  });
});
