import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { oncePerProcess } from './once-per-process.ts';

const module = new URL('./once-per-process.ts', import.meta.url).href;

/** A thread that asks for the work, which fails or takes a while, and tells how often it was done and that it is over. */
function asking(counts: Int32Array, { fails = false } = {}) {
  const code = `
    import { workerData } from 'node:worker_threads';
    import { oncePerProcess } from ${JSON.stringify(module)};
    const { counts, fails } = workerData;
    oncePerProcess('image-loaders', () => {
      if (fails) throw new Error('not this time');
      Atomics.add(counts, 0, 1);
      Atomics.wait(counts, 2, 0, 200);
      Atomics.store(counts, 1, 1);
    });
    if (Atomics.load(counts, 1) !== 1) throw new Error('went on before it was done');
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: { counts, fails },
  });
  return once(worker, 'exit');
}

it('is done by one thread, again after it failed, while the others wait, and no more later', async () => {
  const counts = new Int32Array(new SharedArrayBuffer(12));
  await assert.rejects(asking(counts, { fails: true }), /not this time/);
  const codes = await Promise.all(Array.from({ length: 4 }, () => asking(counts)));
  assert.deepEqual(codes, [[0], [0], [0], [0]]);
  assert.equal(counts[0], 1);
  oncePerProcess('image-loaders', () => assert.fail('it was done already'));
});
