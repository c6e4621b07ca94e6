import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type InconclusiveReason, verdictOf } from '../models/verdict.ts';
import { explain } from './explanations.ts';

const thresholds = { low: 0.3, high: 0.7 };

function explained(
  score: number | null,
  partScores: readonly number[],
  inconclusiveReasons: readonly InconclusiveReason[] = [],
) {
  const verdict = verdictOf(score, thresholds);
  return explain({ score, verdict, thresholds, inconclusiveReasons, partScores, part: 'region' });
}

describe('explanations', () => {
  const rows = [
    {
      name: 'of a deepfake count what speaks for it',
      score: 0.9,
      parts: [0.2, 0.95, 0.8],
      codes: ['score_at_or_above_high', 'parts_at_or_above_high'],
      text: /^2 of 3 regions .* number 2, has 95\.0 %\.$/,
    },
    {
      name: 'of authentic media count what speaks for it',
      score: 0.1,
      parts: [0.2, 0.95],
      codes: ['score_at_or_below_low', 'parts_at_or_below_low'],
      text: /^1 of 2 regions/,
    },
    {
      name: 'of suspicious media give the range',
      score: 0.5,
      parts: [0.2, 0.95],
      codes: ['score_between_thresholds', 'parts_range'],
      text: /20\.0 % to 95\.0 %/,
    },
    {
      name: 'of one part do not repeat themselves',
      score: 0.9,
      parts: [0.9],
      codes: ['score_at_or_above_high'],
      text: /at or above the limit of 70\.0 %/,
    },
  ];
  for (const { name, score, parts, codes, text } of rows) {
    test(name, () => {
      const found = explained(score, parts);
      assert.deepEqual(
        found.map(({ code }) => code),
        codes,
      );
      assert.match(found.at(-1)?.text ?? '', text);
    });
  }

  test('of media that could not be judged are the reasons, and claim nothing', () => {
    const found = explained(null, [], ['too_short']);
    assert.deepEqual(
      found.map(({ code }) => code),
      ['too_short'],
    );
    assert.match(found[0]?.text ?? '', /No verdict is given/);
  });

  test('are the same for the same findings', () =>
    assert.deepEqual(explained(0.9, [0.9, 0.8]), explained(0.9, [0.9, 0.8])));
});
