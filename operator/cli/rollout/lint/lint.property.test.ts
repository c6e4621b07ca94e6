import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { spoiledObjects } from '../../../../test/fixtures/spoiled.ts';
import { lintText } from './lint.ts';

it('whatever an object holds, what is wrong with it is told, and where', () => {
  fc.assert(
    fc.property(spoiledObjects, ({ object }) => {
      const text = stringify(object);
      const lines = text.split('\n').length;
      for (const { line, column, message } of lintText('f.yaml', text)) {
        assert.ok(line >= 1 && line <= lines && column >= 1 && message !== '');
      }
    }),
    { numRuns: 300 },
  );
});

it('whatever a text is, it is read', () => {
  const piece = fc.constantFrom(
    ...'{}[]:-&*!|>%@`"\'#?,\n\t ab1'.split(''),
    '---\n',
    '<<: ',
    '&a ',
    '*a',
    'kind: List\n',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      for (const { line, column } of lintText('f.yaml', pieces.join(''))) assert.ok(line >= 1 && column >= 1);
    }),
    { numRuns: 1000 },
  );
});
