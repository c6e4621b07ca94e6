/** What the API server would say to an object of ours: schema, rules and admission policies. Pure. */
import type { z } from 'zod';
import { admissionPolicies } from '../../../api/admission.ts';
import { customResourceDefinition, type KindDefinition } from '../../../api/crd.ts';
import { deepfakeModelDefinition } from '../../../api/deepfake-model.ts';
import { modelDeploymentDefinition } from '../../../api/model-deployment.ts';
import { API_VERSION } from '../../../api/names.ts';
import type { CelRule } from '../../../api/schema.ts';
import { evaluate } from './cel.ts';
import { isObject } from './documents.ts';
import { doubt, type Finding, type Path, problem } from './finding.ts';

const DEFINITIONS = [modelDeploymentDefinition, deepfakeModelDefinition];

/** undefined: another kind, about which nothing is known here. */
export function definitionOf(object: Readonly<Record<string, unknown>>): KindDefinition | undefined {
  return DEFINITIONS.find(({ kind }) => object['kind'] === kind);
}

export interface Checked {
  readonly findings: readonly Finding[];
  /** With its defaults; undefined where the schema refuses it. */
  readonly spec: unknown;
}

/** Schema, rules and admission policies. */
export function checkObject(definition: KindDefinition, written: Readonly<Record<string, unknown>>): Checked {
  const { findings, spec } = checkSchema(definition, written);
  if (spec === undefined) return { findings, spec };
  // Policies see an object as the schema completes it.
  const complete = { ...written, metadata: metadataOf(written), spec };
  return { findings: [...findings, ...admission(definition, complete)], spec };
}

/** What an API server without the chart's policies says. */
export function checkSchema(definition: KindDefinition, written: Readonly<Record<string, unknown>>): Checked {
  const schema = schemaOf(definition);
  const object = pruneNulls(schema, written) as Readonly<Record<string, unknown>>;
  const metadata = metadataOf(object);
  const known = [...identity(object, metadata), ...unknownFields(schema, object, [])];
  const { data: spec, error } = definition.spec.safeParse(object['spec'] ?? {});
  if (error) return { findings: [...known, ...error.issues.map(issueFinding)], spec: undefined };
  const complete = { apiVersion: object['apiVersion'], kind: object['kind'], metadata, spec };
  // Rules of the whole object are about its name, and that it has none is said already.
  const applying = typeof metadata['name'] === 'string' ? schema : { properties: schema.properties ?? {} };
  // Rules are written for values that the schema lets through.
  const refused = told(applying, complete, [], keywords);
  if (refused.length > 0) return { findings: [...known, ...refused], spec: undefined };
  return { findings: [...known, ...told(applying, complete, [], rules)], spec };
}

const metadataOf = ({ metadata }: Readonly<Record<string, unknown>>) => (isObject(metadata) ? metadata : {});

function identity(
  { apiVersion }: Readonly<Record<string, unknown>>,
  { name }: Readonly<Record<string, unknown>>,
): Finding[] {
  return [
    ...(apiVersion === API_VERSION
      ? []
      : [problem(['apiVersion'], `has to be ${API_VERSION}; found ${JSON.stringify(apiVersion)}`)]),
    ...(typeof name === 'string' ? [] : [problem(['metadata'], 'has to have a name')]),
  ];
}

const issueFinding = ({ path, message }: z.core.$ZodIssue): Finding =>
  problem(['spec', ...path.map((part) => (typeof part === 'symbol' ? String(part) : part))], message);

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly type?: string;
  readonly default?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maxLength?: number;
  readonly maxProperties?: number;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly CelRule[];
}

const schemas = new Map<KindDefinition, Schema>();

function schemaOf(definition: KindDefinition): Schema {
  let schema = schemas.get(definition);
  if (!schema) {
    const { spec } = customResourceDefinition(definition) as {
      readonly spec: {
        readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Schema } }];
      };
    };
    schema = spec.versions[0].schema.openAPIV3Schema;
    schemas.set(definition, schema);
  }
  return schema;
}

/** Schema and value of every member and item that both have. */
function children(schema: Schema, value: unknown): (readonly [string | number, Schema, unknown])[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items ? value.map((item, index) => [index, items, item] as const) : [];
  }
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const child = schema.properties?.[key] ?? schema.additionalProperties;
    return typeof child === 'object' && member !== undefined ? [[key, child, member] as const] : [];
  });
}

/** The API server takes a member that is null for one that is not there, if it has a default. */
function pruneNulls(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value) && schema.items) {
    return value.map((item) => pruneNulls(schema.items ?? {}, item));
  }
  if (!isObject(value)) return value;
  const kept = children(schema, value).filter(
    ([, child, member]) => member !== null || !('default' in child),
  );
  const pruned = new Map(kept.map(([key, child, member]) => [key, pruneNulls(child, member)]));
  const known = new Set(children(schema, value).map(([key]) => key));
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => {
      if (!known.has(key)) return [[key, member]];
      return pruned.has(key) ? [[key, pruned.get(key)]] : [];
    }),
  );
}

