import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { auc, type ProbedFile, probeReport, type Said } from './figures.ts';

const scored = (score: number, verdict = score >= 0.7 ? 'DEEPFAKE' : 'AUTHENTIC'): Said => ({
  type: 'scored',
  score,
  verdict,
});
const silent: Said = { type: 'inconclusive', verdict: 'INCONCLUSIVE', reasons: ['no_face'] };
const refused: Said = { type: 'unanswered', reason: 'corrupt_media' };
const by = { model: 'picture', version: '1.0.0', digest: 'sha256:1', threshold: 0.7 };
const file = (path: string, fake: boolean, canary: Said, stable?: Said): ProbedFile => ({
  path,
  fake,
  canary,
  ...(stable ? { stable } : {}),
});

describe('the area under the ROC curve', () => {
  const rows: { name: string; pairs: [number, number][]; expected: number | null }[] = [
    {
      name: 'of a perfect order',
      pairs: [
        [0.1, 0],
        [0.2, 0],
        [0.9, 1],
      ],
      expected: 1,
    },
    {
      name: 'of the opposite order',
      pairs: [
        [0.9, 0],
        [0.1, 1],
      ],
      expected: 0,
    },
    {
      name: 'of ties alone',
      pairs: [
        [0.5, 0],
        [0.5, 1],
        [0.5, 1],
      ],
      expected: 0.5,
    },
    {
      name: 'counts a tie one half',
      pairs: [
        [0.5, 0],
        [0.5, 1],
        [0.2, 0],
      ],
      expected: 0.75,
    },
    { name: 'without reals', pairs: [[0.5, 1]], expected: null },
    { name: 'without fakes', pairs: [[0.5, 0]], expected: null },
    { name: 'of nothing', pairs: [], expected: null },
  ];
  for (const { name, pairs, expected } of rows) {
    test(`${name} is ${expected}`, () => {
      assert.equal(auc(pairs.map(([score, label]) => ({ score, fake: label === 1 }))), expected);
    });
  }

  test('is that of scikit-learn', () => {
    // rng = numpy.random.default_rng(7); s = numpy.round(rng.random(40), 1); l = (rng.random(40) < 0.4).astype(int)
    // sklearn.metrics.roc_auc_score(l, s)
    const pairs: [number, number][] = [
      [0.6, 1],
      [0.9, 0],
      [0.8, 0],
      [0.2, 0],
      [0.3, 0],
      [0.9, 0],
      [0.0, 1],
      [0.8, 0],
      [0.8, 0],
      [0.5, 0],
      [0.3, 1],
      [0.3, 0],
      [0.3, 1],
      [0.4, 1],
      [0.5, 1],
      [0.6, 1],
      [1.0, 0],
      [0.8, 1],
      [0.6, 0],
      [1.0, 0],
      [0.2, 0],
      [0.2, 0],
      [0.6, 0],
      [0.0, 1],
      [0.0, 0],
      [0.5, 1],
      [0.5, 0],
      [0.9, 1],
      [0.6, 0],
      [0.5, 1],
      [0.5, 0],
      [0.2, 1],
      [0.0, 0],
      [0.2, 0],
      [0.7, 1],
      [0.2, 0],
      [0.4, 0],
      [0.0, 0],
      [0.8, 0],
      [0.2, 1],
    ];
    const found = auc(pairs.map(([score, label]) => ({ score, fake: label === 1 })));
    assert.ok(Math.abs((found ?? 0) - 0.45066666666666666) < 1e-12, String(found));
  });
});

describe('a report', () => {
  test('compares what both revisions scored', () => {
    const report = probeReport(
      [
        file('a', true, scored(0.9), scored(0.8)),
        file('b', true, scored(0.2), scored(0.9)),
        file('c', false, scored(0.05), scored(0.2)),
        file('d', false, silent, scored(0.1)),
        file('e', true, refused, refused),
      ],
      { canary: by, stable: { ...by, version: '0.9.0' } },
    );
    assert.deepEqual(report, {
      files: 5,
      compared: 3,
      canary: {
        ...by,
        scored: 3,
        inconclusive: 1,
        unanswered: 1,
        why: 'corrupt_media',
        auc: 1,
        accuracy: 0.666667,
      },
      stable: {
        ...by,
        version: '0.9.0',
        scored: 4,
        inconclusive: 0,
        unanswered: 1,
        why: 'corrupt_media',
        auc: 1,
        accuracy: 1,
      },
      maxScoreChange: 0.7,
      answered: 4,
      flips: 0.5,
      worst: [
        { path: 'd', fake: false, canary: 'no_face', stable: 0.1 },
        { path: 'b', fake: true, canary: 0.2, stable: 0.9 },
        { path: 'a', fake: true, canary: 0.9, stable: 0.8 },
        { path: 'c', fake: false, canary: 0.05, stable: 0.2 },
      ],
    });
  });

  test('of files that nobody scored has no figures', () => {
    const { compared, canary, maxScoreChange, flips } = probeReport([file('a', true, silent, silent)], {
      canary: by,
      stable: by,
    });
    assert.deepEqual(
      [compared, canary.auc, canary.accuracy, maxScoreChange, flips],
      [0, null, null, null, 0],
    );
  });

  test('without a stable revision is about the canary alone', () => {
    const report = probeReport([file('a', true, scored(0.9)), file('b', false, scored(0.95))], {
      canary: by,
    });
    assert.deepEqual([report.canary.auc, report.canary.accuracy, report.stable], [0, 0.5, undefined]);
    assert.deepEqual(
      report.worst.map(({ path }) => path),
      ['b', 'a'],
    );
  });

  test('names five files at most, with the end of long paths', () => {
    const files = Array.from({ length: 9 }, (_, i) => file(`${'x'.repeat(300)}${i}`, true, scored(i / 10)));
    const { worst } = probeReport(files, { canary: by });
    assert.deepEqual(
      worst.map(({ path }) => [path.length, path.at(-1)]),
      [0, 1, 2, 3, 4].map((i) => [160, String(i)]),
    );
  });
});
