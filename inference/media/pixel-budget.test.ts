import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { PixelBudget } from './pixel-budget.ts';

test('images wait their turn until their pixels fit, whether the ones before succeed or fail', async () => {
  const budget = new PixelBudget(10);
  const begun: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const decode = (name: string, pixels: number) =>
    budget.within(pixels, () => {
      begun.push(name);
      const gate = Promise.withResolvers<void>();
      gates.set(name, gate);
      return gate.promise;
    });
  const all = [decode('a', 6), decode('b', 4), decode('large', 10), decode('small', 1)];
  const settled = Promise.allSettled(all);
  await turn();
  assert.deepEqual(begun, ['a', 'b']);
  gates.get('a')?.resolve();
  await turn();
  assert.deepEqual(begun, ['a', 'b'], 'the large one is not overtaken');
  gates.get('b')?.reject(new Error('corrupt'));
  await turn();
  assert.deepEqual(begun, ['a', 'b', 'large']);
  gates.get('large')?.resolve();
  await turn();
  gates.get('small')?.resolve();
  assert.deepEqual(
    (await settled).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
});
