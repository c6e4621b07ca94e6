import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BlinkRule } from '../../models/parameters/video-eye-blink.ts';
import { blinkRuns, blinkSignals, type EyeTrack, percentileOf } from './blinks.ts';

const _ = undefined;
const fixed = (ear: number, minFrames = 1): BlinkRule => ({ threshold: { mode: 'fixed', ear }, minFrames });
const adaptive: BlinkRule = { threshold: { mode: 'adaptive', percentile: 80, share: 0.75 }, minFrames: 1 };

/** Of one person in each frame. */
const track = (ears: readonly (number | undefined)[], subject = 0): EyeTrack =>
  ears.map((ear) => (ear === undefined ? undefined : { subject, ear }));

describe('eyes are closed', () => {
  const rows: {
    name: string;
    track: EyeTrack;
    rule: BlinkRule;
    runs: readonly (readonly [first: number, last: number, isWhole: boolean])[];
  }[] = [
    { name: 'never in no frames', track: [], rule: adaptive, runs: [] },
    { name: 'never where no eyes are seen', track: track([_, _]), rule: adaptive, runs: [] },
    {
      name: 'below a limit, and not at it',
      track: track([0.3, 0.2, 0.19, 0.1, 0.3]),
      rule: fixed(0.2),
      runs: [[2, 3, true]],
    },
    {
      name: 'for so many frames at least',
      track: track([0.3, 0.1, 0.3, 0.1, 0.1, 0.3]),
      rule: fixed(0.2, 2),
      runs: [[3, 4, true]],
    },
    {
      name: 'not across a gap, whose frames may show them open',
      track: track([0.3, 0.1, _, 0.1, 0.1, 0.3]),
      rule: fixed(0.2),
      runs: [
        [1, 1, false],
        [3, 4, false],
      ],
    },
    {
      name: 'for a time that is not known at both ends of the clip',
      track: track([0.1, 0.3, 0.1]),
      rule: fixed(0.2),
      runs: [
        [0, 0, false],
        [2, 2, false],
      ],
    },
    {
      name: 'for a time that is not known where the face leaves',
      track: track([0.3, 0.1, 0.1, _, _]),
      rule: fixed(0.2),
      runs: [[1, 2, false]],
    },
    {
      name: 'in all frames of a short clip where the limit is high',
      track: track([0.3, 0.31]),
      rule: fixed(0.45, 2),
      runs: [[0, 1, false]],
    },
    {
      name: 'below a share of what they mostly are',
      track: track([0.2, 0.2, 0.149, 0.151, 0.2, 0.2, 0.2]),
      rule: adaptive,
      runs: [[2, 2, true]],
    },
    {
      name: 'by what one person mostly has, and not by what another has',
      track: [...track([0.4, 0.4, 0.2, 0.4], 0), ...track([0.2, 0.2, 0.1, 0.2], 1)],
      rule: adaptive,
      runs: [
        [2, 2, true],
        [6, 6, true],
      ],
    },
    {
      name: 'for each person apart where one follows the other',
      track: [...track([0.3, 0.1], 0), ...track([0.1, 0.3], 1)],
      rule: fixed(0.2),
      runs: [
        [1, 1, false],
        [2, 2, false],
      ],
    },
  ];
  for (const { name, track: eyes, rule, runs } of rows) {
    test(name, () => {
      const found = blinkRuns(eyes, rule);
      assert.deepEqual(
        found.map(({ first, last, isWhole }) => [first, last, isWhole]),
        runs,
      );
      for (const { subject, first } of found) assert.equal(subject, eyes[first]?.subject);
    });
  }
});

describe('a percentile is that of numpy', () => {
  const rows = [
    { values: [3, 1, 2], percentile: 50, expected: 2 },
    { values: [4, 1, 2, 3], percentile: 50, expected: 2.5 },
    { values: [1, 2, 3, 4, 5, 6], percentile: 90, expected: 5.5 },
    { values: [7], percentile: 80, expected: 7 },
    { values: [1, 2], percentile: 100, expected: 2 },
  ];
  for (const { values, percentile, expected } of rows)
    test(`${percentile} of ${values}`, () => assert.equal(percentileOf(values, percentile), expected));
});

describe('of blinks', () => {
  const rows = [
    {
      name: 'nothing is said where no eyes were seen',
      track: track([_, _]),
      signals: { eyes_observed_seconds: 0, blink_count: 0 },
    },
    {
      name: 'the rate is 0 where there are none, and no duration is said',
      track: track([0.25, 0.75]),
      signals: { eyes_observed_seconds: 0.5, blink_count: 0, mean_ear: 0.5, blinks_per_minute: 0 },
    },
    {
      name: 'the rate is that of the time in which eyes were seen',
      track: track([0.5, 0.125, 0.125, 0.5, _, _, _, _]),
      signals: {
        eyes_observed_seconds: 1,
        blink_count: 1,
        mean_ear: 0.3125,
        blinks_per_minute: 60,
        mean_blink_duration_ms: 500,
      },
    },
    {
      name: 'the duration is that of those which were seen whole',
      track: track([0.125, 0.125, 0.125, 0.5, 0.125, 0.5, 0.125, _]),
      signals: {
        eyes_observed_seconds: 1.75,
        blink_count: 3,
        mean_ear: 1.625 / 7,
        blinks_per_minute: 180 / 1.75,
        mean_blink_duration_ms: 250,
      },
    },
  ];
  for (const { name, track: eyes, signals } of rows)
    test(name, () => assert.deepEqual(blinkSignals(eyes, blinkRuns(eyes, fixed(0.2)), 0.25), signals));
});
