import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findApiKey, hashApiKey, parseApiKeys, unlimitedKeys } from './api-keys.ts';

const key = 'a-key-of-many-characters';
const hash = hashApiKey(key);
const canary = 'canary-in-plain';

const entry = (overrides: object) =>
  JSON.stringify({ keys: [{ name: 'web', hash, scopes: ['predict'], ...overrides }] });

describe('a file of API keys', () => {
  test('is YAML', () => {
    const keys = parseApiKeys(`
keys:
  - name: web
    hash: ${hash}
    scopes: [predict, read]
    expires: 2030-01-01T00:00:00Z
    rate_limits: {predict: 5}
`);
    assert.deepEqual(keys, [
      {
        name: 'web',
        hash: Buffer.from(hash.slice(7), 'hex'),
        scopes: ['predict', 'read'],
        expiresAt: Date.UTC(2030, 0, 1),
        rateLimits: { predict: 5 },
      },
    ]);
  });

  test('is JSON, with keys that never expire and have no limits of their own', () => {
    const [found] = parseApiKeys(entry({}));
    assert.deepEqual([found?.expiresAt, found?.rateLimits], [Number.POSITIVE_INFINITY, {}]);
  });

  const twice = (second: object) =>
    JSON.stringify({
      keys: [
        { name: 'a', hash, scopes: ['read'] },
        { name: 'b', hash: hashApiKey(`${key}2`), scopes: ['read'], ...second },
      ],
    });
  const refused: { name: string; text: string; message: RegExp }[] = [
    { name: 'a key in plain', text: entry({ hash: canary }), message: /0\.hash: is not sha256.*hash-key/ },
    { name: 'a key in another field', text: entry({ key: canary }), message: /0: has a field that is not/ },
    { name: 'a key as a field', text: entry({ [canary]: 1 }), message: /0: has a field that is not known/ },
    { name: 'an unknown scope', text: entry({ scopes: ['root'] }), message: /0\.scopes\.0: Invalid option/ },
    { name: 'no scope', text: entry({ scopes: [] }), message: /0\.scopes/ },
    { name: 'an end that is no time', text: entry({ expires: 'soon' }), message: /0\.expires/ },
    { name: 'a limit of something else', text: entry({ rate_limits: { read: 1 } }), message: /rate_limits/ },
    { name: 'a name with spaces', text: entry({ name: 'my web' }), message: /0\.name: is not/ },
    { name: 'one name for two keys', text: twice({ name: 'a' }), message: /same name/ },
    { name: 'one key with two names', text: twice({ hash }), message: /same hash/ },
    { name: 'no keys', text: '{"keys":[]}', message: /keys: / },
    { name: 'broken YAML', text: `keys: [${canary}`, message: /is neither YAML nor JSON \(.*line 1\)/ },
    { name: 'keys alone', text: canary, message: /the file: / },
  ];
  for (const { name, text, message } of refused) {
    test(`refuses ${name} in one line that repeats no value`, () => {
      assert.throws(
        () => parseApiKeys(text),
        (error: Error) => {
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /canary|\n/);
          return true;
        },
      );
    });
  }
});

describe('an API key', () => {
  const [web] = parseApiKeys(entry({ expires: '2030-01-01T00:00:00Z' }));
  assert.ok(web);
  const keys = [...unlimitedKeys(['first', 'second']), web];
  const end = Date.UTC(2030, 0, 1);
  const cases: { name: string; presented: string; now: number; found: string | undefined }[] = [
    { name: 'is found among several', presented: 'second', now: 0, found: 'API_KEY#2' },
    { name: 'is found by its hash', presented: key, now: end - 1, found: 'web' },
    { name: 'is not found at its end', presented: key, now: end, found: undefined },
    { name: 'is not its hash', presented: hash, now: 0, found: undefined },
    { name: 'is not its beginning', presented: 'secon', now: 0, found: undefined },
    { name: 'is not empty', presented: '', now: 0, found: undefined },
  ];
  for (const { name, presented, now, found } of cases)
    test(name, () => assert.equal(findApiKey(keys, presented, now)?.name, found));

  test('is hashed without the end of its line', () => {
    assert.equal(hashApiKey(`${key}\n`), hash);
    assert.equal(hashApiKey(`${key}\r\n`), hash);
  });

  for (const input of ['', 'short', `${key} ${key}`, `${key}\n${key}`, 'ä'.repeat(20)])
    test(`is not ${JSON.stringify(input)}`, () => assert.throws(() => hashApiKey(input), /openssl rand/));
});
