import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { durationMs } from './duration.ts';

describe('a duration in Go notation', () => {
  const rows: [string, number][] = [
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['1.5m', 90_000],
    ['250ms', 250],
    ['0s', 0],
  ];
  for (const [text, ms] of rows) it(text, () => assert.equal(durationMs(text), ms));
  for (const text of ['', '10', 's', '1d', '10 s', '-1s']) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => durationMs(text), TypeError));
  }
});
