import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deepfakeModelSpec } from '../../api/deepfake-model.ts';
import { aJob, aPod, DIGEST } from '../builders.ts';
import type { Job } from '../kinds.ts';
import { fetchOutcome } from './fetch-outcome.ts';

const card = { name: 'p', version: '0.1.0', modality: 'image', thresholds: { low: 0.3, high: 0.7 } };
const result = { digest: DIGEST, sizeBytes: 1, durationMs: 2, card };
const said = (words: unknown) => [
  aPod({
    state: {
      terminated: { exitCode: 0, message: typeof words === 'string' ? words : JSON.stringify(words) },
    },
  }),
];
const complete = aJob({ type: 'Complete' });
const failed = aJob({
  type: 'Failed',
  reason: 'BackoffLimitExceeded',
  message: 'Job has reached the backoff limit',
});
const spec = (fields: object) => deepfakeModelSpec.parse({ source: { builtin: { name: 'b' } }, ...fields });

describe('a fetch', () => {
  type Row = { what: string; job: Job; words?: unknown; spec?: object; patient?: boolean; expected: object };
  const rows: Row[] = [
    { what: 'runs', job: aJob(), expected: { state: 'running' } },
    { what: 'succeeded', job: complete, words: result, expected: { state: 'succeeded', result } },
    {
      what: 'succeeded as asked',
      job: complete,
      words: result,
      spec: { digest: DIGEST, version: '0.1.0', modality: 'image' },
      expected: { state: 'succeeded' },
    },
    {
      what: 'brought another digest',
      job: complete,
      words: result,
      spec: { digest: `sha256:${'b'.repeat(64)}` },
      expected: { reason: 'DigestMismatch', retry: 'seldom' },
    },
    {
      what: 'brought another version',
      job: complete,
      words: result,
      spec: { version: '9.0.0' },
      expected: {
        reason: 'VersionMismatch',
        retry: 'never',
        message: 'spec.version is 9.0.0, but the package says 0.1.0',
      },
    },
    {
      what: 'brought another modality',
      job: complete,
      words: result,
      spec: { modality: 'audio' },
      expected: { reason: 'ModalityMismatch', retry: 'never' },
    },
    {
      what: 'failed with a reason',
      job: failed,
      words: { error: { reason: 'SourceUnreachable', message: 'm' } },
      expected: { reason: 'SourceUnreachable', message: 'm', retry: 'soon' },
    },
    {
      what: 'asked for what the image lacks',
      job: failed,
      words: { error: { reason: 'UnknownBuiltin', message: 'm' } },
      expected: { reason: 'UnknownBuiltin', retry: 'seldom' },
    },
    {
      what: 'failed for a reason that is new here',
      job: failed,
      words: { error: { reason: 'Novel', message: 'm' } },
      expected: { reason: 'Novel', retry: 'soon' },
    },
    {
      what: 'died with a stack trace',
      job: failed,
      words: 'Error: boom',
      expected: {
        reason: 'FetchFailed',
        message: 'the fetch ended without a result: Error: boom',
        retry: 'soon',
      },
    },
    {
      what: 'brought a card that status cannot hold',
      job: complete,
      words: { ...result, card: { ...card, version: `1.0.0-${'x'.repeat(60)}` } },
      expected: { reason: 'InvalidPackage', retry: 'seldom', message: /card\.version: .*64/ },
    },
    { what: 'ended well but said nothing', job: complete, words: '', expected: { reason: 'FetchFailed' } },
    {
      what: 'claimed success although its Job failed',
      job: failed,
      words: result,
      expected: { reason: 'FetchFailed' },
    },
    { what: 'ended, its pod not seen yet', job: complete, patient: true, expected: { state: 'unknown' } },
    {
      what: 'ended, its pod never seen',
      job: failed,
      expected: { reason: 'FetchFailed', message: /backoff limit/ },
    },
    {
      what: 'took too long',
      job: aJob({ type: 'Failed', reason: 'DeadlineExceeded', message: 'was active too long' }),
      expected: { reason: 'DeadlineExceeded', retry: 'soon', message: 'was active too long' },
    },
  ];
  for (const { what, job, words, spec: fields = {}, patient = false, expected } of rows) {
    it(what, () => {
      const outcome = fetchOutcome(job, words === undefined ? [] : said(words), spec(fields), !patient);
      for (const [key, value] of Object.entries(expected)) {
        const actual = (outcome as Record<string, unknown>)[key];
        if (value instanceof RegExp) assert.match(String(actual), value);
        else assert.deepEqual(actual, value, key);
      }
    });
  }

  it('that says too much is cut short', () => {
    const outcome = fetchOutcome(failed, said('x'.repeat(5_000)), spec({}), true);
    assert.ok(outcome.state === 'failed' && outcome.message.length <= 1_500);
  });
});
