import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { momentsOf, type Sampling, stretchesOf } from './sampling.ts';

describe('the moments of a video', () => {
  const windows = { mode: 'windows', startSeconds: 0, seconds: 1, count: 3, framesPerWindow: 2 } as const;
  const rows: {
    name: string;
    sampling: Sampling;
    seconds: number;
    frames?: number;
    stretches: number[][];
  }[] = [
    {
      name: 'close together are one stretch',
      sampling: { mode: 'uniform', frames: 16 },
      seconds: 16,
      stretches: [[0.5, 1, 16]],
    },
    {
      name: 'far apart are a stretch each',
      sampling: { mode: 'uniform', frames: 2 },
      seconds: 40,
      stretches: [
        [10, 20, 1],
        [30, 20, 1],
      ],
    },
    {
      name: 'are no more than there are frames',
      sampling: { mode: 'uniform', frames: 16 },
      seconds: 0.2,
      frames: 5,
      stretches: [[0.02, 0.04, 5]],
    },
    {
      name: 'at a rate end with the video',
      sampling: { mode: 'fps', rate: 2, maxFrames: 100 },
      seconds: 3,
      stretches: [[0, 0.5, 6]],
    },
    {
      name: 'at a rate end with their largest number',
      sampling: { mode: 'fps', rate: 2, maxFrames: 3 },
      seconds: 30,
      stretches: [[0, 0.5, 3]],
    },
    {
      name: 'in windows are spread up to the end',
      sampling: windows,
      seconds: 11,
      stretches: [
        [0, 0.5, 2],
        [5, 0.5, 2],
        [10, 0.5, 2],
      ],
    },
    {
      name: 'in windows of a shorter video are in one',
      sampling: windows,
      seconds: 0.5,
      stretches: [[0, 0.25, 2]],
    },
    { name: 'of no length are none', sampling: windows, seconds: 0, stretches: [] },
  ];
  for (const { name, sampling, seconds, frames, stretches } of rows) {
    test(name, () => {
      const found = stretchesOf(sampling, seconds, frames);
      assert.deepEqual(
        found.map(({ startSeconds, stepSeconds, count }) => [startSeconds, stepSeconds, count]),
        stretches,
      );
    });
  }

  test('are in order and inside the video, whatever is asked for', () => {
    const sampling = fc.oneof(
      fc.record({ mode: fc.constant('uniform' as const), frames: fc.integer({ min: 1, max: 64 }) }),
      fc.record({
        mode: fc.constant('fps' as const),
        rate: fc.double({ min: 0.01, max: 120, noNaN: true }),
        maxFrames: fc.integer({ min: 1, max: 300 }),
      }),
      fc.record({
        mode: fc.constant('windows' as const),
        startSeconds: fc.double({ min: 0, max: 100, noNaN: true }),
        seconds: fc.double({ min: 0.04, max: 60, noNaN: true }),
        count: fc.integer({ min: 1, max: 16 }),
        framesPerWindow: fc.integer({ min: 1, max: 16 }),
      }),
    );
    const length = fc.double({ min: 0.01, max: 3600, noNaN: true });
    fc.assert(
      fc.property(sampling, length, (asked, seconds) => {
        const moments = momentsOf(stretchesOf(asked, seconds));
        assert.ok(moments.length > 0);
        for (const [index, moment] of moments.entries()) {
          assert.ok(moment >= 0 && moment < seconds, `${moment} of ${seconds}`);
          assert.ok(moment >= (moments[index - 1] ?? 0) - 1e-6);
        }
      }),
    );
  });
});
