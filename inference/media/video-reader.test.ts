import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Frame } from './video.ts';
import { FrameRow } from './video-reader.ts';

const raster = { data: new Uint8Array(3), width: 1, height: 1 };

/** A source of so many frames that says how many were taken and whether it was ended. */
function source(count: number, failsAt = Infinity) {
  const state = { taken: 0, ended: false };
  async function* frames(): AsyncGenerator<Frame> {
    try {
      for (let index = 0; index < count; index += 1) {
        await turn();
        if (index === failsAt) throw new Error('damaged');
        state.taken += 1;
        yield { index, seconds: index, raster };
      }
    } finally {
      state.ended = true;
    }
  }
  return { state, row: new FrameRow(frames()) };
}

async function indices(frames: AsyncIterable<Frame>, each: () => Promise<void> = async () => {}) {
  const seen: number[] = [];
  for await (const { index } of frames) {
    seen.push(index);
    await each();
  }
  return seen;
}

describe('frames for several readers', () => {
  const all = Array.from({ length: 50 }, (_, index) => index);

  test('reach each of them once and in order, whatever its pace', async () => {
    const { row, state } = source(50);
    const slow = async () => {
      for (let turns = 0; turns < 3; turns += 1) await turn();
    };
    const seen = await Promise.all([
      indices(row.read()),
      indices(row.read(), slow),
      indices(row.read(), turn),
    ]);
    for (const one of seen) assert.deepEqual(one, all);
    assert.deepEqual(state, { taken: 50, ended: true });
  });

  test('are not decoded far ahead of the slowest', async () => {
    const { row, state } = source(50);
    const slow = row.read();
    await slow.next();
    const fast = indices(row.read());
    for (let turns = 0; turns < 200; turns += 1) await turn();
    assert.ok(state.taken <= 17, `${state.taken}`);
    await slow.return(undefined);
    // Who came after the first frame was let go of has the rest.
    assert.deepEqual(await fast, all.slice(1));
  });

  test('go on for the others when one leaves, and end with the last', async () => {
    const { row, state } = source(50);
    const [first, second] = [row.read(), row.read()];
    await Promise.all([first.next(), second.next()]);
    await first.return(undefined);
    assert.equal(state.ended, false);
    await second.return(undefined);
    assert.deepEqual([state.ended, row.canBeJoined], [true, false]);
  });

  test('that cannot be decoded fail for all', async () => {
    const { row } = source(50, 5);
    const outcomes = await Promise.allSettled([indices(row.read()), indices(row.read())]);
    for (const outcome of outcomes) assert.equal(outcome.status, 'rejected');
  });

  test('that cannot be decoded fail for whoever comes to them later, and nobody joins', async () => {
    const { row } = source(50, 5);
    const slow = async () => {
      for (let turns = 0; turns < 20; turns += 1) await turn();
    };
    const late = indices(row.read(), slow);
    await assert.rejects(indices(row.read()), /damaged/);
    assert.equal(row.canBeJoined, false);
    await assert.rejects(late, /damaged/);
  });
});
