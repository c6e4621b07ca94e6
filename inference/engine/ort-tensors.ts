/** Between tensors as bytes and those of ONNX Runtime. For worker threads. */
import './no-telemetry.ts';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { serviceError } from '../errors.ts';
import {
  bytesOf,
  frameElements,
  type GraphMetadata,
  isElementType,
  type NamedTensor,
  numbersOf,
  type TensorMetadata,
  unframeElements,
} from './tensors.ts';

/** @throws ServiceError invalid_tensor for strings that are not UTF-8 */
export function toOrtTensor({ name, type, shape, data }: NamedTensor): Tensor {
  if (type === 'string') {
    const texts = Array.from(unframeElements(name, data), (bytes) => utf8Of(name, bytes));
    return new Tensor('string', texts, shape);
  }
  return new Tensor(type, numbersOf(type, data) as Tensor.DataType, shape);
}

export function fromOrtTensor(name: string, tensor: Tensor): NamedTensor {
  const { type, dims: shape, data } = tensor;
  if (!isElementType(type)) throw new Error(`the graph's output "${name}" is of the type ${type}`);
  const encoder = new TextEncoder();
  const bytes = ArrayBuffer.isView(data)
    ? bytesOf(data as ArrayBufferView<ArrayBuffer>)
    : frameElements(data.map((text) => encoder.encode(text)));
  return { name, type, shape, data: bytes };
}

/** Undefined for a graph that takes or gives what `NamedTensor` cannot hold. */
export function graphMetadata(session: InferenceSession): GraphMetadata | undefined {
  const inputs = session.inputMetadata.map(tensorMetadata);
  const outputs = session.outputMetadata.map(tensorMetadata);
  return inputs.every(isKnown) && outputs.every(isKnown) ? { inputs, outputs } : undefined;
}

function tensorMetadata(value: InferenceSession.ValueMetadata): TensorMetadata | undefined {
  if (!value.isTensor || !isElementType(value.type)) return undefined;
  const shape = value.shape.map((side) => (typeof side === 'number' && side >= 0 ? side : -1));
  return { name: value.name, type: value.type, shape };
}

function isKnown(metadata: TensorMetadata | undefined): metadata is TensorMetadata {
  return metadata !== undefined;
}

function utf8Of(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw serviceError(
      'invalid_tensor',
      { tensor: name, reason: 'an element is not UTF-8' },
      { cause: error },
    );
  }
}
