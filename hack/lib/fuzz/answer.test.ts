import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serviceError } from '../../../inference/errors.ts';
import { errorAnswer } from '../../../inference/http/error-view.ts';
import { type Answer, disagreement, isOverload, judge } from './answer.ts';

interface Verdict {
  readonly verdict?: string;
  readonly score?: number | null;
  readonly more?: object;
}

function verdictAnswer({ verdict = 'AUTHENTIC', score = 0.1, more = {} }: Verdict = {}): Answer {
  const data = {
    prediction: 'REAL',
    verdict,
    score,
    confidence: 0.9,
    calibrated: false,
    thresholds: { low: 0.3, high: 0.7 },
    inconclusive_reasons: [],
    explanations: [],
    signals: {},
    media_type: 'image',
    media: { sha256: '00', bytes: 1, mime: 'image/png' },
    note: '',
    processing_time: 0.1,
    timings_ms: {},
    ...more,
  };
  const model = {
    name: 'm',
    package: 'p',
    version: '1',
    digest: 'd',
    precision: 'fp32',
    status: 'validated',
  };
  const body = {
    success: true,
    model_used: 'm',
    timestamp: '2026-01-01T00:00:00.000Z',
    data,
    model: { ...model, device: 'cpu' },
    cache: { hit: false },
    served_by: { pod: null, namespace: null, revision: null },
    request_id: 'r',
  };
  return { status: 200, text: JSON.stringify(body) };
}

function refusal(error: ReturnType<typeof serviceError>): Answer {
  const { status, body } = errorAnswer(error, 'r');
  return { status, text: JSON.stringify(body) };
}

const corrupt = refusal(serviceError('corrupt_media', { found: 'image/png', reason: 'bad' }));
const full = refusal(serviceError('queue_full', { limit: 1 }));

describe('an answer', () => {
  const rows: { name: string; answer: Answer; outcome: string; problem?: RegExp }[] = [
    { name: 'with a verdict is right', answer: verdictAnswer(), outcome: '200 AUTHENTIC' },
    {
      name: 'without a score is right where nothing could be judged',
      answer: verdictAnswer({ verdict: 'INCONCLUSIVE', score: null }),
      outcome: '200 INCONCLUSIVE',
    },
    {
      name: 'with a verdict on a score that is not finite is wrong',
      answer: verdictAnswer({ score: Number.NaN }),
      outcome: '200 AUTHENTIC',
      problem: /AUTHENTIC with the score null/,
    },
    {
      name: 'with a score and no verdict is wrong',
      answer: verdictAnswer({ verdict: 'INCONCLUSIVE' }),
      outcome: '200 INCONCLUSIVE',
      problem: /INCONCLUSIVE with the score 0.1/,
    },
    {
      name: 'with a probability above one is wrong',
      answer: verdictAnswer({ score: 1.5 }),
      outcome: '200 not the schema',
      problem: /schema of a verdict/,
    },
    {
      name: 'with a member that the schema does not know is wrong',
      answer: verdictAnswer({ more: { extra: 1 } }),
      outcome: '200 not the schema',
      problem: /extra/,
    },
    { name: 'that blames the file is right', answer: corrupt, outcome: '422 corrupt_media' },
    {
      name: 'that blames the server is wrong',
      answer: refusal(serviceError('deadline_exceeded', { limitMs: 5 })),
      outcome: '504 deadline_exceeded',
      problem: /longer than the limit of 5 ms/,
    },
    {
      name: 'of another form is wrong',
      answer: { status: 400, text: '{"error":"x"}' },
      outcome: '400 not the schema',
      problem: /schema of an error/,
    },
    {
      name: 'that is no JSON is wrong',
      answer: { status: 502, text: '<html>' },
      outcome: '502 no JSON',
      problem: /<html>/,
    },
  ];
  for (const { name, answer, outcome, problem } of rows) {
    test(name, () => {
      const judged = judge(answer);
      assert.equal(judged.outcome, outcome);
      if (problem === undefined) assert.equal(judged.problem, undefined);
      else assert.match(judged.problem ?? '', problem);
    });
  }

  test('says that there is no room with 503 and nothing else', () => {
    assert.deepEqual([full, corrupt, verdictAnswer()].map(isOverload), [true, false, false]);
  });
});

describe('two answers to the same file', () => {
  const rows: { name: string; second: Answer; problem: RegExp | undefined }[] = [
    { name: 'agree', second: verdictAnswer({ score: 0.1004 }), problem: undefined },
    { name: 'have other scores', second: verdictAnswer({ score: 0.11 }), problem: /0.1 at first, then 0.11/ },
    { name: 'end otherwise', second: corrupt, problem: /200 AUTHENTIC at first, then 422 corrupt_media/ },
  ];
  for (const { name, second, problem } of rows) {
    test(name, () => {
      const found = disagreement(judge(verdictAnswer()), judge(second));
      if (problem === undefined) assert.equal(found, undefined);
      else assert.match(found ?? '', problem);
    });
  }
});
