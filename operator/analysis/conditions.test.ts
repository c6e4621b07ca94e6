import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkCondition, checkConditions, judgeByConditions, type Result } from './conditions.ts';

describe('a condition that makes no sense', () => {
  const rows: { name: string; text: string; wrong: RegExp }[] = [
    { name: 'that breaks off', text: 'result[0] >', wrong: /Unexpected token: EOF/ },
    { name: 'about something else than the result', text: 'value > 1', wrong: /Unknown variable: value/ },
    { name: 'that is no truth', text: 'result[0]', wrong: /has to be true or false/ },
    { name: 'that is a number', text: '1 + 1', wrong: /true or false, and is a int/ },
    { name: 'whose types do not fit', text: '"a" > 1', wrong: /no such overload/ },
    { name: 'with a function that is not there', text: 'avg(result) > 1', wrong: /avg/ },
    {
      name: 'with a regular expression',
      text: 'string(result).matches("(a+)+$")',
      wrong: /matches\(\) is not there/,
    },
    {
      name: 'that takes cubic time',
      text: 'result.all(a, result.all(b, result.all(c, a + b > c)))',
      wrong: /more than 2 of all, exists, map and filter/,
    },
    { name: 'with a long list', text: `[${'1,'.repeat(40)}1].size() > 1`, wrong: /maxListElements/ },
    { name: 'that is too long to show', text: `${'x'.repeat(900)} > 1`, wrong: /^.{1,201}…?$/ },
  ];
  for (const { name, text, wrong } of rows) {
    test(`${name} is told`, () => assert.match(checkCondition(text) ?? '', wrong));
  }

  test('is told with its field', () => {
    const wrong = checkConditions({ successCondition: 'true', failureCondition: 'x > 1' });
    assert.match(wrong ?? '', /^failureCondition: Unknown variable: x$/);
  });
});

describe('a condition that makes sense', () => {
  for (const text of [
    'result[0] >= 0.95',
    'result >= 1',
    'isNaN(result[0]) || isInf(result[0])',
    'default(result, 0) < 5',
    'size(result) == 0 || result[0] < 1.0',
    'result.all(value, value < 0.5)',
    'result.exists(a, result.exists(b, a > b))',
    'true',
  ]) {
    test(`passes: ${text}`, () => assert.equal(checkCondition(text), undefined));
  }
});

describe('a result', () => {
  const success = (successCondition: string) => ({ successCondition });
  const failure = (failureCondition: string) => ({ failureCondition });
  const rows: {
    name: string;
    result: Result;
    conditions: Parameters<typeof judgeByConditions>[1];
    phase: string;
    message?: RegExp;
  }[] = [
    {
      name: 'that fits the only condition',
      result: [0.96],
      conditions: success('result[0] >= 0.95'),
      phase: 'Successful',
    },
    {
      name: 'that misses the only condition of success',
      result: [0.9],
      conditions: success('result[0] >= 0.95'),
      phase: 'Failed',
      message: /successCondition result\[0\] >= 0\.95 is not true/,
    },
    {
      name: 'that misses the only condition of failure',
      result: 1,
      conditions: failure('result > 5'),
      phase: 'Successful',
    },
    {
      name: 'that fits the only condition of failure',
      result: 6,
      conditions: failure('result > 5'),
      phase: 'Failed',
    },
    {
      name: 'between two conditions',
      result: [0.93],
      conditions: { ...success('result[0] >= 0.95'), ...failure('result[0] < 0.9') },
      phase: 'Inconclusive',
      message: /neither/,
    },
    {
      name: 'that fits both conditions',
      result: 1,
      conditions: { ...success('result > 0'), ...failure('result > 0') },
      phase: 'Failed',
    },
    {
      name: 'that is empty',
      result: [],
      conditions: success('result[0] >= 0.95'),
      phase: 'Inconclusive',
      message: /the result is empty/,
    },
    {
      name: 'that is empty, where only a failure is asked for',
      result: [],
      conditions: failure('result[0] > 5'),
      phase: 'Inconclusive',
    },
    {
      name: 'that is empty, though a condition allows it',
      result: [],
      conditions: success('size(result) == 0 || result[0] >= 0.95'),
      phase: 'Inconclusive',
    },
    {
      name: 'that is empty, where that is a failure',
      result: [],
      conditions: failure('size(result) == 0'),
      phase: 'Failed',
    },
    {
      name: 'that is NaN',
      result: Number.NaN,
      conditions: success('result < 0.05'),
      phase: 'Inconclusive',
      message: /NaN/,
    },
    {
      name: 'that is NaN, where only a failure is asked for',
      result: [Number.NaN],
      conditions: failure('result[0] > 5'),
      phase: 'Inconclusive',
    },
    {
      name: 'that is NaN, where that is a failure',
      result: [Number.NaN],
      conditions: failure('isNaN(result[0])'),
      phase: 'Failed',
    },
    {
      name: 'of which one value is NaN',
      result: [1, Number.NaN],
      conditions: success('result[0] > 0'),
      phase: 'Inconclusive',
    },
    {
      name: 'that is infinite',
      result: [Number.POSITIVE_INFINITY],
      conditions: success('result[0] < 5'),
      phase: 'Failed',
    },
    {
      name: 'that is infinite, where that is fine',
      result: [Number.POSITIVE_INFINITY],
      conditions: success('isInf(result[0]) || result[0] > 5'),
      phase: 'Successful',
    },
    {
      name: 'with fewer values than the condition reads',
      result: [1],
      conditions: success('result[1] > 0'),
      phase: 'Error',
      message: /successCondition result\[1\] > 0: .*index out of bounds/,
    },
    {
      name: 'that is a number where the condition reads a list',
      result: 1,
      conditions: success('result[0] > 0'),
      phase: 'Error',
      message: /successCondition result\[0\] > 0: /,
    },
    {
      name: 'that is a list where the condition reads a number',
      result: [1],
      conditions: failure('isNaN(result)'),
      phase: 'Error',
      message: /name one, as in result\[0\]/,
    },
    {
      name: 'under a condition that makes no sense',
      result: [],
      conditions: success('result ='),
      phase: 'Error',
      message: /^successCondition: /,
    },
    {
      name: 'with a default',
      result: [7],
      conditions: success('default(result, 0.0) > 5'),
      phase: 'Successful',
    },
    {
      name: 'of counts, held against whole numbers',
      result: [5],
      conditions: success('result[0] == 5'),
      phase: 'Successful',
    },
  ];
  for (const { name, result, conditions, phase, message } of rows) {
    test(`${name} is ${phase}`, () => {
      const found = judgeByConditions(result, conditions);
      assert.equal(found.phase, phase, found.message);
      if (message) assert.match(found.message ?? '', message);
      assert.equal(found.message === undefined, phase === 'Successful');
    });
  }
});
