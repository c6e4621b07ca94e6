import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DIGEST, readyStatus } from '../builders.ts';
import { artifactOf, heldCondition, type ModelObservation, summarize } from './status.ts';

const artifact = artifactOf(readyStatus());
const base: ModelObservation = {
  fetch: { id: 'x', phase: 'Running', attempts: 1 },
  artifact: undefined,
  podRunning: false,
};
const failed = { id: 'x', phase: 'Failed', attempts: 2, message: 'm', nextRetryAt: 'T' } as const;

describe('the status of a model', () => {
  type Row = {
    what: string;
    seen: Partial<ModelObservation>;
    phase: string;
    ready: string;
    verified: string;
    message: RegExp;
  };
  const rows: Row[] = [
    {
      what: 'whose pod is awaited',
      seen: {},
      phase: 'Pending',
      ready: 'False Fetching',
      verified: 'Unknown NotFetched',
      message: /^attempt 1 waits for its pod$/,
    },
    {
      what: 'being fetched',
      seen: { podRunning: true },
      phase: 'Fetching',
      ready: 'False Fetching',
      verified: 'Unknown NotFetched',
      message: /^attempt 1 runs$/,
    },
    {
      what: 'whose pod cannot start',
      seen: { pending: { reason: 'PvcPending', message: 'no volume' } },
      phase: 'Pending',
      ready: 'False PvcPending',
      verified: 'Unknown NotFetched',
      message: /^no volume$/,
    },
    {
      what: 'verified',
      seen: { fetch: { id: 'x', phase: 'Succeeded', attempts: 1 }, artifact },
      phase: 'Ready',
      ready: 'True Ready',
      verified: 'True DigestVerified',
      message: /^package 0\.1\.0 verified/,
    },
    {
      what: 'out of reach',
      seen: { fetch: { ...failed, reason: 'SourceUnreachable' } },
      phase: 'Failed',
      ready: 'False SourceUnreachable',
      verified: 'Unknown NotFetched',
      message: /^m \(attempt 2; next attempt at T\)$/,
    },
    {
      what: 'of another digest',
      seen: { fetch: { ...failed, reason: 'DigestMismatch' } },
      phase: 'Failed',
      ready: 'False DigestMismatch',
      verified: 'False DigestMismatch',
      message: /^m /,
    },
    {
      what: 'being fetched again after a failure',
      seen: {
        podRunning: true,
        fetch: { id: 'x', phase: 'Running', attempts: 3, reason: 'DigestMismatch', message: 'm' },
      },
      phase: 'Fetching',
      ready: 'False DigestMismatch',
      verified: 'False DigestMismatch',
      message: /^attempt 3 runs; attempt 2: m$/,
    },
    {
      what: 'whose update fails',
      seen: { fetch: { ...failed, reason: 'SourceNotFound' }, artifact },
      phase: 'Failed',
      ready: 'False SourceNotFound',
      verified: 'Unknown NotFetched',
      message: new RegExp(`${DIGEST} stays served meanwhile$`),
    },
    {
      what: 'whose claim is somebody else’s',
      seen: { fetch: undefined, blocked: { reason: 'OwnershipConflict', message: 'c' } },
      phase: 'Failed',
      ready: 'False OwnershipConflict',
      verified: 'Unknown NotFetched',
      message: /^c$/,
    },
  ];
  for (const { what, seen, phase, ready, verified, message } of rows) {
    it(what, () => {
      const summary = summarize({ ...base, ...seen });
      const told = (type: string) => {
        const found = summary.conditions.find((condition) => condition.type === type);
        return found && `${found.status} ${found.reason}`;
      };
      assert.equal(summary.phase, phase);
      assert.match(summary.message, message);
      assert.equal(told('Ready'), ready);
      assert.equal(told('Verified'), verified);
      assert.equal(told('DeletionBlocked'), undefined);
    });
  }
});

it('a message is cut to what status can hold', () => {
  const { message } = summarize({
    ...base,
    blocked: { reason: 'ChildRejected', message: 'x'.repeat(5_000) },
  });
  assert.equal(message.length, 4096);
});

it('a deleted model says who holds it, the first ten by name', () => {
  const { status, reason, message } = heldCondition(['a', 'b']);
  assert.deepEqual(
    [status, reason, message],
    ['True', 'InUse', 'deletion waits: used by ModelDeployment a, b'],
  );
  assert.match(
    heldCondition(Array.from({ length: 12 }, (_, index) => `d${index}`)).message,
    /d9 and 2 more$/,
  );
});
