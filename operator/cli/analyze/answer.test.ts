import assert from 'node:assert/strict';
import { it } from 'node:test';
import { plain } from '../text.ts';
import { type Answer, renderAnswer } from './answer.ts';

const MODEL = {
  name: 'image-residual-cnn',
  version: '0.1.0',
  status: 'demonstration',
  digest: `sha256:${'ab'.repeat(32)}`,
  device: 'cpu',
};

it('a verdict is told with its limits, reasons and origin', () => {
  const answer: Answer = {
    data: {
      verdict: 'DEEPFAKE',
      score: 0.957106,
      confidence: 0.957106,
      calibrated: true,
      thresholds: { low: 0.3065, high: 0.7693 },
      inconclusive_reasons: [],
      explanations: [{ text: 'At or above the limit.' }, { text: '4 of 4 regions are too.' }],
      note: 'This is a demonstration model: do not rely on its verdict.',
      processing_time: 0.08,
    },
    model: MODEL,
    served_by: { pod: 'faces-stable-x1' },
  };
  assert.equal(
    renderAnswer('photo.jpg', answer, plain),
    `File:         photo.jpg
Verdict:      DEEPFAKE
P(fake):      95.7 %
Thresholds:   authentic up to 30.6 %, deepfake from 76.9 %
Confidence:   95.7 %
Model:        image-residual-cnn, 0.1.0, demonstration, cpu, sha256:abababababab
Pod:          faces-stable-x1
Time:         0.08 s
Note:         This is a demonstration model: do not rely on its verdict.

- At or above the limit.
- 4 of 4 regions are too.`,
  );
});

it('what could not be judged is not called authentic', () => {
  const data = {
    verdict: 'INCONCLUSIVE',
    score: null,
    confidence: null,
    inconclusive_reasons: ['too_short', 'silent'],
  };
  assert.equal(
    renderAnswer('voice.flac', { data, model: MODEL, served_by: { pod: null } }, plain),
    `File:           voice.flac
Verdict:        INCONCLUSIVE
P(fake):        not judged
Inconclusive:   too_short, silent
Model:          image-residual-cnn, 0.1.0, demonstration, cpu, sha256:abababababab`,
  );
});
