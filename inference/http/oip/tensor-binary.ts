/** Tensor data as bytes behind the JSON of a body: the binary tensor data extension. */
import { type ElementType, elementBytes, elementCount, unframeElements } from '../../engine/tensors.ts';
import { messageOf, serviceError } from '../../errors.ts';
import { parseExact } from './tensor-json.ts';

/** Where the JSON of a body ends and its binary data begin. Absent: all of it is JSON. */
export const headerLengthHeader = 'inference-header-content-length';

export interface SplitBody {
  readonly json: unknown;
  readonly binary: Uint8Array<ArrayBuffer>;
}

/**
 * @param headerLength the header's value
 * @throws ServiceError malformed_body: no JSON, or a length that is none or beyond the end
 */
export function splitBody(body: Buffer<ArrayBuffer>, headerLength: string | undefined): SplitBody {
  const length = headerLength === undefined ? body.length : Number(headerLength);
  if (!Number.isSafeInteger(length) || length < 0 || length > body.length) {
    const reason = `Inference-Header-Content-Length is ${headerLength}, the body has ${body.length} bytes`;
    throw serviceError('malformed_body', { reason });
  }
  return { json: parseJson(body.subarray(0, length)), binary: body.subarray(length) };
}

/** @throws ServiceError malformed_body */
function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  try {
    return parseExact(bytes.toString('utf8'));
  } catch (error) {
    throw serviceError('malformed_body', { reason: messageOf(error) }, { cause: error });
  }
}

/** @throws ServiceError invalid_tensor: the bytes are not those of a tensor of this type and shape */
export function checkBinaryData(
  name: string,
  type: ElementType,
  shape: readonly number[],
  data: Uint8Array<ArrayBuffer>,
): void {
  const wanted = elementCount(shape);
  const refuse = (reason: string) => serviceError('invalid_tensor', { tensor: name, reason });
  if (type === 'string') {
    let found = 0;
    for (const _ of unframeElements(name, data)) found += 1;
    if (found !== wanted)
      throw refuse(`the binary data have ${found} elements, but the shape [${shape}] needs ${wanted}`);
    return;
  }
  const bytes = wanted * elementBytes(type);
  if (data.byteLength !== bytes)
    throw refuse(`there are ${data.byteLength} bytes, but the shape [${shape}] needs ${bytes}`);
  if (type === 'bool' && data.some((byte) => byte > 1)) throw refuse('a byte of a BOOL is neither 0 nor 1');
}
