/** The protocol's names for element types. */
import type { ElementType } from '../../engine/tensors.ts';

/** BF16 is missing: neither JSON nor JavaScript has a form for it. */
export const datatypes = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
] as const;
export type Datatype = (typeof datatypes)[number];

const elementTypes: Readonly<Record<Datatype, ElementType>> = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
};
const datatypesByElement = new Map(datatypes.map((datatype) => [elementTypes[datatype], datatype]));

export function elementTypeOf(datatype: Datatype): ElementType {
  return elementTypes[datatype];
}

export function datatypeOf(type: ElementType): Datatype {
  const datatype = datatypesByElement.get(type);
  if (datatype === undefined) throw new Error(`the element type ${type} has no datatype`);
  return datatype;
}
