import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agrees, formatReport, type Result, selectMetrics } from './analyze.ts';

function result(
  truth: 'real' | 'fake',
  verdict: string,
  score: number | null,
  pod: string | null = 'pod-1',
): Result {
  return {
    sample: { path: `media/sample-${truth}.jpg`, modality: 'image', truth },
    answer: {
      data: {
        verdict,
        score,
        thresholds: { low: 0.3, high: 0.7 },
        inconclusive_reasons: score === null ? ['low_resolution'] : [],
        processing_time: 0.25,
      },
      model: { name: 'm', version: '0.1.0', digest: `sha256:${'ab'.repeat(32)}`, status: 'demonstration' },
      served_by: { pod, namespace: pod === null ? null : 'deepfake-demo' },
    },
  };
}

const agreement: [string, Result, boolean | undefined][] = [
  ['a fake called a deepfake agrees', result('fake', 'DEEPFAKE', 0.9), true],
  ['a real file called a deepfake contradicts', result('real', 'DEEPFAKE', 0.9), false],
  ['a fake called authentic contradicts', result('fake', 'AUTHENTIC', 0.1), false],
  ['suspicious is an abstention', result('fake', 'SUSPICIOUS', 0.5), undefined],
  ['inconclusive is an abstention', result('real', 'INCONCLUSIVE', null), undefined],
];
for (const [name, given, expected] of agreement) test(name, () => assert.equal(agrees(given), expected));

test('the report counts abstentions apart and shows reasons and origins', () => {
  const report = formatReport([
    result('fake', 'DEEPFAKE', 0.912),
    result('real', 'INCONCLUSIVE', null, null),
  ]);
  assert.match(report, /sample-fake\.jpg +fake +DEEPFAKE +0\.912 +0\.30 +0\.70 +0\.25/);
  assert.match(report, /INCONCLUSIVE \(low_resolution\) +- /);
  assert.match(report, /deepfake-demo\/pod-1 +m 0\.1\.0 +sha256:abababababab +demonstration/);
  assert.match(report, /this machine/);
  assert.match(report, /1 agree with what is known, 0 contradict it, 1 abstain/);
});

test('only the metrics that the demo speaks of are shown', () => {
  assert.equal(
    selectMetrics('# HELP x\ndeepfake_verdict_total{verdict="DEEPFAKE"} 1\nnodejs_heap 3\n'),
    '  deepfake_verdict_total{verdict="DEEPFAKE"} 1',
  );
});
