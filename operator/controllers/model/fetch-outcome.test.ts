import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FetchReason } from '../../../inference/models/fetch/errors.ts';
import { deepfakeModelSpec } from '../../api/deepfake-model.ts';
import { aJob, aPod, DIGEST } from '../builders.ts';
import type { AccessMode } from '../claims.ts';
import type { Job, Pod } from '../kinds.ts';
import { fetchOutcome, type Retry } from './fetch-outcome.ts';

const card = { name: 'p', version: '0.1.0', modality: 'image', thresholds: { low: 0.3, high: 0.7 } };
const result = { digest: DIGEST, sizeBytes: 1, durationMs: 2, card };
const said = (words: unknown) => [
  aPod({
    name: 'fetch',
    state: {
      terminated: { exitCode: 0, message: typeof words === 'string' ? words : JSON.stringify(words) },
    },
  }),
];
/** When the Jobs of these tests ended, and when waiting for their pods' words ends. */
const ENDED = Date.parse('2026-01-01T00:00:00Z');
const outcomeOf = (
  job: Job,
  pods: readonly Pod[],
  fields: object = {},
  more: { accessMode?: AccessMode; nowMs?: number } = {},
) =>
  fetchOutcome({
    job,
    pods,
    spec: spec(fields),
    accessMode: 'ReadWriteOnce',
    nowMs: ENDED + 31_000,
    ...more,
  });
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
      expected: {
        reason: 'DeadlineExceeded',
        retry: 'soon',
        message: /^was active too long; .*raise spec\.fetch\.deadlineSeconds/,
      },
    },
    ...(['PackageTooLarge', 'VolumeFull'] as const).map(
      (reason): Row => ({
        what: `found no room: ${reason}`,
        job: failed,
        words: { error: { reason, message: 'm' } },
        spec: { storage: { pvc: { size: '2Gi' } } },
        expected: { reason, retry: 'seldom', message: 'm; raise spec.storage.pvc.size (now 2Gi)' },
      }),
    ),
    {
      what: 'has no leave to read, with credentials',
      job: failed,
      words: { error: { reason: 'SourceUnauthorized', message: 'm' } },
      spec: { source: { http: { url: 'https://h/m', secretRef: { name: 's' } } }, digest: DIGEST },
      expected: { message: 'm; they come from Secret s', retry: 'seldom' },
    },
    {
      what: 'has no leave to read, without credentials',
      job: failed,
      words: { error: { reason: 'SourceUnauthorized', message: 'm' } },
      spec: { source: { s3: { bucket: 'bucket', key: 'k' } }, digest: DIGEST },
      expected: { message: 'm; no secretRef is set' },
    },
    {
      what: 'found no room on a claim of the user',
      job: failed,
      words: { error: { reason: 'VolumeFull', message: 'm' } },
      spec: { storage: { pvc: { existingClaim: 'c' } } },
      expected: { message: 'm; make room on PersistentVolumeClaim c, or grow it' },
    },
  ];
  for (const { what, job, words, spec: fields = {}, patient = false, expected } of rows) {
    it(what, () => {
      const outcome = outcomeOf(job, words === undefined ? [] : said(words), fields, {
        nowMs: ENDED + (patient ? 29_000 : 31_000),
      });
      for (const [key, value] of Object.entries(expected)) {
        const actual = (outcome as Record<string, unknown>)[key];
        if (value instanceof RegExp) assert.match(String(actual), value);
        else assert.deepEqual(actual, value, key);
      }
    });
  }

  it('whose Job is suspended says so', () => {
    const { state, problem } = {
      problem: undefined,
      ...outcomeOf({ ...aJob(), spec: { suspend: true } } as Job, []),
    };
    assert.deepEqual([state, problem?.reason], ['running', 'JobSuspended']);
    assert.match(problem?.message ?? '', /^Job job is suspended/);
  });

  it('whose pod needed too much memory says what to raise', () => {
    const pod = aPod({ name: 'fetch', state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } });
    const outcome = outcomeOf(failed, [pod]);
    assert.ok(outcome.state === 'failed');
    assert.deepEqual([outcome.reason, outcome.retry], ['OOMKilled', 'seldom']);
    assert.match(outcome.message, /container fetch in spec\.fetch\.template/);
  });

  it('that says too much is cut short', () => {
    const outcome = outcomeOf(failed, said('x'.repeat(5_000)));
    assert.ok(outcome.state === 'failed' && outcome.message.length <= 1_500);
  });
});

