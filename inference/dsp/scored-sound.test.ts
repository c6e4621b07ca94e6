import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { joinedRanges, positionInFile } from './scored-sound.ts';

const ones = new Float32Array(1000).fill(1);
const ranges = [
  { start: 100, end: 300 },
  { start: 600, end: 700 },
];

describe('ranges that are joined', () => {
  test('are the sound itself where there is one', () => {
    const samples = joinedRanges(ones, [{ start: 100, end: 300 }], 1000);
    assert.equal(samples.buffer, ones.buffer);
    assert.equal(samples.length, 200);
  });

  test('fade where they meet and nowhere else', () => {
    // 5 ms at 1 kHz: five samples on either side.
    const joined = joinedRanges(ones, ranges, 1000);
    assert.equal(joined.length, 300);
    const changed = [...joined.keys()].filter((index) => joined[index] !== 1);
    assert.deepEqual(changed, [195, 196, 197, 198, 199, 200, 201, 202, 203, 204]);
    assert.ok((joined[199] ?? 1) < 0.05 && (joined[200] ?? 1) < 0.05);
  });

  test('are nothing where there are none', () => assert.equal(joinedRanges(ones, [], 1000).length, 0));

  test('know where their samples come from', () => {
    const found = [0, 199, 200, 299, 300].map((index) => positionInFile(ranges, index));
    assert.deepEqual(found, [100, 299, 600, 699, 700]);
  });
});
