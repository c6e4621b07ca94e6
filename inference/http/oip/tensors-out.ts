/** From tensors to the body of an answer: JSON, with binary data behind it where they were asked for. */
import type { NamedTensor } from '../../engine/tensors.ts';
import { datatypeOf } from './datatypes.ts';
import type { InferenceRequest } from './messages.ts';
import { writeJsonData } from './tensor-json.ts';

export interface InferenceBody {
  readonly body: string | Buffer;
  /** Bytes of the JSON; undefined where the body is nothing else. */
  readonly headerLength: number | undefined;
}

/** @throws ServiceError not_in_json */
export function writeAnswer(
  model: { readonly name: string; readonly version: string },
  { id, parameters, outputs }: InferenceRequest,
  tensors: readonly NamedTensor[],
): InferenceBody {
  const isBinary = (name: string): boolean =>
    outputs?.find((output) => output.name === name)?.parameters?.binary_data ??
    parameters?.binary_data_output ??
    false;
  const json = JSON.stringify({
    model_name: model.name,
    model_version: model.version,
    ...(id === undefined ? {} : { id }),
    outputs: tensors.map((tensor) => ({
      name: tensor.name,
      datatype: datatypeOf(tensor.type),
      shape: tensor.shape,
      ...(isBinary(tensor.name)
        ? { parameters: { binary_data_size: tensor.data.byteLength } }
        : { data: writeJsonData(tensor) }),
    })),
  });
  const binary = tensors.filter(({ name }) => isBinary(name)).map(({ data }) => data);
  if (binary.length === 0) return { body: json, headerLength: undefined };
  const header = Buffer.from(json);
  return { body: Buffer.concat([header, ...binary]), headerLength: header.length };
}
