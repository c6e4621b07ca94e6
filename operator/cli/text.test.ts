import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { age, coloured, oneLine, plain, shortDigest, size, table } from './text.ts';

const NOW = Date.parse('2026-03-04T12:00:00Z');
const before = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

describe('age', () => {
  const cases: readonly [string, string | undefined, string][] = [
    ['a time that is not known is a dash', undefined, '-'],
    ['seconds', before(119), '119s'],
    ['minutes from two on', before(120), '2m'],
    ['hours from two on', before(7200), '2h'],
    ['days from two on', before(2 * 86_400), '2d'],
    ['a clock that is ahead is no negative age', before(-5), '0s'],
  ];
  for (const [name, since, expected] of cases) it(name, () => assert.equal(age(since, NOW), expected));
});

describe('size', () => {
  const cases: readonly [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [1_234_567, '1.2 MB'],
    [123_456_789, '123 MB'],
    [5e15, '5000 TB'],
  ];
  for (const [bytes, expected] of cases) it(expected, () => assert.equal(size(bytes), expected));
});

it('columns are as wide as their widest cell, colours not counted, and lines end with their text', () => {
  const text = table([
    ['NAME', 'STATUS', 'INFO'],
    ['a', coloured('good', '✔ Ready'), 'x'],
    ['long-name', 'Bad', ''],
  ]);
  assert.equal(
    text,
    ['NAME        STATUS    INFO', 'a           \u001b[32m✔ Ready\u001b[39m   x', 'long-name   Bad'].join(
      '\n',
    ),
  );
});

it('texts of several lines become one, digests short, and plain text stays', () => {
  assert.equal(oneLine(' a\n  b \n'), 'a b');
  assert.equal(shortDigest(`sha256:${'ab'.repeat(32)}`), 'sha256:abababababab');
  assert.equal(plain('bad', 'x'), 'x');
});

describe('what others say cannot steer the terminal', () => {
  const clipboard = '\u001b]52;c;YQ==\u0007';
  it('in a line', () =>
    assert.equal(oneLine(`a${clipboard}\tb\u009bJ\r\n c\u007f`), 'a\ufffd]52;c;YQ==\ufffd b\ufffdJ c\ufffd'));
  it('in a table, whose colours stay and whose rows are its own', () => {
    const red = coloured('bad', 'x');
    assert.equal(table([[red, `a\nb${clipboard}`]]), `${red}   a\ufffdb\ufffd]52;c;YQ==\ufffd`);
  });
});
