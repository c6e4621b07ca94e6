import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explain, objectUrl, type S3Keys, s3Remote } from './s3.ts';

const keys: S3Keys = { accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: undefined };

describe('the address of an object', () => {
  const rows: { name: string; source: object; key: string; url: string }[] = [
    {
      name: 'at AWS',
      source: {},
      key: 'a/b.tar.gz',
      url: 'https://packages.s3.eu-central-1.amazonaws.com/a/b.tar.gz',
    },
    {
      name: 'at AWS in China',
      source: { region: 'cn-north-1' },
      key: 'a',
      url: 'https://packages.s3.cn-north-1.amazonaws.com.cn/a',
    },
    {
      name: 'at AWS, the bucket in the path',
      source: { forcePathStyle: true },
      key: 'a',
      url: 'https://s3.eu-central-1.amazonaws.com/packages/a',
    },
    {
      name: 'of a bucket that no certificate fits',
      source: { bucket: 'my.packages' },
      key: 'a',
      url: 'https://s3.eu-central-1.amazonaws.com/my.packages/a',
    },
    {
      name: 'at another server',
      source: { endpoint: 'https://s3.example.org:9000' },
      key: 'a',
      url: 'https://s3.example.org:9000/packages/a',
    },
    {
      name: 'at another server below a path',
      source: { endpoint: 'https://example.org/s3/' },
      key: 'a',
      url: 'https://example.org/s3/packages/a',
    },
    {
      name: 'at another server, the bucket in the host',
      source: { endpoint: 'https://s3.example.org', forcePathStyle: false },
      key: 'a',
      url: 'https://packages.s3.example.org/a',
    },
    {
      name: 'at a server that has no name',
      source: { endpoint: 'http://127.0.0.1:9000', forcePathStyle: false },
      key: 'a',
      url: 'http://127.0.0.1:9000/packages/a',
    },
    {
      name: 'with what is special in addresses',
      source: {},
      key: "a b/c+d?#%'(!*)/é",
      url: 'https://packages.s3.eu-central-1.amazonaws.com/a%20b/c%2Bd%3F%23%25%27%28%21%2A%29/%C3%A9',
    },
  ];
  for (const { name, source, key, url } of rows) {
    test(name, () => {
      assert.equal(objectUrl({ bucket: 'packages', region: 'eu-central-1', key, ...source }, key), url);
    });
  }
});

describe('a request to S3', () => {
  const located = (more: object, given: S3Keys | undefined) => {
    const remote = s3Remote({ bucket: 'packages', region: 'eu-central-1', prefix: 'voice/', ...more }, given);
    assert.ok(remote.kind === 'folder');
    return remote.locate('golden/a.wav');
  };

  test('names the folder once, and is signed for its region, method and time', async () => {
    const { url, access } = located({}, keys);
    assert.equal(url, 'https://packages.s3.eu-central-1.amazonaws.com/voice/golden/a.wav');
    const { authorization = '', ...others } = await access.credentials('GET', new URL(url));
    assert.match(
      authorization,
      /^AWS4-HMAC-SHA256 Credential=id\/\d{8}\/eu-central-1\/s3\/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=[0-9a-f]{64}$/,
    );
    assert.deepEqual(Object.keys(others).sort(), ['x-amz-content-sha256', 'x-amz-date']);
    const head = await access.credentials('HEAD', new URL(url));
    assert.notEqual(head['authorization'], authorization);
  });

  test('names no folder for the root of the bucket', () => {
    const { url } = located({ prefix: '/' }, undefined);
    assert.equal(url, 'https://packages.s3.eu-central-1.amazonaws.com/golden/a.wav');
  });

  test('carries a session token under the signature', async () => {
    const { url, access } = located({}, { ...keys, sessionToken: 'session' });
    const headers = await access.credentials('GET', new URL(url));
    assert.equal(headers['x-amz-security-token'], 'session');
    assert.match(headers['authorization'] ?? '', /x-amz-security-token/);
  });

  test('without keys proves nothing', async () => {
    const { url, access } = located({}, undefined);
    assert.deepEqual(await access.credentials('GET', new URL(url)), {});
  });
});

describe('what S3 says of a refusal', () => {
  const body = (code: string) => `<Error><Code>${code}</Code><Message>No.</Message></Error>`;
  const rows: { name: string; answer: Parameters<typeof explain>[0]; found: object }[] = [
    {
      name: 'is its code and message',
      answer: { status: 404, headers: {}, body: body('NoSuchKey') },
      found: { detail: 'NoSuchKey: No.' },
    },
    {
      name: 'is nothing where it has no body',
      answer: { status: 403, headers: {}, body: '' },
      found: { detail: undefined },
    },
    {
      name: 'is the region that the bucket is in',
      answer: { status: 301, headers: { 'x-amz-bucket-region': 'eu-west-1' }, body: '' },
      found: { detail: 'the bucket is in region eu-west-1: set region' },
    },
    {
      name: 'is about the credentials when a token has expired',
      answer: { status: 400, headers: {}, body: body('ExpiredToken') },
      found: { detail: 'ExpiredToken: No.', reason: 'SourceUnauthorized' },
    },
  ];
  for (const { name, answer, found } of rows) {
    test(name, () => {
      assert.deepEqual(explain(answer), found);
    });
  }
});
