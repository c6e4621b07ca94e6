/** Every hostile file through a running server: an answer that blames the file or a verdict, and nothing left behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostileCorpus } from '../hostile/corpus.ts';
import { isAcceptable, withGauntlet } from '../hostile/gauntlet.ts';

test('no hostile file makes the server fail, hang, call anyone or leave anything behind', async (t) => {
  await withGauntlet(async (gauntlet) => {
    const corpus = await hostileCorpus(gauntlet.listenerAddress);
    assert.ok(corpus.length >= 200, `${corpus.length} files`);
    const counts = new Map<string, number>();
    for (const file of corpus) {
      const outcome = await gauntlet.send(file);
      const ending = `${outcome.status} ${outcome.said}`;
      counts.set(ending, (counts.get(ending) ?? 0) + 1);
      assert.ok(isAcceptable(outcome), `${file.name}: ${ending}`);
      assert.deepEqual(await gauntlet.problems(), [], file.name);
    }
    for (const [ending, count] of counts) t.diagnostic(`${count} x ${ending}`);
  });
});
