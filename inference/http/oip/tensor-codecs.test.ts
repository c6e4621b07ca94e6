import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  bytesOf,
  type ElementType,
  elementBytes,
  elementCount,
  emptyArray,
  frameElements,
  type NamedTensor,
  type NumericType,
} from '../../engine/tensors.ts';
import { ServiceError } from '../../errors.ts';
import { type Datatype, datatypeOf, datatypes, elementTypeOf } from './datatypes.ts';
import type { RequestInput } from './messages.ts';
import { splitBody } from './tensor-binary.ts';
import { parseExact, readJsonData } from './tensor-json.ts';
import { readInputs } from './tensors-in.ts';
import { writeAnswer } from './tensors-out.ts';

const model = { name: 'm', version: '1.0.0' };

const elements: Readonly<Record<NumericType, fc.Arbitrary<number | bigint>>> = {
  bool: fc.nat(1),
  uint8: fc.nat(255),
  uint16: fc.nat(65_535),
  uint32: fc.nat(4_294_967_295),
  uint64: fc.bigInt(0n, 2n ** 64n - 1n),
  int8: fc.integer({ min: -128, max: 127 }),
  int16: fc.integer({ min: -32_768, max: 32_767 }),
  int32: fc.integer(),
  int64: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  float16: fc.float({ min: -65_504, max: 65_504, noNaN: true }).map(withoutNegativeZero),
  float32: fc.float({ noNaN: true, noDefaultInfinity: true }).map(withoutNegativeZero),
  float64: fc.double({ noNaN: true, noDefaultInfinity: true }).map(withoutNegativeZero),
};

/** JSON writes a negative zero as zero, and a tiny number may become one when it is rounded. */
function withoutNegativeZero(value: number): number {
  return Math.abs(value) < 1e-7 ? 0 : value;
}

function tensorsOf(type: ElementType): fc.Arbitrary<NamedTensor> {
  return fc
    .array(fc.nat(3), { maxLength: 3 })
    .chain((shape) => dataOf(type, elementCount(shape)).map((data) => ({ name: 't', type, shape, data })));
}

function dataOf(type: ElementType, length: number): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  const exactly = { minLength: length, maxLength: length };
  if (type === 'string') {
    const text = fc.string({ unit: 'binary', maxLength: 20 }).filter((value) => value.isWellFormed());
    return fc
      .array(text, exactly)
      .map((texts) => frameElements(texts.map((value) => new TextEncoder().encode(value))));
  }
  return fc.array(elements[type], exactly).map((values) => {
    const array = emptyArray(type, length);
    for (const [index, value] of values.entries()) array[index] = value;
    return bytesOf(array);
  });
}

/** Writes a tensor as an output and reads what was written as an input. */
function roundTrip(tensor: NamedTensor, isBinary: boolean): Uint8Array {
  const request = { inputs: [], parameters: { binary_data_output: isBinary } };
  const { body, headerLength } = writeAnswer(model, request, [tensor]);
  const header = headerLength === undefined ? undefined : String(headerLength);
  const { json, binary } = splitBody(Buffer.from(body), header);
  const { outputs } = json as { outputs: RequestInput[] };
  return readInputs(outputs, binary)[0]?.data ?? new Uint8Array();
}

