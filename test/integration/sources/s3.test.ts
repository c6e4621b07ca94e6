/** The fetch command against an S3 server that checks signatures. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AwsClient } from 'aws4fetch';
import { type Bench, breakingWire, GRAPH_BYTES, withBench } from './bench.ts';
import { emptyFolder, type RunningServer, startServer } from './servers.ts';

const region = 'eu-test-1';
const keys = { AWS_ACCESS_KEY_ID: 'the-owner', AWS_SECRET_ACCESS_KEY: 'the-secret-of-the-owner' };
const bucket = 'packages';
const publicBucket = 'public-packages';

let server: RunningServer;
let endpoint: string;
let owner: AwsClient;

before(async () => {
  server = await startServer('s3', async (port, folder) => ({
    args: [
      `--root=${await emptyFolder(folder, 'buckets')}`,
      `--attributes=${await emptyFolder(folder, 'attributes')}`,
      `--listen=127.0.0.1:${port}`,
      `--region=${region}`,
    ],
    env: {
      ROOT_ACCESS_KEY_ID: keys.AWS_ACCESS_KEY_ID,
      ROOT_SECRET_ACCESS_KEY: keys.AWS_SECRET_ACCESS_KEY,
    },
  }));
  endpoint = `http://127.0.0.1:${server.port}`;
  owner = new AwsClient({
    accessKeyId: keys.AWS_ACCESS_KEY_ID,
    secretAccessKey: keys.AWS_SECRET_ACCESS_KEY,
    service: 's3',
    region,
  });
  await put(`/${bucket}`);
  await put(`/${publicBucket}`);
  const readable = {
    Effect: 'Allow',
    Principal: '*',
    Action: 's3:GetObject',
    Resource: `arn:aws:s3:::${publicBucket}/*`,
  };
  await put(`/${publicBucket}?policy`, JSON.stringify({ Version: '2012-10-17', Statement: [readable] }));
});
after(() => server.stop());

async function put(path: string, body: Buffer | string = ''): Promise<void> {
  const answer = await owner.fetch(`${endpoint}${path}`, {
    method: 'PUT',
    body: new Uint8Array(Buffer.from(body)),
  });
  assert.ok(answer.ok, `PUT ${path}: ${answer.status} ${await answer.text()}`);
}

async function putFolder({ files }: Bench, prefix: string): Promise<void> {
  for (const [name, content] of files) {
    await put(`/${bucket}/${`${prefix}/${name}`.split('/').map(encodeURIComponent).join('/')}`, content);
  }
}

const at = (more: object) => ({ s3: { bucket, region, endpoint, ...more } });

describe('fetch from S3', () => {
  test('takes an archive', async () => {
    await withBench(async (bench) => {
      await put(`/${bucket}/voice.tar.gz`, bench.archive);
      const found = await bench.fetch(at({ key: 'voice.tar.gz' }), keys);
      assert.deepEqual([found.code, found.digest], [0, bench.digest], found.error?.message);
      assert.deepEqual(await bench.onVolume(), [bench.digest.replace(':', '-')]);
    });
  });

  for (const prefix of ['voice', 'mödels (v1+2)/a b/']) {
    test(`takes the folder ${prefix}, and only what its manifest lists`, async () => {
      await withBench(async (bench) => {
        await putFolder(bench, prefix.replace(/\/$/, ''));
        const found = await bench.fetch(at({ prefix }), keys);
        assert.deepEqual([found.code, found.digest], [0, bench.digest], found.error?.message);
      });
    });
  }

  test('takes from a public bucket without keys, without the right to list it', async () => {
    await withBench(async (bench) => {
      for (const [name, content] of bench.files) await put(`/${publicBucket}/voice/${name}`, content);
      const found = await bench.fetch(at({ bucket: publicBucket, prefix: 'voice' }));
      assert.deepEqual([found.code, found.digest], [0, bench.digest], found.error?.message);
    });
  });

  test('goes on where the connection broke, and brings no byte twice', async () => {
    await withBench(async (bench) => {
      await putFolder(bench, 'broken');
      const wire = await breakingWire(server.port, { afterBytes: GRAPH_BYTES / 4, breaks: 3 });
      try {
        const source = at({ prefix: 'broken', endpoint: `http://127.0.0.1:${wire.port}` });
        const found = await bench.fetch(source, keys);
        assert.deepEqual([found.code, wire.broken], [0, 3], found.error?.message);
        assert.ok(wire.received < GRAPH_BYTES * 1.4, `${wire.received} bytes came for ${GRAPH_BYTES}`);
      } finally {
        wire.close();
      }
    });
  });

  const refusals: {
    name: string;
    source: object;
    env?: Record<string, string>;
    more?: string[];
    reason: string;
    message: RegExp;
  }[] = [
    {
      name: 'a wrong secret',
      source: { key: 'refused.tar.gz' },
      env: { ...keys, AWS_SECRET_ACCESS_KEY: 'a-wrong-secret' },
      reason: 'SourceUnauthorized',
      message: /403 Forbidden \(SignatureDoesNotMatch: .*; check the credentials/,
    },
    {
      name: 'no keys for a private bucket',
      source: { key: 'refused.tar.gz' },
      env: {},
      reason: 'SourceUnauthorized',
      message: /AccessDenied/,
    },
    {
      name: 'the wrong region',
      source: { key: 'refused.tar.gz', region: 'us-east-1' },
      reason: 'SourceUnauthorized',
      message: /the bucket is in region eu-test-1: set region/,
    },
    {
      name: 'a missing object',
      source: { key: 'nothing-here.tar.gz' },
      reason: 'SourceNotFound',
      message: /NoSuchKey.*; check the address/,
    },
    {
      name: 'a missing bucket',
      source: { bucket: 'no-such-bucket', key: 'refused.tar.gz' },
      reason: 'SourceNotFound',
      message: /NoSuchBucket/,
    },
    {
      name: 'a folder without a manifest',
      source: { prefix: 'nothing-here' },
      reason: 'SourceNotFound',
      message: /nothing-here\/model\.yaml answered 404/,
    },
    {
      name: 'an archive above the limit',
      source: { key: 'refused.tar.gz' },
      more: ['--max-bytes=100000'],
      reason: 'PackageTooLarge',
      message: /larger than the 100000 bytes that the limit leaves/,
    },
    {
      name: 'a folder above the limit',
      source: { prefix: 'refused' },
      more: ['--max-bytes=100000'],
      reason: 'PackageTooLarge',
      message: /the package has \d{7} bytes; the limit is 100000 bytes/,
    },
  ];
  for (const { name, source, env = keys, more = [], reason, message } of refusals) {
    test(`refuses ${name} and leaves nothing on the volume`, async () => {
      await withBench(async (bench) => {
        await put(`/${bucket}/refused.tar.gz`, bench.archive);
        await putFolder(bench, 'refused');
        const found = await bench.fetch(at(source), env, ...more);
        assert.deepEqual([found.code, found.error?.reason], [2, reason], found.error?.message);
        assert.match(found.error?.message ?? '', message);
        assert.doesNotMatch(found.error?.message ?? '', /secret-of|wrong-secret/);
        assert.deepEqual(await bench.onVolume(), []);
      });
    });
  }

  test('refuses a folder in which a file was exchanged', async () => {
    await withBench(async (bench) => {
      await putFolder(bench, 'exchanged');
      await put(`/${bucket}/exchanged/classifier.onnx`, Buffer.alloc(GRAPH_BYTES, 7));
      const found = await bench.fetch(at({ prefix: 'exchanged' }), keys);
      assert.deepEqual([found.code, found.error?.reason], [2, 'DigestMismatch']);
      assert.match(found.error?.message ?? '', /classifier\.onnx: the SHA-256 is/);
      assert.deepEqual(await bench.onVolume(), []);
    });
  });
});
