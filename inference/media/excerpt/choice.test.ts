import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Need, neededSamples, wantedSamples } from './choice.ts';
import type { SampleKind } from './sample-kinds.ts';

const need = (from: number, to: number, rest: Partial<Need> = {}): Need => ({
  ...{ from, to, before: false, after: false },
  ...rest,
});

/** Decoded as I P B B P B B and so shown at 0 30 10 20 60 40 50. */
const shownAt = Float64Array.from([0, 30, 10, 20, 60, 40, 50]);
const order = Uint32Array.from([0, 2, 3, 1, 5, 6, 4]);

describe('wanted are', () => {
  const rows: { name: string; needs: Need[]; wanted: number[] }[] = [
    { name: 'the pictures that begin between two times', needs: [need(10, 30)], wanted: [1, 2, 3] },
    { name: 'the one on display before', needs: [need(15, 16, { before: true })], wanted: [2] },
    { name: 'the first one where nothing is before', needs: [need(-9, -8, { before: true })], wanted: [0] },
    { name: 'the next one', needs: [need(31, 32, { after: true })], wanted: [5] },
    { name: 'nothing behind the end', needs: [need(70, 80, { after: true })], wanted: [] },
    {
      name: 'each once, in the order of decoding',
      needs: [need(45, 46, { before: true, after: true }), need(0, 0), need(39, 41)],
      wanted: [0, 5, 6],
    },
  ];
  for (const { name, needs, wanted } of rows) {
    test(name, () => assert.deepEqual(wantedSamples(shownAt, order, needs), wanted));
  }
});

describe('needed are', () => {
  /** E and e begin decoding, e without being marked; s is marked and does not; r is needed by others; . by none. */
  const kinds: Readonly<Record<string, SampleKind>> = { E: 'entry', e: 'entry', '.': 'disposable' };
  const needed = (samples: string, wanted: readonly number[], most?: number) =>
    neededSamples(
      Uint8Array.from(samples, (sample) => Number(/[Es]/.test(sample))),
      wanted,
      async (sample) => kinds[samples[sample] ?? ''] ?? 'reference',
      most,
    );
  const rows: { name: string; samples: string; wanted: number[]; kept: number[] }[] = [
    { name: 'all references since the last entry', samples: 'ErrErrrr', wanted: [5], kept: [3, 4, 5] },
    { name: 'none that no other needs', samples: 'E.r..r.r', wanted: [6], kept: [0, 2, 5, 6] },
    { name: 'the wanted ones whatever they are', samples: 'E.r..r.r', wanted: [3, 6], kept: [0, 2, 3, 5, 6] },
    { name: 'only marked entries', samples: 'ErrerrEr', wanted: [5], kept: [0, 1, 2, 3, 4, 5] },
    {
      name: 'from an earlier one where a mark is wrong',
      samples: 'ErrErsrr',
      wanted: [6],
      kept: [3, 4, 5, 6],
    },
    { name: 'parts around each, once', samples: 'ErrrErrrErrr', wanted: [1, 2, 9], kept: [0, 1, 2, 8, 9] },
  ];
  for (const { name, samples, wanted, kept } of rows) {
    test(name, async () => assert.deepEqual(await needed(samples, wanted), kept));
  }

  test('nothing where no entry comes before', async () => {
    await assert.rejects(needed('srrErr', [2]), /cannot begin/);
  });

  test('nothing where they are too many', async () => {
    assert.deepEqual(await needed('Errrr', [3], 4), [0, 1, 2, 3]);
    await assert.rejects(needed('Errrrrrr', [7], 4), /nearly all/);
  });
});
