import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rollingAverage, segmentsOf, signalsOf } from './scores.ts';

const framesOf = (scores: readonly number[]) =>
  scores.map((score, index) => ({ index, t_s: index + 0.5, score }));

describe('the scores of frames', () => {
  test('have a range, a variance and a number that is suspicious by itself', () => {
    assert.deepEqual(signalsOf([0, 1, 0.5, 0.5], 0.7), {
      frames_analysed: 4,
      max_frame_score: 1,
      min_frame_score: 0,
      score_variance: 0.125,
      suspicious_frames_count: 1,
      rolling_average_scores: [0, 0.5, 0.5, 0.5],
    });
  });

  test('roll over the frames before', () => {
    assert.deepEqual(rollingAverage([1, 3, 5, 7], 2), [1, 2, 4, 6]);
  });

  const rows = [
    { name: 'of one kind are one segment', scores: [0.6, 0.8], segments: [[0.5, 2, 0.7]] },
    {
      name: 'of two kinds change at the first frame of the other',
      scores: [0, 0.25, 1, 0.5, 0],
      segments: [
        [0.5, 2.5, 0.125],
        [2.5, 4.5, 0.75],
        [4.5, 5, 0],
      ],
    },
  ];
  for (const { name, scores, segments } of rows) {
    test(name, () => {
      const found = segmentsOf(framesOf(scores), scores.length);
      assert.deepEqual(
        found.map(({ start_s, end_s, score }) => [start_s, end_s, score]),
        segments,
      );
    });
  }
});
