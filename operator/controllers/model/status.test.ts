import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DIGEST, readyStatus } from '../builders.ts';
import { artifactOf, heldCondition, type ModelObservation, summarize } from './status.ts';

const artifact = artifactOf(readyStatus());
const running = { id: 'x', phase: 'Running', attempts: 1 } as const;
const succeeded = { id: 'x', phase: 'Succeeded', attempts: 1 } as const;
const base: ModelObservation = {
  fetch: running,
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
      ready: 'False WeightsFetching',
      verified: 'Unknown NotFetched',
      message: /^attempt 1 waits for its pod$/,
    },
    {
      what: 'being fetched',
      seen: { podRunning: true },
      phase: 'Fetching',
      ready: 'False WeightsFetching',
      verified: 'Unknown NotFetched',
      message: /^attempt 1 runs$/,
    },
    {
      what: 'being fetched, as far as its pod says',
      seen: {
        podRunning: true,
        fetch: { ...running, receivedBytes: 12.1 * 2 ** 20, totalBytes: 28 * 2 ** 20 },
      },
      phase: 'Fetching',
      ready: 'False WeightsFetching',
      verified: 'Unknown NotFetched',
      message: /^43 % \(12 MiB of 28 MiB\)$/,
    },
    {
      what: 'on demand that nobody uses',
      seen: { fetch: undefined, waiting: { reason: 'NotUsed', message: 'w' } },
      phase: 'Pending',
      ready: 'False NotUsed',
      verified: 'Unknown NotFetched',
      message: /^w$/,
    },
    {
      what: 'found damaged, before its repair',
      seen: { fetch: succeeded, artifact, damage: { reason: 'PackageDamaged', message: 'd' } },
      phase: 'Failed',
      ready: 'False PackageDamaged',
      verified: 'False PackageDamaged',
      message: new RegExp(`^d; ${DIGEST} stays served meanwhile$`),
    },
    {
      what: 'being repaired',
      seen: { podRunning: true, fetch: { ...running, reason: 'PackageDamaged', message: 'd' }, artifact },
      phase: 'Fetching',
      ready: 'False PackageDamaged',
      verified: 'False PackageDamaged',
      message: /^attempt 1 runs; repairs: d; /,
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
      seen: { fetch: succeeded, artifact },
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
