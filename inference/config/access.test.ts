import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AccessConfig } from './access.ts';
import { readConfig } from './config.ts';

const secret = 's'.repeat(32);
const rules = { JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'deepfake' };

type Env = Readonly<Record<string, string>>;

describe('access', () => {
  const modes: { name: string; env: Env; mode: AccessConfig['mode'] }[] = [
    { name: 'a loopback address needs no key', env: {}, mode: 'off' },
    { name: 'a key makes keys required', env: { API_KEY: 'one' }, mode: 'required' },
    { name: 'a file of keys makes keys required', env: { API_KEYS_FILE: '/keys' }, mode: 'required' },
    { name: 'an issuer makes tokens required', env: { ...rules, JWT_SECRET: secret }, mode: 'required' },
    { name: 'off is said to be off', env: { HOST: '::', AUTH_MODE: 'off', API_KEY: 'one' }, mode: 'off' },
    { name: 'optional needs no key', env: { HOST: '::', AUTH_MODE: 'optional' }, mode: 'optional' },
  ];
  for (const { name, env, mode } of modes) test(name, () => assert.equal(readConfig(env).access.mode, mode));

  test('reads every variable', () => {
    const { access } = readConfig({
      ...rules,
      API_KEY: 'one, two',
      API_KEYS_FILE: '/keys.yaml',
      AUTH_MODE: 'optional',
      ANONYMOUS_SCOPES: 'read',
      JWT_JWKS_URL: 'https://id.example/keys',
      RATE_LIMIT_PREDICT: '60',
      TRUST_PROXY: '10.0.0.0/8, ::1',
      CORS_ORIGINS: 'https://a.example,http://localhost:3000',
      AUDIT_LOG_FILE: '/audit.jsonl',
    });
    assert.deepEqual(access, {
      mode: 'optional',
      apiKeys: ['one', 'two'],
      apiKeysFile: '/keys.yaml',
      anonymousScopes: ['read'],
      jwt: {
        keys: { kind: 'jwks-url', url: new URL('https://id.example/keys') },
        issuer: 'https://id.example',
        audiences: ['deepfake'],
        clockToleranceS: 30,
      },
      rateLimits: { predict: 60, batch: 0, explain: 0 },
      trustedProxies: ['10.0.0.0/8', '::1'],
      corsOrigins: ['https://a.example', 'http://localhost:3000'],
      auditFile: '/audit.jsonl',
    });
  });

  test('takes keys over plain HTTP from this machine alone', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]'])
      readConfig({ ...rules, JWT_JWKS_URL: `http://${host}:9/keys` });
  });

  const refused: { name: string; env: Env; message: RegExp }[] = [
    {
      name: 'a public address without a key',
      env: { HOST: '0.0.0.0' },
      message: /API_KEY: is missing.*AUTH_MODE=off/,
    },
    { name: 'required authentication without a key', env: { AUTH_MODE: 'required' }, message: /API_KEY/ },
    { name: 'keys of commas only', env: { API_KEY: ',,' }, message: /API_KEY/ },
    { name: 'an unknown scope', env: { ANONYMOUS_SCOPES: 'predict,root' }, message: /ANONYMOUS_SCOPES/ },
    {
      name: 'scopes of nobody',
      env: { ANONYMOUS_SCOPES: 'read' },
      message: /ANONYMOUS_SCOPES: is read with AUTH_MODE=optional only \(it is off\)/,
    },
    {
      name: 'keys of tokens without issuer and audience',
      env: { JWT_SECRET: secret },
      message: /JWT_ISSUER: is missing; JWT_SECRET needs it.*; JWT_AUDIENCE: is missing/,
    },
    {
      name: 'an issuer without keys of tokens',
      env: rules,
      message: /JWT_JWKS_URL, .*: exactly one must be set \(none is\)/,
    },
    {
      name: 'public keys beside a secret',
      env: { ...rules, JWT_SECRET: secret, JWT_JWKS_FILE: '/jwks' },
      message: /exactly one must be set \(JWT_JWKS_FILE, JWT_SECRET are\)/,
    },
    { name: 'a short secret', env: { ...rules, JWT_SECRET: 'x' }, message: /JWT_SECRET: has fewer than 32/ },
    ...[
      'http://id.example/keys',
      'http://127.evil.example/keys',
      'https://u:p@id.example/',
      'file:///keys',
    ].map((url) => ({
      name: `keys from ${url}`,
      env: { ...rules, JWT_JWKS_URL: url },
      message: /JWT_JWKS_URL: is not https/,
    })),
    ...['0', '1', 'true', '10.0.0.0/33', '10/8', 'proxy.example', ','].map((text) => ({
      name: `the proxies ${text}`,
      env: { TRUST_PROXY: text },
      message: /TRUST_PROXY: is not a comma/,
    })),
    ...['https://a.example/', 'a.example', 'null'].map((text) => ({
      name: `the origin ${text}`,
      env: { CORS_ORIGINS: text },
      message: /CORS_ORIGINS: is neither/,
    })),
    { name: 'a negative limit', env: { RATE_LIMIT_BATCH: '-1' }, message: /RATE_LIMIT_BATCH/ },
  ];
  for (const { name, env, message } of refused)
    test(`refuses ${name}`, () => assert.throws(() => readConfig(env), message));

  test('never repeats a secret that it refuses', () =>
    assert.throws(
      () => readConfig({ ...rules, JWT_SECRET: 'hunter2', JWT_JWKS_URL: 'http://u:hunter2@h/' }),
      (error: Error) => !error.message.includes('hunter2'),
    ));
});
