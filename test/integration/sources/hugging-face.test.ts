/** The fetch command against a server that answers as the Hugging Face Hub does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Bench, GRAPH_BYTES, withBench } from './bench.ts';
import { type Hub, startHub, token } from './hub.ts';

const env = { HF_TOKEN: token };

/** The package of the bench in several repositories. */
function withHub(action: (bench: Bench, hub: Hub) => Promise<void>): Promise<void> {
  return withBench(async (bench) => {
    const below = new Map([...bench.files].map(([name, content]) => [`onnx/fp 32/${name}`, content]));
    const hub = await startHub(
      new Map([
        ['team/voice/main', bench.files],
        ['team/voice/refs/pr/1', below],
        ['team/gated-voice/main', bench.files],
        ['team/restricted-voice/main', bench.files],
      ]),
    );
    try {
      await action(bench, hub);
    } finally {
      hub.close();
    }
  });
}

const at = (hub: Hub, more: object = {}) => ({
  huggingFace: { repository: 'team/voice', endpoint: hub.endpoint, ...more },
});

describe('fetch from the Hugging Face Hub', () => {
  test('takes what the manifest lists, and keeps the token from the store of large files', async () => {
    await withHub(async (bench, hub) => {
      const found = await bench.fetch(at(hub, { repository: 'team/gated-voice' }), env);
      assert.deepEqual([found.code, found.digest], [0, bench.digest], found.error?.message);
      assert.ok(hub.asked.hub.every(({ headers }) => headers.authorization === `Bearer ${token}`));
      assert.equal(hub.asked.store.length, 1);
      assert.equal(hub.asked.store[0]?.headers.authorization, undefined);
      assert.match(hub.asked.hub[0]?.url ?? '', /\/resolve\/main\/model\.yaml$/);
    });
  });

  test('takes a folder of a revision', async () => {
    await withHub(async (bench, hub) => {
      const found = await bench.fetch(at(hub, { revision: 'refs/pr/1', path: 'onnx/fp 32' }));
      assert.deepEqual([found.code, found.digest], [0, bench.digest], found.error?.message);
    });
  });

  test('goes on where the store broke off, through a new redirect', async () => {
    await withHub(async (bench, hub) => {
      hub.breakStore(2, GRAPH_BYTES / 4);
      const found = await bench.fetch(at(hub), env);
      assert.equal(found.code, 0, found.error?.message);
      const starts = hub.asked.store.map(({ headers }) => Number(/\d+/.exec(headers.range ?? '0')?.[0]));
      assert.equal(starts.length, 3);
      assert.ok((starts[1] ?? 0) > 0 && (starts[2] ?? 0) > (starts[1] ?? 0), starts.join());
    });
  });

  const refusals = [
    {
      name: 'a gated repository without a token',
      source: { repository: 'team/gated-voice' },
      env: {},
      reason: 'SourceUnauthorized',
      message: /401 Unauthorized \(GatedRepo: Access is restricted; ask for access/,
    },
    {
      name: 'a gated repository with the token of somebody else',
      source: { repository: 'team/restricted-voice' },
      reason: 'SourceUnauthorized',
      message: /403 Forbidden \(GatedRepo: You are not in the authorized list/,
    },
    {
      name: 'an unknown repository',
      source: { repository: 'team/nothing' },
      reason: 'SourceUnauthorized',
      message: /RepoNotFound/,
    },
    {
      name: 'an unknown revision',
      source: { revision: 'v9' },
      reason: 'SourceNotFound',
      message: /RevisionNotFound: Invalid rev id.*; check the address/,
    },
    {
      name: 'a folder without a manifest',
      source: { path: 'onnx' },
      reason: 'SourceNotFound',
      message: /onnx\/model\.yaml answered 404 Not Found \(EntryNotFound/,
    },
    {
      name: 'more than the limit before the store is asked for anything',
      source: {},
      more: ['--max-bytes=100000'],
      reason: 'PackageTooLarge',
      message: /the package has \d{7} bytes; the limit is 100000 bytes/,
    },
  ];
  for (const { name, source, env: given = env, more = [], reason, message } of refusals) {
    test(`refuses ${name} and leaves nothing on the volume`, async () => {
      await withHub(async (bench, hub) => {
        const found = await bench.fetch(at(hub, source), given, ...more);
        assert.deepEqual([found.code, found.error?.reason], [2, reason], found.error?.message);
        assert.match(found.error?.message ?? '', message);
        assert.doesNotMatch(found.error?.message ?? '', /hf_|a-signature/);
        assert.equal(hub.asked.store.length, 0);
        assert.deepEqual(await bench.onVolume(), []);
      });
    });
  }
});
