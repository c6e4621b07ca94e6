/** Tensors as bytes: how they cross between threads. Pure; ort-tensors.ts hands them to ONNX Runtime. */
import { isMarkedAsUntransferable } from 'node:worker_threads';
import { serviceError } from '../errors.ts';

/** How the elements of a type lie in memory, little-endian; the names are ONNX Runtime's. */
const arrays = {
  bool: Uint8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float16: Float16Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

export type NumericType = keyof typeof arrays;
export type ElementType = NumericType | 'string';
export type NumericArray = InstanceType<(typeof arrays)[NumericType]>;

export interface NamedTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Row-major, little-endian, without gaps. Strings: each element's bytes behind their number as 32 bits. */
  readonly data: Uint8Array<ArrayBuffer>;
}

export interface TensorMetadata {
  readonly name: string;
  readonly type: ElementType;
  /** -1 for a side that may have any length. */
  readonly shape: readonly number[];
}

export interface GraphMetadata {
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

const lengthBytes = 4;

export function isElementType(text: string): text is ElementType {
  return text === 'string' || Object.hasOwn(arrays, text);
}

export function elementBytes(type: NumericType): number {
  return arrays[type].BYTES_PER_ELEMENT;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

export function emptyArray(type: NumericType, length: number): NumericArray {
  return new arrays[type](length);
}

/** The bytes as numbers; a copy only where they do not lie at a multiple of the element's size. */
export function numbersOf(type: NumericType, data: Uint8Array<ArrayBuffer>): NumericArray {
  const size = elementBytes(type);
  const { buffer, byteOffset, byteLength } = data.byteOffset % size === 0 ? data : new Uint8Array(data);
  return new arrays[type](buffer, byteOffset, byteLength / size);
}

export function bytesOf(view: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Puts every element behind its length. */
export function frameElements(elements: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const framed = new Uint8Array(elements.reduce((sum, element) => sum + lengthBytes + element.byteLength, 0));
  const view = new DataView(framed.buffer);
  let offset = 0;
  for (const element of elements) {
    view.setUint32(offset, element.byteLength, true);
    framed.set(element, offset + lengthBytes);
    offset += lengthBytes + element.byteLength;
  }
  return framed;
}

/**
 * The elements one after the other, as views of the bytes.
 * @throws ServiceError invalid_tensor where a length leads beyond the end
 */
export function* unframeElements(
  name: string,
  framed: Uint8Array<ArrayBuffer>,
): Generator<Uint8Array<ArrayBuffer>, void> {
  const view = new DataView(framed.buffer, framed.byteOffset, framed.byteLength);
  for (let offset = 0; offset < framed.byteLength; ) {
    const start = offset + lengthBytes;
    const end = start <= framed.byteLength ? start + view.getUint32(offset, true) : start;
    if (end > framed.byteLength)
      throw serviceError('invalid_tensor', {
        tensor: name,
        reason: `the element at byte ${offset} is cut off`,
      });
    yield framed.subarray(start, end);
    offset = end;
  }
}

/**
 * The tensors in a form that a thread can give away without a copy, and what is to be transferred for it. Whoever calls gives the bytes up.
 * Small buffers of Node lie in a pool that cannot be transferred: they are copied.
 */
export function transferable(tensors: readonly NamedTensor[]): {
  readonly tensors: readonly NamedTensor[];
  readonly buffers: readonly ArrayBuffer[];
} {
  const owned = tensors.map((tensor) =>
    isMarkedAsUntransferable(tensor.data.buffer) ? { ...tensor, data: new Uint8Array(tensor.data) } : tensor,
  );
  return { tensors: owned, buffers: [...new Set(owned.map(({ data }) => data.buffer))] };
}
