/** From the inputs of a request and the bytes behind its JSON to tensors. */
import { serviceError } from '../../errors.ts';
import { elementTypeOf } from './datatypes.ts';
import type { RequestInput } from './messages.ts';
import type { ReceivedTensor } from './model.ts';
import { checkBinaryData } from './tensor-binary.ts';
import { readJsonData } from './tensor-json.ts';

/**
 * Binary data follow each other in the order of the inputs, without gaps.
 * @throws ServiceError invalid_tensor, malformed_body where bytes are left over
 */
export function readInputs(
  inputs: readonly RequestInput[],
  binary: Uint8Array<ArrayBuffer>,
): readonly ReceivedTensor[] {
  let offset = 0;
  const tensors = inputs.map((input) => {
    const size = input.parameters?.binary_data_size;
    if (size === undefined) return jsonTensor(input);
    const data = binary.subarray(offset, offset + size);
    offset += size;
    return binaryTensor(input, size, data);
  });
  if (offset === binary.byteLength) return tensors;
  throw serviceError('malformed_body', {
    reason: `${binary.byteLength} bytes of binary data came, but the inputs name ${offset} in binary_data_size`,
  });
}

function jsonTensor({ name, datatype, shape, parameters, data }: RequestInput): ReceivedTensor {
  if (data === undefined) {
    const reason = 'it has neither data nor parameters.binary_data_size';
    throw serviceError('invalid_tensor', { tensor: name, reason });
  }
  const type = elementTypeOf(datatype);
  return {
    name,
    type,
    shape,
    data: readJsonData(name, type, shape, data),
    contentType: parameters?.content_type,
    isBinary: false,
  };
}

function binaryTensor(
  { name, datatype, shape, parameters, data }: RequestInput,
  size: number,
  bytes: Uint8Array<ArrayBuffer>,
): ReceivedTensor {
  const refuse = (reason: string) => serviceError('invalid_tensor', { tensor: name, reason });
  if (data !== undefined) throw refuse('it has both data and parameters.binary_data_size');
  if (bytes.byteLength < size)
    throw refuse(`binary_data_size is ${size}, but only ${bytes.byteLength} bytes are left`);
  const type = elementTypeOf(datatype);
  checkBinaryData(name, type, shape, bytes);
  return { name, type, shape, data: bytes, contentType: parameters?.content_type, isBinary: true };
}