/** kubectl refuses fields that nobody reads. */
function unknownFields(schema: Schema, value: unknown, path: Path): Finding[] {
  const open =
    schema['x-kubernetes-preserve-unknown-fields'] || schema.additionalProperties || !schema.properties;
  const unknown =
    isObject(value) && !open ? Object.keys(value).filter((key) => !(key in (schema.properties ?? {}))) : [];
  return [
    ...unknown.map((key) => problem([...path, key], `there is no such field${nearest(key, schema)}`)),
    ...children(schema, value).flatMap(([key, child, member]) =>
      unknownFields(child, member, [...path, key]),
    ),
  ];
}

const nearest = (key: string, { properties = {} }: Schema) => {
  const same = Object.keys(properties).find((known) => known.toLowerCase() === key.toLowerCase());
  return same === undefined ? `; there are ${Object.keys(properties).join(', ')}` : `: it is called ${same}`;
};

/** Of a value and all within it, innermost first as they are told best. */
function told(
  schema: Schema,
  value: unknown,
  path: Path,
  tell: (schema: Schema, value: unknown) => string[],
): Finding[] {
  return [
    ...children(schema, value).flatMap(([key, child, member]) => told(child, member, [...path, key], tell)),
    ...tell(schema, value).map((message) => problem(path, message)),
  ];
}

/** Keywords that JSON Schema has and zod leaves to it. */
const keywords = (schema: Schema, value: unknown): string[] => [
  ...intOrString(schema, value),
  ...tooMany(schema, value),
  ...repeated(schema, value),
];

const rules = ({ 'x-kubernetes-validations': all = [] }: Schema, value: unknown): string[] =>
  all.flatMap((rule) => broken(rule, value));

function intOrString(schema: Schema, value: unknown): string[] {
  if (!schema['x-kubernetes-int-or-string']) return [];
  const { pattern = '', minimum = 0, maxLength = Number.POSITIVE_INFINITY } = schema;
  if (typeof value === 'number')
    return value < minimum ? [`has to be at least ${minimum}; found ${value}`] : [];
  const text = String(value);
  const fits = text.length <= maxLength && new RegExp(pattern).test(text);
  return fits ? [] : [`has to match ${pattern}; found ${JSON.stringify(text)}`];
}

function tooMany({ maxProperties }: Schema, value: unknown): string[] {
  const count = isObject(value) ? Object.keys(value).length : 0;
  return maxProperties !== undefined && count > maxProperties
    ? [`may have ${maxProperties} members; found ${count}`]
    : [];
}

function repeated(schema: Schema, value: unknown): string[] {
  const type = schema['x-kubernetes-list-type'];
  if (!Array.isArray(value) || (type !== 'map' && type !== 'set')) return [];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const names = value.map((item) =>
    type === 'set' || !isObject(item) ? JSON.stringify(item) : keys.map((key) => item[key]).join('/'),
  );
  const twice = new Set(names.filter((name, index) => names.indexOf(name) !== index));
  return [...twice].map((name) => `${name} is there more than once`);
}

/** A rule about a change has no object to compare with here. */
function broken({ rule, message }: CelRule, self: unknown): string[] {
  if (rule.includes('oldSelf')) return [];
  return evaluate(rule, { self }) === true ? [] : [message];
}

/** What the chart's ValidatingAdmissionPolicies say to a new object. */
function admission(definition: KindDefinition, object: Readonly<Record<string, unknown>>): Finding[] {
  return admissionPolicies().flatMap(({ severity, spec }) => {
    const { resourceRules } = spec.matchConstraints as {
      readonly resourceRules: readonly {
        readonly resources: readonly string[];
        readonly operations: readonly string[];
      }[];
    };
    const applies = resourceRules.some(
      ({ resources, operations }) => resources.includes(definition.plural) && operations.includes('CREATE'),
    );
    const known = { object: { spec: {}, ...object }, oldObject: null };
    if (!applies || !spec.matchConditions.every(({ expression }) => evaluate(expression, known))) return [];
    const variables: Record<string, unknown> = {};
    for (const { name, expression } of spec.variables ?? []) {
      variables[name] = evaluate(expression, { ...known, variables });
    }
    const say = severity === 'Deny' ? problem : doubt;
    return spec.validations
      .filter(({ expression }) => evaluate(expression, { ...known, variables }) !== true)
      .map(({ message = '' }) => say(...placed(message)));
  });
}

/** The messages begin with the field that they are about. */
function placed(message: string): [path: Path, message: string] {
  const [field = '', rest] = message.split(/[: ](.*)/s);
  const path = field.split('.');
  return path[0] === 'spec' ? [path, (rest ?? '').trim()] : [['spec'], message];
}
