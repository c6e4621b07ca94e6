import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { fromOrtTensor, toOrtTensor } from './ort-tensors.ts';
import {
  bytesOf,
  emptyArray,
  frameElements,
  type NamedTensor,
  type NumericArray,
  type NumericType,
  numbersOf,
  transferable,
  unframeElements,
} from './tensors.ts';

const tensor = (data: Uint8Array<ArrayBuffer>): NamedTensor => ({
  name: 't',
  type: 'uint8',
  shape: [data.length],
  data,
});

function onesOf(type: NumericType): NumericArray {
  const array = emptyArray(type, 2);
  const one = array instanceof BigInt64Array || array instanceof BigUint64Array ? 1n : 1;
  for (const index of array.keys()) array[index] = one;
  return array;
}

describe('elements behind their lengths', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 9 })), (elements) => {
        const found = [...unframeElements('t', frameElements(elements))];
        assert.deepEqual(
          found.map((element) => [...element]),
          elements.map((element) => [...element]),
        );
      }),
    );
  });
});

describe('bytes that do not lie at a multiple of the size of their numbers', () => {
  test('are read all the same', () => {
    const bytes = new Uint8Array(9);
    bytes.set(bytesOf(Float64Array.of(1.5)), 1);
    assert.deepEqual([...numbersOf('float64', bytes.subarray(1))], [1.5]);
  });
});

describe('tensors that change threads', () => {
  test('give their memory away instead of being copied', () => {
    const { tensors, buffers } = transferable([tensor(new Uint8Array([1, 2, 3]))]);
    const received = structuredClone(tensors, { transfer: [...buffers] });
    assert.deepEqual([...(received[0]?.data ?? [])], [1, 2, 3]);
    assert.equal(tensors[0]?.data.byteLength, 0);
  });

  test('may be parts of one body', () => {
    const body = new Uint8Array([1, 2, 3, 4]);
    const { tensors, buffers } = transferable([tensor(body.subarray(0, 2)), tensor(body.subarray(2))]);
    assert.equal(buffers.length, 1);
    const received = structuredClone(tensors, { transfer: [...buffers] });
    assert.deepEqual(
      received.map(({ data }) => [...data]),
      [
        [1, 2],
        [3, 4],
      ],
    );
  });

  test('are copied where their bytes lie in a pool that others use', () => {
    const pooled = Buffer.from('abc') as Buffer<ArrayBuffer>;
    const { tensors, buffers } = transferable([tensor(pooled)]);
    structuredClone(tensors, { transfer: [...buffers] });
    assert.equal(pooled.toString(), 'abc');
  });
});

describe('ONNX Runtime gives back what it was given', () => {
  const numeric = ['bool', 'uint8', 'uint16', 'uint32', 'uint64', 'int8', 'int16', 'int32', 'int64'] as const;
  const types = [...numeric, 'float16', 'float32', 'float64'] as const;
  for (const type of types) {
    test(`of ${type}`, () => {
      const given: NamedTensor = { name: 't', type, shape: [2], data: bytesOf(onesOf(type)) };
      assert.deepEqual(fromOrtTensor('t', toOrtTensor(given)), given);
    });
  }

  test('of string', () => {
    const data = frameElements(['ä', ''].map((text) => new TextEncoder().encode(text)));
    const given: NamedTensor = { name: 't', type: 'string', shape: [2], data };
    assert.deepEqual(fromOrtTensor('t', toOrtTensor(given)), given);
  });

  test('but refuses a string that is not UTF-8', () => {
    const given: NamedTensor = {
      name: 't',
      type: 'string',
      shape: [1],
      data: frameElements([Uint8Array.of(0xff)]),
    };
    assert.throws(() => toOrtTensor(given), /element is not UTF-8/);
  });
});
