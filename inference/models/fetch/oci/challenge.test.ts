import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseChallenge } from './challenge.ts';

const bearer = (realm: string, service?: string, scope?: string) => ({
  scheme: 'bearer',
  realm,
  service,
  scope,
});

describe('a challenge', () => {
  const rows: [string, unknown][] = [
    ['Basic realm="packages"', { scheme: 'basic' }],
    ['basic', { scheme: 'basic' }],
    [
      'Bearer realm="https://auth.example.org/token",service="registry.example.org",scope="repository:team/voice:pull,push"',
      bearer('https://auth.example.org/token', 'registry.example.org', 'repository:team/voice:pull,push'),
    ],
    [
      'BEARER realm=https://auth.example.org/token, Service="a \\"b\\""',
      bearer('https://auth.example.org/token', 'a "b"'),
    ],
    [
      'Basic realm="x", Bearer realm="https://auth.example.org/token"',
      bearer('https://auth.example.org/token'),
    ],
    ['Bearer realm="not an address"', undefined],
    ['Negotiate', undefined],
  ];
  for (const [header, found] of rows) {
    test(`${header} is ${found === undefined ? 'not answered' : 'understood'}`, () => {
      assert.deepEqual(parseChallenge(header), found);
    });
  }
});