describe('the next attempt after', () => {
  /** Of every reason that the fetch command gives. */
  const retries: Record<FetchReason, Retry> = {
    DigestMismatch: 'seldom',
    InvalidPackage: 'seldom',
    PackageTooLarge: 'seldom',
    UnknownBuiltin: 'seldom',
    SourceNotFound: 'seldom',
    SourceUnauthorized: 'seldom',
    VolumeFull: 'seldom',
    SourceUnreachable: 'soon',
    VolumeUnusable: 'soon',
    FetchFailed: 'soon',
  };
  for (const [reason, retry] of Object.entries(retries)) {
    it(`${reason} comes ${retry}`, () => {
      const outcome = outcomeOf(failed, said({ error: { reason, message: 'm' } }));
      assert.ok(outcome.state === 'failed');
      assert.deepEqual([outcome.reason, outcome.retry], [reason, retry]);
    });
  }
});

describe('a fetch whose node', () => {
  const pod = (metadata: object, status: object): Pod => {
    const base = aPod({ name: 'fetch', ready: true, state: { running: {} } });
    return {
      ...base,
      metadata: { ...base.metadata, ...metadata },
      spec: { ...base.spec, containers: [], nodeName: 'n' },
      status: { ...base.status, ...status },
    } as Pod;
  };
  const deleted = { deletionTimestamp: '2026-01-01T00:00:00Z' };
  const disrupted = (reason: string) => ({
    containerStatuses: [],
    conditions: [{ type: 'DisruptionTarget', status: 'True', reason, message: 'why' }],
  });
  type Row = {
    what: string;
    job?: Job;
    pod: Pod;
    more?: { accessMode?: AccessMode; nowMs?: number };
    expected: object;
  };
  const rows: Row[] = [
    {
      what: 'does not answer is said to be away',
      pod: pod({}, { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] }),
      expected: { state: 'running', reason: 'NodeNotReady' },
    },
    {
      what: 'lets the pod go in time is waited for',
      pod: pod(deleted, { phase: 'Running' }),
      more: { nowMs: ENDED + 10_000 },
      expected: { state: 'running', lookAgainMs: 20_000 },
    },
    {
      what: 'keeps the volume is lost, and nothing begins before the pod is gone',
      pod: pod(deleted, { phase: 'Running' }),
      expected: { state: 'running', reason: 'NodeLost' },
    },
    {
      what: 'shares the volume is lost, and the next attempt begins',
      pod: pod(deleted, { phase: 'Running' }),
      more: { accessMode: 'ReadWriteMany' },
      expected: { state: 'failed', reason: 'NodeLost', retry: 'soon' },
    },
    {
      what: 'was given up',
      job: failed,
      pod: pod({}, disrupted('DeletionByTaintManager')),
      more: { nowMs: ENDED },
      expected: { state: 'failed', reason: 'NodeLost', retry: 'soon' },
    },
    {
      what: 'was drained while the fetch had nothing to say yet',
      job: failed,
      pod: pod(
        {},
        {
          ...disrupted('EvictionByEvictionAPI'),
          containerStatuses: [{ name: 'fetch', state: { terminated: { exitCode: 143, message: '' } } }],
        },
      ),
      expected: { state: 'failed', reason: 'Evicted', retry: 'soon' },
    },
    {
      what: 'could not take the pod',
      job: failed,
      pod: pod({}, { phase: 'Failed', reason: 'OutOfcpu', message: 'no CPU left', containerStatuses: [] }),
      more: { nowMs: ENDED },
      expected: { state: 'failed', reason: 'OutOfcpu', retry: 'soon', message: 'pod pod: no CPU left' },
    },
    {
      what: 'ran out of something',
      job: failed,
      pod: pod({}, disrupted('TerminationByKubelet')),
      more: { nowMs: ENDED },
      expected: { state: 'failed', reason: 'Evicted', retry: 'soon' },
    },
  ];
  for (const { what, job = aJob(), pod: seen, more = {}, expected } of rows) {
    it(what, () => {
      const { problem, ...outcome } = { problem: undefined, ...outcomeOf(job, [seen], {}, more) };
      assert.deepEqual({ ...outcome, ...problem }, { ...outcome, ...problem, ...expected });
    });
  }
});
