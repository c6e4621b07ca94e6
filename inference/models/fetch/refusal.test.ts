import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asFetchError, FetchError } from './errors.ts';
import { reasonOf, refusalError, retryAfterMs } from './refusal.ts';
import { anonymous } from './resource.ts';
import { refuseOversize } from './room.ts';

describe('a refusal', () => {
  const rows: [number, string, boolean][] = [
    [400, 'SourceNotFound', false],
    [401, 'SourceUnauthorized', false],
    [403, 'SourceUnauthorized', false],
    [404, 'SourceNotFound', false],
    [407, 'SourceUnauthorized', false],
    [408, 'SourceUnreachable', true],
    [410, 'SourceNotFound', false],
    [429, 'SourceUnreachable', true],
    [500, 'SourceUnreachable', true],
    [503, 'SourceUnreachable', true],
  ];
  for (const [status, reason, transient] of rows) {
    test(`by ${status} is ${reason}`, () => {
      const error = refusalError({ status, headers: {}, body: '' }, 'https://example.org/a', anonymous);
      assert.deepEqual([reasonOf(status), error.reason, error.transient], [reason, reason, transient]);
    });
  }

  test('says where, what the source said in one line, and what to do, but no secret of the address', () => {
    const access = { ...anonymous, explain: () => ({ detail: 'No\n\tsuch  file' }) };
    const url = 'https://user:password@example.org/a?signature=hidden';
    assert.equal(
      refusalError({ status: 404, headers: {}, body: '' }, url, access).message,
      'https://example.org/a answered 404 Not Found (No such file); check the address',
    );
  });
});

describe('the wait that a source asks for', () => {
  const now = Date.parse('2026-05-01T10:00:00Z');
  const rows: [string | undefined, number][] = [
    [undefined, 0],
    ['7', 7000],
    ['Fri, 01 May 2026 10:00:09 GMT', 9000],
    ['Fri, 01 May 2026 09:00:00 GMT', 0],
    ['later', 0],
  ];
  for (const [header, waitMs] of rows) {
    test(`${header} is ${waitMs} ms`, () => {
      assert.equal(retryAfterMs(header, now), waitMs);
    });
  }

  test('goes with the error', () => {
    const answer = { status: 429, headers: { 'retry-after': '3' }, body: '' };
    assert.equal(refusalError(answer, 'https://example.org/', anonymous).waitMs, 3000);
  });
});

describe('an error that is no answer', () => {
  const of = (error: object) => asFetchError(Object.assign(new Error('no'), error), '/models');
  const rows: [string, object, string | undefined][] = [
    ['of a full volume', { code: 'ENOSPC' }, 'VolumeFull'],
    ['of a volume that is not ours to write', { code: 'EACCES', syscall: 'open' }, 'VolumeUnusable'],
    ['of a firewall', { code: 'EPERM', syscall: 'connect' }, undefined],
  ];
  for (const [name, error, reason] of rows) {
    test(`${name} is ${reason ?? 'left as it is'}`, () => {
      const found = of(error);
      assert.equal(found instanceof FetchError ? found.reason : undefined, reason);
    });
  }
});

describe('room', () => {
  const rows: [string, Parameters<typeof refuseOversize>, RegExp | undefined][] = [
    [
      'is enough up to the last byte',
      [
        { totalBytes: 10, writtenBytes: 20 },
        { maxBytes: 10, freeBytes: 20 },
      ],
      undefined,
    ],
    [
      'has a limit',
      [
        { totalBytes: 11, writtenBytes: 0 },
        { maxBytes: 10, freeBytes: 20 },
      ],
      /has 11 bytes; the limit is 10/,
    ],
    [
      'ends with the volume',
      [
        { totalBytes: 10, writtenBytes: 21 },
        { maxBytes: 10, freeBytes: 20 },
      ],
      /needs 21 more bytes .* has 20 left/,
    ],
  ];
  for (const [name, args, found] of rows) {
    test(name, () => {
      if (found === undefined) assert.doesNotThrow(() => refuseOversize(...args));
      else assert.throws(() => refuseOversize(...args), found);
    });
  }
});
