import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serviceError } from '../errors.ts';
import type { NamedPackage } from '../models/package.ts';
import type { CompletedAnalysis } from '../pipelines/analyzer.ts';
import { type CacheUse, Judgements } from './judgements.ts';
import { MemoryStore } from './store.ts';

const packageOf = (digest: string, name = 'picture') => ({ name, digest, precision: 'fp32' }) as NamedPackage;
const old = packageOf('sha256:old');
const analysis = {
  score: 0.9,
  verdict: 'DEEPFAKE',
  inconclusiveReasons: [],
  explanations: [],
  signals: {},
  notes: [],
  timingsMs: { decode: 1, preprocess: 1, infer: 1 },
} as const;

/** Judgements whose files are judged by `analyze`. */
function scene(analyze: (model: NamedPackage) => Promise<NamedPackage>) {
  const holders = new Map<string, number>();
  const count = (path: string, change: number) => holders.set(path, (holders.get(path) ?? 0) + change);
  const judgements = new Judgements({
    analyzer: {
      analyze: async ({ model }): Promise<CompletedAnalysis> => {
        const media = { mime: 'image/png', kind: 'image' } as const;
        return { ...media, model: await analyze(model), analysis, queueMs: 3 };
      },
    },
    spool: {
      hold: (path) => count(path, 1),
      onDisk: async (source) => source,
      remove: async (path) => {
        count(path, -1);
      },
    },
    stores: [new MemoryStore(10_000)],
    ttlMs: 1000,
    settings: {},
    onStoreError: () => assert.fail('no store fails here'),
  });
  const judge = (model: NamedPackage, cacheUse: CacheUse = 'use') =>
    judgements.judge({ path: '/file', media: { kind: 'image', mime: 'image/png' }, model }, 'file', {
      signal: new AbortController().signal,
      priority: 'interactive',
      cacheUse,
      onProgress: () => undefined,
    });
  return { judge, held: () => holders.get('/file') ?? 0 };
}

describe('judgements', () => {
  test('belong to the model that judged, though another one was asked', async () => {
    const loadedAnew = packageOf('sha256:new');
    const { judge, held } = scene(async () => loadedAnew);
    const first = await judge(old);
    assert.deepEqual([first.cache, first.model.digest], ['miss', 'sha256:new']);
    assert.equal((await judge(loadedAnew)).cache, 'hit');
    assert.equal((await judge(old)).cache, 'miss');
    assert.equal(held(), 0);
  });

  test('are shared by the names of one package, under the name that was asked', async () => {
    const { judge } = scene(async (model) => model);
    const names = ['first', 'second'];
    const [one, other] = await Promise.all(names.map((name) => judge(packageOf('sha256:x', name))));
    assert.deepEqual([one?.model.name, other?.model.name], names);
    const again = await judge(packageOf('sha256:x', 'third'));
    assert.deepEqual([again.cache, again.model.name, again.queueMs], ['hit', 'third', 0]);
  });

  test('of a failure inside are none', async () => {
    const { judge, held } = scene(async () => {
      throw serviceError('worker_lost', {});
    });
    for (let count = 0; count < 2; count += 1) await assert.rejects(judge(old), { code: 'worker_lost' });
    assert.equal(held(), 0);
  });
});
