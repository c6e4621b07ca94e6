import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Verdict } from '../../models/verdict.ts';
import { timelineRemarks, timelineSignals } from './timeline.ts';

const thresholds = { low: 0.3, high: 0.7 };

describe('the scores of windows', () => {
  test('have a mean, a range, a variance and a number that is suspicious by itself', () => {
    assert.deepEqual(timelineSignals([0, 1, 0.5, 0.5], 0.7, 2), {
      windows_analysed: 4,
      rolling_average_scores: [0, 0.5, 0.75, 0.5],
      final_average_score: 0.5,
      max_score: 1,
      min_score: 0,
      score_variance: 0.125,
      suspicious_frames_count: 1,
    });
  });
});

describe('beside the verdict of the whole clip, windows', () => {
  const rows: { name: string; verdict: Verdict; scores: number[]; codes: string[]; text?: RegExp }[] = [
    { name: 'that agree add nothing', verdict: 'DEEPFAKE', scores: [0.9, 0.6, 0.99], codes: [] },
    { name: 'that are as undecided add nothing', verdict: 'SUSPICIOUS', scores: [0.4, 0.6], codes: [] },
    {
      name: 'that look authentic on average disagree with a deepfake',
      verdict: 'DEEPFAKE',
      scores: [0.1, 0.2],
      codes: ['timeline_disagrees'],
      text: /^The 2 windows have 15\.0 % on average, at or below the limit of 30\.0 % for authentic media\. /,
    },
    {
      name: 'that look fake on average disagree with authentic media',
      verdict: 'AUTHENTIC',
      scores: [0.8, 0.9],
      codes: ['timeline_disagrees'],
      text: /at or above the limit of 70\.0 % for a deepfake\. They and the clip as a whole disagree/,
    },
    {
      name: 'that cannot decide disagree with authentic media',
      verdict: 'AUTHENTIC',
      scores: [0.5, 0.5],
      codes: ['timeline_disagrees'],
      text: /between the limits of 30\.0 % and 70\.0 %/,
    },
    {
      name: 'of which some look fake are told of beside authentic media',
      verdict: 'AUTHENTIC',
      scores: [0.1, 0.9, 0.05, 0.02],
      codes: ['windows_disagree'],
      text: /^1 of 4 windows are at or above the limit of 70\.0 %/,
    },
  ];
  for (const { name, verdict, scores, codes, text } of rows) {
    test(name, () => {
      const found = timelineRemarks(scores, { verdict, thresholds });
      assert.deepEqual(
        found.map(({ code }) => code),
        codes,
      );
      if (text === undefined) return;
      assert.match(found[0]?.text ?? '', text);
      assert.match(found[0]?.text ?? '', /the verdict is that of the clip as a whole\.$/);
    });
  }
});
