/** Turns a kind written as zod schemas into its CustomResourceDefinition. */
import { z } from 'zod';
import { GROUP, VERSION } from './names.ts';
import type { CelRule } from './schema.ts';

export interface KindDefinition {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  /** Rules on the whole object; of metadata they see the name alone. */
  readonly rules: readonly CelRule[];
  readonly columns: readonly PrinterColumn[];
  readonly scale?: Readonly<Record<string, string>>;
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  /** 1: shown by `-o wide` only. */
  readonly priority?: number;
}

type Json = { [keyword: string]: unknown };

/** The CustomResourceDefinition as plain data. */
export function customResourceDefinition(definition: KindDefinition): Json {
  const { kind, plural, singular, shortNames, scale } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: ['deepfake'] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {}, ...(scale ? { scale } : {}) },
          additionalPrinterColumns: definition.columns,
          schema: { openAPIV3Schema: rootSchema(definition) },
        },
      ],
    },
  };
}

function rootSchema({ description, spec, status, rules }: KindDefinition): Json {
  return {
    description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: structural(spec),
      status: structural(status),
    },
    'x-kubernetes-validations': rules,
  };
}

/** The JSON schema of what a user may write (defaulted members are optional), made structural. */
function structural(schema: z.ZodType): Json {
  return clean(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }) as Json);
}

function clean(schema: Json): Json {
  const result: Json = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === 'properties') result[keyword] = mapValues(value as Json, (child) => clean(child as Json));
    else if (keyword === 'items') result[keyword] = clean(value as Json);
    else if (keyword === 'additionalProperties') {
      if (isSchema(value)) result[keyword] = clean(value);
    } else result[keyword] = value;
  }
  if (result['x-kubernetes-int-or-string'] === true) delete result['anyOf'];
  return result;
}

/** Structural schemas know neither `additionalProperties: false` nor the empty schema. */
function isSchema(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}

function mapValues(object: Json, map: (value: unknown) => unknown): Json {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
}
