/** Tensor data as JSON: numbers, booleans and strings, flat or nested, row-major. */
import {
  bytesOf,
  type ElementType,
  elementCount,
  emptyArray,
  frameElements,
  type NamedTensor,
  type NumericType,
  numbersOf,
  unframeElements,
} from '../../engine/tensors.ts';
import { serviceError } from '../../errors.ts';
import { datatypeOf } from './datatypes.ts';

declare global {
  interface JSON {
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
    ): unknown;
    /** A value that `stringify` writes as this text. */
    rawJSON(text: string): object;
  }
}

/** A JSON value of a tensor, or a number of 64 bits beyond what a JavaScript number holds. */
type Element = number | bigint | boolean | string;

/** @returns undefined where the element cannot be of the type */
type ReadElement = (element: unknown) => number | bigint | undefined;

const readElement: Readonly<Record<NumericType, ReadElement>> = {
  bool: (element) => (typeof element === 'boolean' ? Number(element) : undefined),
  uint8: integerWithin(0, 2 ** 8 - 1),
  uint16: integerWithin(0, 2 ** 16 - 1),
  uint32: integerWithin(0, 2 ** 32 - 1),
  uint64: bigintWithin((value) => BigInt.asUintN(64, value)),
  int8: integerWithin(-(2 ** 7), 2 ** 7 - 1),
  int16: integerWithin(-(2 ** 15), 2 ** 15 - 1),
  int32: integerWithin(-(2 ** 31), 2 ** 31 - 1),
  int64: bigintWithin((value) => BigInt.asIntN(64, value)),
  float16: finiteAfter(Math.f16round),
  float32: finiteAfter(Math.fround),
  float64: finiteAfter((value) => value),
};

/**
 * JSON with integers of 64 bits kept exact.
 * @throws SyntaxError
 */
export function parseExact(text: string): unknown {
  // A reviver is called for every number: only for bodies that may need it.
  if (!text.includes('INT64')) return JSON.parse(text);
  return JSON.parse(text, (_key: string, value: unknown, { source = '' }: { source?: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)
      ? BigInt(source)
      : value,
  );
}

/** @throws ServiceError invalid_tensor: the data do not fit the shape, or an element not the type */
export function readJsonData(
  name: string,
  type: ElementType,
  shape: readonly number[],
  data: unknown,
): Uint8Array<ArrayBuffer> {
  const elements = flatten(name, shape, data);
  if (type === 'string') return frameElements(elements.map((element, at) => utf8Element(name, element, at)));
  const array = emptyArray(type, elements.length);
  const read = readElement[type];
  for (const [index, element] of elements.entries()) {
    const value = read(element);
    if (value === undefined) throw notOfType(name, type, element, index);
    array[index] = value;
  }
  return bytesOf(array);
}

/** @throws ServiceError not_in_json: NaN, an infinity, or bytes that are no text */
export function writeJsonData({ name, type, data }: NamedTensor): readonly (Element | object)[] {
  if (type === 'string') return Array.from(unframeElements(name, data), (bytes) => textOf(name, bytes));
  return Array.from(numbersOf(type, data) as Iterable<number | bigint>, (value) => {
    if (typeof value === 'bigint') return JSON.rawJSON(String(value));
    if (type === 'bool') return value !== 0;
    if (!Number.isFinite(value)) throw serviceError('not_in_json', { output: name, value });
    return value;
  });
}

function flatten(name: string, shape: readonly number[], data: unknown): readonly unknown[] {
  if (!Array.isArray(data))
    throw serviceError('invalid_tensor', { tensor: name, reason: 'data is not a list' });
  const isNested = shape.length > 1 && data.some(Array.isArray);
  const elements = isNested ? flattenNested(name, shape, data) : data;
  const wanted = elementCount(shape);
  if (elements.length === wanted) return elements;
  const reason = `data has ${elements.length} elements, but the shape [${shape}] needs ${wanted}`;
  throw serviceError('invalid_tensor', { tensor: name, reason });
}

function flattenNested(name: string, shape: readonly number[], data: readonly unknown[]): readonly unknown[] {
  let level = data;
  for (const [axis, side] of shape.slice(1).entries()) {
    const isRegular = level.every((part) => Array.isArray(part) && part.length === side);
    if (!isRegular) {
      const reason = `the lists of data at depth ${axis + 1} do not all have the ${side} elements of the shape [${shape}]`;
      throw serviceError('invalid_tensor', { tensor: name, reason });
    }
    level = level.flat();
  }
  return level;
}

function integerWithin(min: number, max: number): ReadElement {
  return (element) =>
    typeof element === 'number' && Number.isInteger(element) && element >= min && element <= max
      ? element
      : undefined;
}

function bigintWithin(wrap: (value: bigint) => bigint): ReadElement {
  return (element) => {
    const isInteger = typeof element === 'bigint' || Number.isSafeInteger(element);
    if (!isInteger) return undefined;
    const value = BigInt(element as number | bigint);
    return wrap(value) === value ? value : undefined;
  };
}

function finiteAfter(round: (value: number) => number): ReadElement {
  return (element) => {
    const value = typeof element === 'bigint' ? Number(element) : element;
    return typeof value === 'number' && Number.isFinite(round(value)) ? value : undefined;
  };
}

function utf8Element(name: string, element: unknown, index: number): Uint8Array {
  if (typeof element !== 'string') throw notOfType(name, 'string', element, index);
  return new TextEncoder().encode(element);
}

function notOfType(name: string, type: ElementType, element: unknown, index: number) {
  const shown = typeof element === 'bigint' ? String(element) : JSON.stringify(element).slice(0, 40);
  const reason = `element ${index} (${shown}) is not of the datatype ${datatypeOf(type)}`;
  return serviceError('invalid_tensor', { tensor: name, reason });
}

function textOf(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw serviceError('not_in_json', { output: name, value: 'bytes that are not UTF-8' }, { cause: error });
  }
}
