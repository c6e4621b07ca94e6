import assert from 'node:assert/strict';
import { it } from 'node:test';
import { HttpMethod } from '@kubernetes/client-node';
import { ApiError } from './errors.ts';
import { retryAfterMs, retryDelayMs } from './transport.ts';

const NOW = Date.UTC(2026, 0, 1);

for (const [header, expected] of [
  [undefined, undefined],
  ['0', 0],
  ['7', 7_000],
  [['3', '9'], 3_000],
  ['Thu, 01 Jan 2026 00:00:05 GMT', 5_000],
  ['Wed, 31 Dec 2025 23:59:00 GMT', 0],
  ['soon', undefined],
] as const) {
  it(`Retry-After ${header} is ${expected} ms`, () => {
    assert.equal(retryAfterMs(header as string | string[] | undefined, NOW), expected);
  });
}

const answer = (status: number, retryMs?: number) => new ApiError('X', status, 'R', 'd', [], retryMs);
const reset = (code: string) => Object.assign(new Error('scripted'), { code });
const { GET, POST, PATCH } = HttpMethod;

for (const [what, method, error, attempt, expected] of [
  ['a refused write', POST, answer(429, 1_000), 1, 1_000],
  ['a refusal without a time', PATCH, answer(429), 1, undefined],
  ['a refusal for the tenth time', PATCH, answer(429, 1_000), 10, undefined],
  ['a failure with a time', PATCH, answer(503, 2_000), 1, 2_000],
  ['a failed creation: it may have happened', POST, answer(503, 2_000), 1, undefined],
  ['a failure without a time', GET, answer(500), 1, undefined],
  ['a conflict', PATCH, answer(409), 1, undefined],
  ['a read that was reset', GET, reset('ECONNRESET'), 1, 100],
  ['a read that was cut off', GET, reset('UND_ERR_SOCKET'), 3, 400],
  ['a read that was reset four times', GET, reset('ECONNRESET'), 4, undefined],
  ['a write that was reset: it may have happened', PATCH, reset('ECONNRESET'), 1, undefined],
  ['a server that is not there', GET, reset('ECONNREFUSED'), 1, undefined],
  ['something thrown that is no error', GET, null, 1, undefined],
] as const) {
  it(`${what} is ${expected === undefined ? 'not sent again' : `sent again after ${expected} ms`}`, () => {
    assert.equal(retryDelayMs(method, error, attempt), expected);
  });
}
