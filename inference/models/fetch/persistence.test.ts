import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FetchError } from './errors.ts';
import { persist } from './persistence.ts';

const patience = { attempts: 8, retryMs: 1000, idleMs: 1 };

/** Fails as often as there are errors, and tells the waits between. */
async function waitsOf(errors: readonly Error[], sizes: readonly number[] = []): Promise<number[]> {
  const [left, waits] = [[...errors], [] as number[]];
  const gained = async () => sizes[errors.length - left.length] ?? 0;
  const attempt = async () => {
    const error = left.shift();
    if (error !== undefined) throw error;
  };
  await persist('http://a/', patience, attempt, gained, async (waitMs) => void waits.push(waitMs));
  return waits;
}

describe('an attempt', () => {
  const broken = new Error('the connection broke');
  const asking = (waitMs: number) => new FetchError('SourceUnreachable', 'busy', { waitMs });
  const rows: { name: string; errors: Error[]; sizes?: number[]; waits: number[] }[] = [
    {
      name: 'is made after longer and longer waits',
      errors: Array(7).fill(broken),
      waits: [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000],
    },
    {
      name: 'is made soon after one that brought something',
      errors: [broken, broken, broken],
      sizes: [0, 0, 5, 9],
      waits: [1000, 1000, 1000],
    },
    { name: 'is made when the source has asked for it', errors: [asking(7000)], waits: [7000] },
    { name: 'is not made sooner because a source asks for it', errors: [asking(1)], waits: [1000] },
    { name: 'does not wait for ever', errors: [asking(3_600_000)], waits: [30_000] },
  ];
  for (const { name, errors, sizes, waits } of rows) {
    test(name, async () => {
      assert.deepEqual(await waitsOf(errors, sizes), waits);
    });
  }

  test('is the last one after as many as its patience', async () => {
    await assert.rejects(waitsOf(Array(8).fill(broken)), { reason: 'SourceUnreachable' });
  });

  test('that ends in a refusal is the last one', async () => {
    const refusal = new FetchError('SourceNotFound', 'no');
    await assert.rejects(waitsOf([refusal]), refusal);
  });
});
