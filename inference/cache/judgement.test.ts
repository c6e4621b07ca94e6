import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ErrorCode, ServiceError } from '../errors.ts';
import {
  decodeJudgement,
  encodeJudgement,
  type Judgement,
  judgementKey,
  refusalOf,
  type Subject,
} from './judgement.ts';

const subject: Subject = {
  sha256: 'ab'.repeat(32),
  model: { digest: `sha256:${'cd'.repeat(32)}`, precision: 'fp32' },
  settings: { device: 'cpu', maxImagePixels: 100 },
};

const judgement: Judgement = {
  type: 'analysis',
  analysis: {
    score: 0.75,
    verdict: 'DEEPFAKE',
    inconclusiveReasons: [],
    explanations: [{ code: 'tiles', text: 'Most of it.', value: 3 }],
    signals: { heatmap: { rows: 1, cols: 2, scores: [[0.7, 0.8]] }, tiles: 2 },
    dimensions: { width: 300, height: 200 },
    notes: ['A note.'],
    timingsMs: { decode: 1, preprocess: 2, infer: 3 },
  },
};
const kept = encodeJudgement(judgement);

describe('the key of a judgement', () => {
  const others: { name: string; subject: Subject }[] = [
    { name: 'the file', subject: { ...subject, sha256: 'ba'.repeat(32) } },
    {
      name: 'the package',
      subject: { ...subject, model: { digest: `sha256:${'dc'.repeat(32)}`, precision: 'fp32' } },
    },
    { name: 'the graph', subject: { ...subject, model: { ...subject.model, precision: 'int8' } } },
    { name: 'a limit', subject: { ...subject, settings: { device: 'cpu', maxImagePixels: 101 } } },
    { name: 'what else is asked for', subject: { ...subject, extras: { perturb: true } } },
    { name: 'what is not asked for', subject: { ...subject, extras: { perturb: false } } },
    { name: 'the device', subject: { ...subject, settings: { device: 'cuda', maxImagePixels: 100 } } },
  ];
  for (const { name, subject: other } of others)
    test(`changes with ${name}`, () => assert.notEqual(judgementKey(other), judgementKey(subject)));

  test('is the same where nothing else is asked for', () =>
    assert.equal(judgementKey({ ...subject, extras: { perturb: undefined } }), judgementKey(subject)));

  test('does not depend on the order of the settings', () =>
    assert.equal(
      judgementKey({ ...subject, settings: { maxImagePixels: 100, device: 'cpu' } }),
      judgementKey(subject),
    ));
});

describe('a kept judgement', () => {
  test('comes back as it was', () => assert.deepEqual(decodeJudgement(kept), judgement));

  const damaged = [
    { name: 'no JSON', text: kept.slice(0, -1) },
    { name: 'another thing', text: '{"type":"rumour"}' },
    { name: 'a score that is no probability', text: kept.replace('0.75', '7.5') },
    { name: 'a score that is no number', text: kept.replace('0.75', '"0.75"') },
    { name: 'an unknown verdict', text: kept.replace('DEEPFAKE', 'FINE') },
    { name: 'a verdict without a score', text: kept.replace('0.75', 'null') },
    { name: 'a score without a verdict', text: kept.replace('DEEPFAKE', 'INCONCLUSIVE') },
    {
      name: 'an error that is no property of the media',
      text: '{"type":"refusal","error":{"code":"worker_lost","params":{}}}',
    },
  ];
  for (const { name, text } of damaged)
    test(`is refused when it is ${name}`, () => assert.throws(() => decodeJudgement(text)));
});

describe('an error', () => {
  const errors: { code: ErrorCode; kept: boolean }[] = [
    { code: 'corrupt_media', kept: true },
    { code: 'unsupported_media', kept: true },
    { code: 'image_too_large', kept: true },
    { code: 'worker_lost', kept: false },
    { code: 'deadline_exceeded', kept: false },
    { code: 'client_closed', kept: false },
    { code: 'queue_full', kept: false },
    { code: 'inference_failed', kept: false },
  ];
  for (const { code, kept: isKept } of errors) {
    test(`called ${code} is ${isKept ? 'a' : 'no'} judgement of the media`, () => {
      const refusal = refusalOf(new ServiceError({ code, params: { found: 'x' } }));
      assert.deepEqual(
        refusal,
        isKept ? { type: 'refusal', error: { code, params: { found: 'x' } } } : undefined,
      );
    });
  }

  test('from elsewhere is no judgement', () => assert.equal(refusalOf(new Error('broken')), undefined));
});
