import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { verdictOf } from '../../models/verdict.ts';
import type { Analysis } from '../analysis.ts';
import { explain } from '../explanations.ts';
import { type Check, withChecks } from './check.ts';
import { explanationOf } from './distribution.ts';

const thresholds = { low: 0.3, high: 0.7 };

function analysisOf(score: number): Analysis {
  const verdict = verdictOf(score, thresholds);
  const found = { score, verdict, thresholds, inconclusiveReasons: [], partScores: [score, score] };
  return {
    score,
    verdict,
    inconclusiveReasons: [],
    explanations: explain({ ...found, part: 'frame' }),
    signals: { max_frame_score: score, heatmap: { rows: 1, cols: 1, scores: [[score]] } },
    segments: [{ start_s: 0, end_s: 1, score }],
    frames: [{ index: 0, t_s: 0, score }],
    dimensions: { width: 3, height: 2 },
    notes: ['A note.'],
    timingsMs: { decode: 1, preprocess: 2, infer: 3 },
  };
}

function distribution(hasFailed: boolean, abstains: boolean): Check {
  return {
    reason: 'out_of_distribution',
    hasFailed,
    abstains,
    signals: { ood_score: 0.5 },
    explanation: explanationOf({ score: 0.5, isOutside: hasFailed }),
  };
}

const decided = [0.1, 0.5, 0.9].map((score) => analysisOf(score));

describe('a check', () => {
  for (const analysis of decided) {
    test(`that abstains takes ${analysis.verdict} back, with every score`, () => {
      const checked = withChecks(analysis, [distribution(true, true)]);
      assert.equal(checked.score, null);
      assert.equal(checked.verdict, 'INCONCLUSIVE');
      assert.deepEqual(checked.inconclusiveReasons, ['out_of_distribution']);
      assert.deepEqual(checked.signals, { ood_score: 0.5 });
      assert.equal(checked.segments, undefined);
      assert.deepEqual(checked.frames, []);
      assert.deepEqual(
        checked.explanations.map(({ code }) => code),
        ['out_of_distribution'],
      );
      assert.deepEqual(checked.dimensions, analysis.dimensions);
    });

    test(`that warns leaves ${analysis.verdict} as it is`, () => {
      const checked = withChecks(analysis, [distribution(true, false)]);
      assert.equal(checked.score, analysis.score);
      assert.equal(checked.verdict, analysis.verdict);
      assert.deepEqual(checked.inconclusiveReasons, []);
      assert.match(checked.notes.join(' '), /^A note\. The media is unlike/);
      assert.equal(checked.explanations.at(-1)?.code, 'out_of_distribution');
    });

    test(`that ${analysis.verdict} passes is only told`, () => {
      const checked = withChecks(analysis, [distribution(false, true)]);
      assert.equal(checked.verdict, analysis.verdict);
      assert.deepEqual(checked.notes, analysis.notes);
      assert.deepEqual(checked.signals, { ...analysis.signals, ood_score: 0.5 });
      assert.equal(checked.explanations.at(-1)?.code, 'in_distribution');
    });
  }
});
