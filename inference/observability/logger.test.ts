import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLogger } from './logger.ts';

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
const secret = 'hunter2';

/** What one call writes, as text. */
function logged(level: (typeof levels)[number], fields: object, bindings: object = {}): string {
  const lines: string[] = [];
  const logger = createLogger('trace', { write: (line) => lines.push(line) });
  logger.child({}).child(bindings)[level](fields, 'something happened');
  assert.equal(lines.length, 1);
  return lines.join('');
}

function selfContaining(): object {
  const value: { self?: object; password: string } = { password: secret };
  value.self = value;
  return value;
}

describe('the log', () => {
  const secrets: { name: string; fields: object; bindings?: object }[] = [
    { name: 'a password at the top', fields: { password: secret } },
    {
      name: 'a key, however it is spelled',
      fields: { apiKey: secret, 'x-api-key': secret, API_KEYS: [secret] },
    },
    { name: 'a token far below', fields: { a: { b: [{ c: { accessToken: secret } }] } } },
    { name: 'a secret that is an object', fields: { clientSecret: { value: secret } } },
    { name: 'headers', fields: { req: { headers: { anything: secret } } } },
    { name: 'an address with a password', fields: { redisUrl: `redis://:${secret}@host` } },
    { name: 'the name of a file', fields: { media: { filename: secret, file_name: secret } } },
    { name: 'the content of a file', fields: { file_content: secret, raw_data: Buffer.from(secret) } },
    {
      name: 'bytes under any name',
      fields: { body: Buffer.from(secret), array: new TextEncoder().encode(secret) },
    },
    {
      name: 'what hangs on an error',
      fields: {
        err: Object.assign(new Error('refused'), { config: { headers: { authorization: secret } } }),
      },
    },
    { name: 'a secret of a child logger', fields: {}, bindings: { request: { authorization: secret } } },
    { name: 'a secret in an object that contains itself', fields: { loop: selfContaining() } },
  ];
  for (const { name, fields, bindings } of secrets) {
    test(`leaves out ${name}, at every level`, () => {
      for (const level of levels) {
        const line = logged(level, fields, bindings);
        assert.equal(JSON.parse(line).level, level);
        assert.doesNotMatch(line, new RegExp(secret));
        assert.doesNotMatch(line, /104,117,110|"0":104/, 'the bytes of the secret as numbers');
      }
    });
  }

  const hostile: { name: string; fields: object; value: unknown }[] = [
    {
      name: 'line ends',
      fields: { value: 'a\n{"level":"fatal"}\r\u2028' },
      value: 'a\n{"level":"fatal"}\r\u2028',
    },
    { name: 'half a character', fields: { value: '\ud800' }, value: '\ud800' },
    { name: 'a large integer', fields: { value: 2n ** 70n }, value: '1180591620717411303424' },
    { name: 'no number', fields: { value: Number.NaN }, value: null },
    {
      name: 'a getter that throws',
      fields: {
        value: {
          get broken() {
            throw new Error('no');
          },
        },
      },
      value: { broken: '[unreadable]' },
    },
    { name: 'a date', fields: { value: new Date(0) }, value: '1970-01-01T00:00:00.000Z' },
    { name: 'an object without a prototype', fields: { value: Object.create(null) }, value: {} },
    {
      name: 'the name of the prototype',
      fields: { value: JSON.parse('{"__proto__":{"a":1}}') },
      value: undefined,
    },
  ];
  for (const { name, fields, value } of hostile) {
    test(`writes ${name} as one line of JSON, at every level`, () => {
      for (const level of levels) {
        const line = logged(level, fields);
        assert.equal(line.indexOf('\n'), line.length - 1);
        if (value !== undefined) assert.deepEqual(JSON.parse(line).value, value);
      }
    });
  }

  test('keeps the message, the code and the stack of an error', () => {
    const { err } = JSON.parse(
      logged('error', { err: Object.assign(new Error('refused'), { code: 'E_X' }) }),
    );
    assert.deepEqual([err.type, err.message, err.code], ['Error', 'refused', 'E_X']);
    assert.match(err.stack, /logger\.test\.ts/);
  });
});
