/** Building blocks of the two kinds. Everything is bounded, so that the API server accepts the cost of the CEL rules. */
import { z } from 'zod';

/** A rule of `x-kubernetes-validations`. `oldSelf` makes it a transition rule. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired';
}

interface Extras {
  readonly rules?: readonly CelRule[];
  readonly [keyword: string]: unknown;
}

/** Attaches what a person reads in `kubectl explain`, CEL rules and further schema keywords. */
export function doc<T extends z.ZodType>(schema: T, description: string, extras: Extras = {}): T {
  const { rules, ...keywords } = extras;
  return schema.meta({
    description,
    ...keywords,
    ...(rules === undefined ? {} : { 'x-kubernetes-validations': rules }),
  }) as T;
}

/** A list that server-side apply merges by the given key, and in which the key is unique. */
export function mapList<T extends z.ZodType>(item: T, key: string, max: number, description: string) {
  return doc(z.array(item).max(max), description, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [key],
  });
}

export const dnsLabel = () =>
  z
    .string()
    .min(1)
    .max(63)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
export const objectName = () =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
export const digest = () =>
  z
    .string()
    .max(71)
    .regex(/^sha256:[a-f0-9]{64}$/);
export const timestamp = (description: string) => doc(z.string(), description, { format: 'date-time' });

export const observedGeneration = () =>
  doc(z.int().min(0), 'metadata.generation of the spec that this status speaks of.');

/** Ends up as `x-kubernetes-int-or-string`; the pattern constrains strings only. */
function intOrString(pattern: RegExp, description: string) {
  return doc(z.union([z.int(), z.string()]), description, {
    'x-kubernetes-int-or-string': true,
    minimum: 0,
    pattern: pattern.source,
    maxLength: 32,
  });
}

export const quantity = (description: string) =>
  intOrString(/^([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i)?$/, description);

export const countOrPercent = (description: string) => intOrString(/^(100|[0-9]{1,2})%$/, description);

export const stringMap = (maxProperties: number, description: string, rules?: readonly CelRule[]) =>
  doc(z.record(z.string().max(317), doc(z.string().max(4096), 'The value.')), description, {
    maxProperties,
    ...(rules ? { rules } : {}),
  });

export const quantityMap = (description: string) =>
  doc(z.record(z.string(), quantity('A Kubernetes quantity.')), description, { maxProperties: 16 });

/** Part of another Kubernetes API, handed on unread: the API server validates it where it lands. */
export const passthrough = (description: string) =>
  doc(z.looseObject({}), description, { 'x-kubernetes-preserve-unknown-fields': true });

export const secretKey = (description: string, defaultKey: string) =>
  doc(
    z.object({
      name: doc(objectName(), 'Name of a Secret in the same namespace.'),
      key: doc(
        z
          .string()
          .min(1)
          .max(253)
          .regex(/^[-._a-zA-Z0-9]+$/),
        'Key in the Secret.',
      ).default(defaultKey),
    }),
    description,
  );

export const condition = doc(
  z.object({
    type: doc(z.string().min(1).max(316), 'What it is about.'),
    status: doc(z.enum(['True', 'False', 'Unknown']), 'Whether it is so.'),
    observedGeneration: observedGeneration().optional(),
    lastTransitionTime: timestamp('When status last changed.'),
    reason: doc(z.string().min(1).max(1024), 'Why, as one word that programs may compare.'),
    message: doc(z.string().max(32768), 'Why, for a person, and what to do.'),
  }),
  'A metav1.Condition.',
);
export type Condition = z.output<typeof condition>;

export const conditions = () => mapList(condition, 'type', 16, 'What is so, since when, and why.').optional();
