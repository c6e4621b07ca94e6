import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { verdictOf } from '../../models/verdict.ts';
import type { Analysis } from '../analysis.ts';
import { explain } from '../explanations.ts';
import { type Check, withChecks } from './check.ts';
import { explanationOf } from './distribution.ts';
import { perturbationCheck } from './perturbation.ts';

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
    tracks: [{ track_id: 0, score, span_s: [0, 1] }],
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
      assert.equal(checked.tracks, undefined);
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

describe('what is said beside a verdict', () => {
  const copiesOf = (score: number) => ({ score, verdict: verdictOf(score, thresholds) });
  const otherSides = [0.1, 0.5, 0.9];
  for (const analysis of decided) {
    const { verdict } = analysis;
    const score = analysis.score ?? NaN;
    for (const abstains of [true, false]) {
      for (const isOutside of [true, false]) {
        for (const copies of [[], [score], otherSides]) {
          const checks = [
            distribution(isOutside, abstains),
            perturbationCheck({ score, verdict }, copies.map(copiesOf), abstains),
          ];
          const found = checks.map((check) => `${check.explanation.code}${abstains ? '!' : ''}`);
          test(`does not contradict ${verdict} with ${found.join(' and ')}`, () => {
            const checked = withChecks(analysis, checks);
            const texts = checked.explanations.map(({ text }) => text);
            const isGiven = checked.verdict !== 'INCONCLUSIVE';
            assert.equal(isGiven, !(abstains && checks.some(({ hasFailed }) => hasFailed)));
            assert.equal(isGiven, checked.score !== null);
            assert.equal(isGiven, checked.inconclusiveReasons.length === 0);
            assert.ok(texts.every((text) => text.includes('No verdict is given') !== isGiven));
            // Only the score's own sentences name a side.
            const beside = texts.slice(isGiven ? analysis.explanations.length : 0).join(' ');
            assert.doesNotMatch(beside, /authentic|deepfake|fake|real\b|manipulated|genuine/i);
            if (!isGiven) assert.doesNotMatch(beside, /%|score/);
            assert.ok(!(texts.some((text) => text.includes('is the same')) && /is lost/.test(texts.join())));
            assert.deepEqual(withChecks(analysis, checks), checked);
          });
        }
      }
    }
  }
});
