import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JWTPayload } from 'jose';
import { createLogger } from '../../observability/logger.ts';
import { audience, issuer, secretToken, type TokenOptions, tokenIssuer } from '../../testing/tokens.ts';
import { openTokenKeys, parseKeySet, parseSecret, type TokenKeys } from './token-keys.ts';
import { isToken, scopesOf, verifyToken } from './tokens.ts';

const secret = 'a secret of at least thirty-two bytes';
const rules = { issuer, audiences: [audience, 'another'], clockToleranceS: 30 };
const rsa = await tokenIssuer('RS256', 'one');
const ec = await tokenIssuer('ES256', 'two');
const ed = await tokenIssuer('EdDSA', 'three');
const stranger = await tokenIssuer('RS256', 'one');
const unknown = await tokenIssuer('RS256', 'four');

const keySet = parseKeySet(JSON.stringify({ keys: [rsa.publicJwk, ec.publicJwk, ed.publicJwk] }));
const publicKeys: TokenKeys = {
  algorithms: ['RS256', 'ES256', 'EdDSA'],
  get: keySet,
  close: () => undefined,
};
const options = { logger: createLogger('silent'), onFile: () => undefined };
const secretKeys = await openTokenKeys({ kind: 'secret', secret }, options);

const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = { iss: issuer, aud: audience, sub: 'ada', exp: 4_000_000_000 };

describe('a token', () => {
  const accepted: { name: string; keys: TokenKeys; token: Promise<string> }[] = [
    { name: 'RS256', keys: publicKeys, token: rsa.sign() },
    { name: 'ES256', keys: publicKeys, token: ec.sign() },
    { name: 'EdDSA', keys: publicKeys, token: ed.sign() },
    { name: 'HS256', keys: secretKeys, token: secretToken(secret) },
    { name: 'several audiences', keys: publicKeys, token: rsa.sign({ claims: { aud: ['x', 'another'] } }) },
    { name: 'an end within the clock tolerance', keys: publicKeys, token: rsa.sign({ validS: -5 }) },
  ];
  for (const { name, keys, token } of accepted) {
    test(`with ${name} says who sends it and what they may do`, async () => {
      assert.ok(isToken(await token));
      assert.deepEqual(await verifyToken(await token, keys, rules), {
        method: 'token',
        subject: 'ada',
        scopes: new Set(['predict']),
        rateLimits: {},
      });
    });
  }

  const bad = (overrides: Readonly<Record<string, unknown>>): Promise<string> =>
    rsa.sign({ claims: overrides });
  const expired: TokenOptions = { validS: -31 };
  const refused: { name: string; token: string | Promise<string>; keys?: TokenKeys; reason: RegExp }[] = [
    { name: 'that has expired', token: rsa.sign(expired), reason: /it has expired/ },
    { name: 'that never expires', token: bad({ exp: undefined }), reason: /claim "exp"/ },
    { name: 'that is not valid yet', token: bad({ nbf: claims.exp }), reason: /claim "nbf"/ },
    { name: 'for somebody else', token: bad({ aud: 'other' }), reason: /claim "aud"/ },
    { name: 'of another issuer', token: bad({ iss: 'https://evil.example' }), reason: /claim "iss"/ },
    { name: 'of nobody', token: bad({ sub: undefined }), reason: /claim "sub"/ },
    { name: 'of an empty name', token: bad({ sub: '' }), reason: /claim "sub"/ },
    { name: 'of an endless name', token: bad({ sub: 'x'.repeat(256) }), reason: /claim "sub"/ },
    { name: 'signed by a stranger', token: stranger.sign(), reason: /signature is wrong/ },
    { name: 'of an unknown key', token: unknown.sign(), reason: /key is not one of the issuer/ },
    {
      name: 'without a signature (alg none)',
      token: `${base64({ alg: 'none', kid: 'one' })}.${base64(claims)}.`,
      reason: /algorithm/,
    },
    {
      name: 'signed with the text of the public key as a secret (algorithm confusion)',
      token: secretToken(rsa.publicPem),
      reason: /algorithm/,
    },
    {
      name: 'signed with the JSON of the public key as a secret (algorithm confusion)',
      token: secretToken(JSON.stringify(rsa.publicJwk)),
      reason: /algorithm/,
    },
    { name: 'signed with a key where a secret is', keys: secretKeys, token: rsa.sign(), reason: /algorithm/ },
    {
      name: 'signed with another secret',
      keys: secretKeys,
      token: secretToken('another secret of thirty-two bytes'),
      reason: /signature is wrong/,
    },
    { name: 'that is no token', token: 'a.b.c', reason: /malformed/ },
  ];
  for (const { name, token, keys = publicKeys, reason } of refused) {
    test(`${name} is refused`, async () => {
      await assert.rejects(verifyToken(await token, keys, rules), { code: 'invalid_token', message: reason });
    });
  }

  const claimed: { name: string; claims: JWTPayload; scopes: string[] }[] = [
    { name: 'a text', claims: { scope: 'openid read  predict' }, scopes: ['predict', 'read'] },
    { name: 'a list', claims: { scopes: ['admin', 'batch', 7, null] }, scopes: ['batch', 'admin'] },
    { name: 'both', claims: { scope: 'read', scopes: ['explain'] }, scopes: ['explain', 'read'] },
    { name: 'neither', claims: {}, scopes: [] },
    { name: 'something else', claims: { scope: ['read'], scopes: 'read' }, scopes: [] },
  ];
  for (const { name, claims: given, scopes } of claimed)
    test(`tells its scopes as ${name}`, () => assert.deepEqual([...scopesOf(given)], scopes));
});

describe('keys of tokens', () => {
  const refused: { name: string; text: string; message: RegExp }[] = [
    { name: 'no JSON', text: 'canary', message: /is not JSON/ },
    { name: 'no set', text: '{"kty":"RSA"}', message: /is not a JSON Web Key Set/ },
    { name: 'an empty set', text: '{"keys":[]}', message: /at least one key/ },
    { name: 'a private key', text: JSON.stringify({ keys: [rsa.privateJwk] }), message: /not a public one/ },
    { name: 'a secret', text: '{"keys":[{"kty":"oct","k":"canary"}]}', message: /not a public one/ },
  ];
  for (const { name, text, message } of refused)
    test(`are not ${name}`, () =>
      assert.throws(
        () => parseKeySet(text),
        (error: Error) => message.test(error.message) && !error.message.includes('canary'),
      ));

  test('have 32 bytes where they are a secret, without the end of its line', () => {
    assert.equal(parseSecret(`${'x'.repeat(32)}\n`).length, 32);
    assert.throws(() => parseSecret(`${'x'.repeat(31)}\n`), /fewer than 32 bytes/);
  });
});
