import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { covers, hashOf } from './apply.ts';

describe('a live object covers what is desired when it', () => {
  const rows: [string, unknown, unknown, boolean][] = [
    ['says the same', { a: 1, b: ['x'] }, { a: 1, b: ['x'] }, true],
    ['says more', { a: { b: 1, c: 2 }, d: 3 }, { a: { b: 1 } }, true],
    ['says something else', { a: 1 }, { a: 2 }, false],
    ['lacks a field', {}, { a: 1 }, false],
    ['leaves out what is empty or false', {}, { a: false, b: {}, c: [], d: '', e: { f: {} } }, true],
    ['leaves out a zero', {}, { a: 0 }, false],
    ['has another order in a list', { a: [1, 2] }, { a: [2, 1] }, false],
    ['has more in a list', { a: [1, 2] }, { a: [1] }, false],
    ['has defaults in a list item', { a: [{ b: 1, c: 2 }] }, { a: [{ b: 1 }] }, true],
    ['has no list at all', {}, { a: [1] }, false],
  ];
  for (const [what, live, desired, expected] of rows) {
    it(`${what}: ${expected}`, () => assert.equal(covers(live, desired), expected));
  }
});

it('a hash does not depend on the order of keys, but on the order of lists', () => {
  assert.equal(hashOf({ a: 1, b: { c: 2, d: 3 } }), hashOf({ b: { d: 3, c: 2 }, a: 1 }));
  assert.notEqual(hashOf([1, 2]), hashOf([2, 1]));
  assert.match(hashOf('x'), /^[0-9a-f]{10}$/);
});
