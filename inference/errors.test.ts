import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { maxTerminationBytes, terminationMessage } from './errors.ts';

describe('the last words of a container', () => {
  const rows: [string, string][] = [
    ['control characters', '\u0001\u001b\n'],
    ['quotes', '"\\'],
    ['characters of three bytes', '\u6f22'],
    ['characters of four bytes', '\u{1f600}'],
    ['halves of characters', '\ud800'],
  ];
  for (const [name, part] of rows) {
    test(`are kept as a whole with ever so many ${name}`, () => {
      const message = `what: x${part.repeat(5000)}`;
      const text = terminationMessage({ reason: 'InvalidPackage', model: 'm'.repeat(253), message });
      assert.ok(Buffer.byteLength(text) <= maxTerminationBytes, `${Buffer.byteLength(text)} bytes`);
      assert.match(JSON.parse(text).error.message, /^what: x[^\p{Cc}]*$/u);
    });
  }
});
