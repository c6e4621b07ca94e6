import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { withGoldenFiles } from './document.ts';

const entry = { file: 'golden/a.mp4', sha256: 'a'.repeat(64), score: 0.25, tolerance: 0.02 };
const block = (indent: string) =>
  [
    `${indent}- file: golden/a.mp4`,
    `${indent}  sha256: ${'a'.repeat(64)}`,
    `${indent}  score: 0.25`,
    `${indent}  tolerance: 0.02`,
  ].join('\n');

describe('a golden file is added to a model.yaml', () => {
  const cases = [
    {
      name: 'with an empty list, and everything around it stays',
      source: '# head\nname:   "x"  # odd\ngolden: []\nlist:\n- {a: 1,b: 2}\n',
      expected: `# head\nname:   "x"  # odd\ngolden:\n${block('  ')}\nlist:\n- {a: 1,b: 2}\n`,
    },
    {
      name: 'with files and comments on them',
      source: 'golden:\n  - file: b # first\n  # last\n\n# card\ncard: 1\n',
      expected: `golden:\n  - file: b # first\n${block('  ')}\n  # last\n\n# card\ncard: 1\n`,
    },
    {
      name: 'with files that are not indented, the last of them on one line',
      source: 'golden:\n- file: b\n- {file: c} # last\ncard: 1\n',
      expected: `golden:\n- file: b\n- {file: c} # last\n${block('')}\ncard: 1\n`,
    },
    {
      name: 'with files in brackets',
      source: 'golden: [ {file: b} ] # all\n',
      expected: `golden: [ {file: b}, ${JSON.stringify(entry)}] # all\n`,
    },
    {
      name: 'with an empty list that has a comment',
      source: 'golden:\n  [] # none\ncard: 1\n',
      expected: `golden:\n${block('  ')} # none\ncard: 1\n`,
    },
    {
      name: 'that is JSON',
      source: '{"name": "x", "golden": [], "b":  2}',
      expected: `{"name": "x", "golden": [${JSON.stringify(entry)}], "b":  2}`,
    },
    {
      name: 'whose list is at the end, without a line end',
      source: 'name: x\ngolden: []',
      expected: `name: x\ngolden:\n${block('  ')}`,
    },
  ];
  for (const { name, source, expected } of cases) {
    test(name, () => {
      const text = withGoldenFiles(source, [entry]);
      assert.deepEqual(parse(text), parse(expected));
      assert.equal(text, expected);
    });
  }
});

describe('no golden file is added to a model.yaml', () => {
  const cases = [
    {
      name: 'without such a list',
      source: 'name: x\n',
      message: /no list called golden; write `golden: \[\]`/,
    },
    { name: 'whose list has no brackets', source: 'golden:\nname: x\n', message: /no list called golden/ },
    { name: 'that is a list', source: '- golden\n', message: /no list called golden/ },
    { name: 'that is not YAML', source: 'golden: [\n', message: /^not YAML: [^\n]*$/ },
  ];
  for (const { name, source, message } of cases) {
    test(name, () => assert.throws(() => withGoldenFiles(source, [entry]), { message }));
  }
});
