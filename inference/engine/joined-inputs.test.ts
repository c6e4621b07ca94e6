import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { joinedInputs, joinedLength, splitItems } from './joined-inputs.ts';

const inputs = [
  { name: 'a', itemShape: [2, 2] },
  { name: 'b', itemShape: [1] },
];

describe('several inputs as one row of numbers', () => {
  const rows = [
    { name: 'one item', values: [1, 2, 3, 4, 5], parts: [[1, 2, 3, 4], [5]] },
    {
      name: 'several items',
      values: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      parts: [
        [1, 2, 3, 4, 6, 7, 8, 9],
        [5, 10],
      ],
    },
  ];
  for (const { name, values, parts } of rows)
    test(`are parted again for ${name}`, () => {
      const found = splitItems(Float32Array.from(values), inputs);
      assert.deepEqual(
        found.map((part) => [...part]),
        parts,
      );
    });

  test('have as many numbers as all together', () => assert.equal(joinedLength(inputs), 5));
});

describe('the shapes of inputs', () => {
  const metadata = {
    inputs: [
      { name: 'b', type: 'float32', shape: [-1, 1] },
      { name: 'a', type: 'float32', shape: [-1, 2, 2] },
      { name: 'open', type: 'float32', shape: [-1, -1] },
      { name: 'whole', type: 'int64', shape: [-1, 2] },
    ],
    outputs: [],
  } as const;

  test('are those of the graph, in the order of the names', () =>
    assert.deepEqual(joinedInputs('x.onnx', ['a', 'b'], metadata), inputs));

  for (const name of ['open', 'whole', 'nobody'])
    test(`that cannot be joined are refused: ${name}`, () =>
      assert.throws(() => joinedInputs('x.onnx', ['a', name], metadata), /^Error: x\.onnx: the input "/));
});
