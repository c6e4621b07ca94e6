import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { deploymentExamples, modelExamples } from '../../../../test/fixtures/examples.ts';
import { lintText } from './lint.ts';

const objects = [
  ...deploymentExamples.map((spec) => ({ kind: 'ModelDeployment', spec })),
  ...modelExamples.map((spec) => ({ kind: 'DeepfakeModel', spec })),
].map((object) => ({
  apiVersion: 'deepfake-operator.io/v1alpha1',
  metadata: { name: 'a' },
  ...object,
}));

type Path = readonly (string | number)[];

/** Of every member and item. */
function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([key, member]) =>
    pathsIn(member, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return [path, ...inner];
}

function replaced(value: unknown, [part, ...rest]: Path, by: unknown): unknown {
  if (part === undefined) return by;
  if (Array.isArray(value)) return value.map((item, at) => (at === part ? replaced(item, rest, by) : item));
  const members = value as Record<string, unknown>;
  return { ...members, [part]: replaced(members[part], rest, by) };
}

/** An object of which one part is anything at all. */
const spoiled = fc
  .constantFrom(...objects)
  .chain((object) =>
    fc
      .tuple(fc.constantFrom(...pathsIn(object)), fc.jsonValue({ maxDepth: 2 }))
      .map(([path, by]) => replaced(object, path, by)),
  );

it('whatever an object holds, what is wrong with it is told, and where', () => {
  fc.assert(
    fc.property(spoiled, (object) => {
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
