/** A model as the protocol sees it, and what every request to one must keep to. */
import type { NamedTensor, TensorMetadata } from '../../engine/tensors.ts';
import { serviceError } from '../../errors.ts';
import type { Exchange } from '../exchange.ts';
import { datatypeOf, elementTypeOf } from './datatypes.ts';
import type { RequestInput } from './messages.ts';

export interface ReceivedTensor extends NamedTensor {
  /** The codec or the media type that the client names. */
  readonly contentType: string | undefined;
  readonly isBinary: boolean;
}

export interface ProtocolModel {
  readonly name: string;
  readonly version: string;
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  /**
   * @param inputs fit the metadata; their bytes are given away
   * @param outputs names out of the metadata
   * @returns the named outputs, in that order
   */
  infer(
    exchange: Exchange,
    inputs: readonly ReceivedTensor[],
    outputs: readonly string[],
  ): Promise<readonly NamedTensor[]>;
}

/** @throws ServiceError unexpected_tensor: a tensor that is unknown, twice there, missing, or of another type or shape */
export function refuseMisfits(model: ProtocolModel, inputs: readonly RequestInput[]): void {
  const refuse = (tensor: string, reason: string) =>
    serviceError('unexpected_tensor', { model: model.name, tensor, reason });
  const seen = new Set<string>();
  for (const { name, datatype, shape } of inputs) {
    const expected = model.inputs.find((candidate) => candidate.name === name);
    if (expected === undefined) throw refuse(name, `its inputs are ${namesOf(model.inputs)}`);
    if (seen.has(name)) throw refuse(name, 'it comes twice');
    seen.add(name);
    if (expected.type !== elementTypeOf(datatype))
      throw refuse(name, `it is ${datatype}, but must be ${datatypeOf(expected.type)}`);
    if (!fits(shape, expected.shape))
      throw refuse(name, `its shape is [${shape}], but must be [${expected.shape}], where -1 is any length`);
  }
  const missing = model.inputs.find(({ name }) => !seen.has(name));
  if (missing !== undefined) throw refuse(missing.name, 'it is missing');
}

/** @throws ServiceError unknown_output */
export function refuseUnknownOutputs(model: ProtocolModel, outputs: readonly string[]): void {
  const known = model.outputs.map(({ name }) => name);
  for (const output of outputs) {
    if (!known.includes(output))
      throw serviceError('unknown_output', { model: model.name, output, known: namesOf(model.outputs) });
  }
}

function fits(shape: readonly number[], expected: readonly number[]): boolean {
  return (
    shape.length === expected.length &&
    shape.every((side, axis) => expected[axis] === -1 || expected[axis] === side)
  );
}

function namesOf(tensors: readonly TensorMetadata[]): string {
  return tensors.map(({ name }) => name).join(', ');
}
