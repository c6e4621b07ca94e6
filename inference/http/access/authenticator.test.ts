import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Credential, credentialOf } from './authenticator.ts';
import { clientKey } from './rate-limits.ts';

const token = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl';

describe('a request presents', () => {
  const cases: {
    name: string;
    headers: Readonly<Record<string, string>>;
    readsTokens?: boolean;
    credential: Credential;
  }[] = [
    { name: 'nothing', headers: {}, credential: { method: 'none' } },
    {
      name: 'a key in its own header',
      headers: { 'x-api-key': 'k' },
      credential: { method: 'key', value: 'k' },
    },
    {
      name: 'an empty key, which is not nothing',
      headers: { 'x-api-key': '' },
      credential: { method: 'key', value: '' },
    },
    {
      name: 'a key as a bearer',
      headers: { authorization: 'Bearer k' },
      credential: { method: 'key', value: 'k' },
    },
    {
      name: 'a token, whatever the case of the scheme',
      headers: { authorization: `bearer ${token}` },
      credential: { method: 'token', value: token },
    },
    {
      name: 'a key that looks like a token to a server without tokens',
      headers: { authorization: `Bearer ${token}` },
      readsTokens: false,
      credential: { method: 'key', value: token },
    },
    {
      name: 'the key where a token is there too',
      headers: { 'x-api-key': 'k', authorization: `Bearer ${token}` },
      credential: { method: 'key', value: 'k' },
    },
    {
      name: 'something that cannot be read',
      headers: { authorization: 'Basic YTpi' },
      credential: { method: 'key', value: undefined },
    },
    {
      name: 'two words that cannot be read',
      headers: { authorization: 'Bearer a b' },
      credential: { method: 'key', value: undefined },
    },
  ];
  for (const { name, headers, readsTokens = true, credential } of cases)
    test(name, () => assert.deepEqual(credentialOf(headers, readsTokens), credential));
});

describe('requests are counted', () => {
  const cases: { name: string; method: 'key' | 'token' | 'none'; address: string; key: string }[] = [
    { name: 'by the name of their key', method: 'key', address: '10.0.0.1', key: 'key:ada' },
    { name: 'by the subject of their token', method: 'token', address: '10.0.0.1', key: 'token:ada' },
    { name: 'by their address without a name', method: 'none', address: '10.0.0.1', key: 'address:10.0.0.1' },
    { name: 'by IPv4 within IPv6', method: 'none', address: '::ffff:10.0.0.1', key: 'address:10.0.0.1' },
    {
      name: 'by the network of IPv6, of which a client has many addresses',
      method: 'none',
      address: '2001:db8:1:2:3:4:5:6',
      key: 'address:2001:db8:1:2::',
    },
  ];
  for (const { name, method, address, key } of cases) {
    test(name, () => {
      const principal = { method, subject: 'ada', scopes: new Set<never>(), rateLimits: {} };
      assert.equal(clientKey(principal, address), key);
    });
  }
});