describe('a tensor', () => {
  for (const datatype of datatypes) {
    const type = elementTypeOf(datatype);
    test(`of ${datatype} stays the same through JSON`, () => {
      fc.assert(
        fc.property(tensorsOf(type), (tensor) => {
          assert.deepEqual([...roundTrip(tensor, false)], [...tensor.data]);
        }),
        { numRuns: 50 },
      );
    });

    test(`of ${datatype} stays the same through binary data`, () => {
      fc.assert(
        fc.property(tensorsOf(type), (tensor) => {
          assert.deepEqual([...roundTrip(tensor, true)], [...tensor.data]);
        }),
        { numRuns: 50 },
      );
    });

    test(`of ${datatype} has a datatype for its elements`, () => assert.equal(datatypeOf(type), datatype));
  }

  test('may have its data nested as its shape says', () => {
    const nested = [
      [1, 2, 3],
      [4, 5, 6],
    ];
    const read = (data: unknown) => readJsonData('t', 'uint8', [2, 3], data);
    assert.deepEqual([...read(nested)], [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(read(nested), read(nested.flat()));
  });

  test('of several with binary data takes its own part of it', () => {
    const input = (name: string, bytes: number): RequestInput => ({
      name,
      shape: [bytes],
      datatype: 'UINT8',
      parameters: { binary_data_size: bytes },
    });
    const json: RequestInput = { name: 'j', shape: [1], datatype: 'UINT8', data: [9] };
    const tensors = readInputs([input('a', 2), json, input('b', 3)], Uint8Array.of(1, 2, 3, 4, 5));
    assert.deepEqual(
      tensors.map(({ name, data }) => [name, ...data]),
      [
        ['a', 1, 2],
        ['j', 9],
        ['b', 3, 4, 5],
      ],
    );
  });
});

const refused: readonly { name: string; datatype: Datatype; shape: number[]; data: unknown; says: RegExp }[] =
  [
    {
      name: 'too few elements',
      datatype: 'FP32',
      shape: [2, 2],
      data: [1, 2, 3],
      says: /3 elements.*needs 4/,
    },
    { name: 'a ragged list', datatype: 'FP32', shape: [2, 2], data: [[1, 2], [3]], says: /depth 1/ },
    { name: 'lists in a flat list', datatype: 'FP32', shape: [2], data: [[1], [2]], says: /element 0/ },
    { name: 'no list', datatype: 'FP32', shape: [1], data: 1, says: /not a list/ },
    { name: 'no data', datatype: 'FP32', shape: [1], data: undefined, says: /neither data nor/ },
    { name: 'null for a number', datatype: 'FP32', shape: [1], data: [null], says: /\(null\) is not.*FP32/ },
    { name: 'text for a number', datatype: 'INT32', shape: [1], data: ['1'], says: /\("1"\) is not.*INT32/ },
    { name: 'a number for BYTES', datatype: 'BYTES', shape: [1], data: [1], says: /\(1\) is not.*BYTES/ },
    { name: 'a number for BOOL', datatype: 'BOOL', shape: [1], data: [1], says: /\(1\) is not.*BOOL/ },
    { name: 'a fraction for an integer', datatype: 'INT8', shape: [1], data: [1.5], says: /\(1.5\)/ },
    { name: 'an integer beyond its bits', datatype: 'UINT8', shape: [1], data: [256], says: /\(256\)/ },
    { name: 'an integer beyond 64 bits', datatype: 'INT64', shape: [1], data: [2n ** 63n], says: /INT64/ },
    { name: 'a negative unsigned', datatype: 'UINT64', shape: [1], data: [-1], says: /\(-1\)/ },
    { name: 'a number beyond FP16', datatype: 'FP16', shape: [1], data: [70_000], says: /\(70000\).*FP16/ },
    { name: 'a number beyond FP32', datatype: 'FP32', shape: [1], data: [1e300], says: /FP32/ },
  ];
describe('JSON data are refused for', () => {
  for (const { name, datatype, shape, data, says } of refused) {
    test(name, () => {
      const input = { name: 't', datatype, shape, data };
      assert.throws(() => readInputs([input], new Uint8Array()), says);
    });
  }
});

const bytes = (...values: number[]) => Uint8Array.from(values);
const refusedBinary: readonly {
  name: string;
  datatype: Datatype;
  shape: number[];
  size: number;
  binary: Uint8Array<ArrayBuffer>;
  says: RegExp;
}[] = [
  {
    name: 'too few bytes',
    datatype: 'FP32',
    shape: [2],
    size: 4,
    binary: bytes(0, 0, 0, 0),
    says: /needs 8/,
  },
  {
    name: 'a size beyond the body',
    datatype: 'UINT8',
    shape: [4],
    size: 4,
    binary: bytes(1),
    says: /only 1/,
  },
  { name: 'bytes left over', datatype: 'UINT8', shape: [1], size: 1, binary: bytes(1, 2), says: /2 bytes/ },
  { name: 'a BOOL of 2', datatype: 'BOOL', shape: [1], size: 1, binary: bytes(2), says: /neither 0 nor 1/ },
  { name: 'a cut length', datatype: 'BYTES', shape: [1], size: 2, binary: bytes(1, 0), says: /cut off/ },
  {
    name: 'an element that is cut off',
    datatype: 'BYTES',
    shape: [1],
    size: 5,
    binary: bytes(2, 0, 0, 0, 65),
    says: /cut off/,
  },
  {
    name: 'another number of elements',
    datatype: 'BYTES',
    shape: [2],
    size: 5,
    binary: bytes(1, 0, 0, 0, 65),
    says: /1 elements.*needs 2/,
  },
];
describe('binary data are refused for', () => {
  for (const { name, datatype, shape, size, binary, says } of refusedBinary) {
    test(name, () => {
      const input = { name: 't', datatype, shape, parameters: { binary_data_size: size } };
      assert.throws(() => readInputs([input], binary), says);
    });
  }

  test('a tensor that has JSON data too', () => {
    const input = {
      name: 't',
      datatype: 'UINT8',
      shape: [1],
      data: [1],
      parameters: { binary_data_size: 1 },
    };
    assert.throws(() => readInputs([input as RequestInput], bytes(1)), /both/);
  });
});

describe('an output in JSON is refused for', () => {
  const float = (value: number): NamedTensor => ({
    name: 't',
    type: 'float32',
    shape: [1],
    data: bytesOf(Float32Array.of(value)),
  });
  const outputs: readonly { name: string; tensor: NamedTensor }[] = [
    { name: 'NaN', tensor: float(Number.NaN) },
    { name: 'an infinity', tensor: float(Number.NEGATIVE_INFINITY) },
    {
      name: 'bytes that are no text',
      tensor: { name: 't', type: 'string', shape: [1], data: frameElements([bytes(0xff)]) },
    },
  ];
  for (const { name, tensor } of outputs) {
    test(name, () => {
      assert.throws(
        () => writeAnswer(model, { inputs: [] }, [tensor]),
        (error) => error instanceof ServiceError && error.code === 'not_in_json',
      );
      const request = { inputs: [], outputs: [{ name: 't', parameters: { binary_data: true } }] };
      assert.ok(writeAnswer(model, request, [tensor]).headerLength);
    });
  }
});

test('integers of 64 bits are read exactly, other numbers as ever', () => {
  assert.deepEqual(parseExact('{"datatype":"INT64","data":[9007199254740993,1,1e3]}'), {
    datatype: 'INT64',
    data: [9007199254740993n, 1, 1000],
  });
});

for (const length of ['-1', 'x', '1.5', '99']) {
  test(`a body whose JSON has ${length} bytes is refused`, () => {
    assert.throws(() => splitBody(Buffer.from('{}'), length), /Inference-Header-Content-Length is/);
  });
}

test('every numeric type has the size that the protocol gives it', () => {
  const sizes = datatypes
    .map(elementTypeOf)
    .flatMap((type) => (type === 'string' ? [] : [elementBytes(type)]));
  assert.deepEqual(sizes, [1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8]);
});
