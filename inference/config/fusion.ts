/** FUSION: ensembles of the served models, each with a name under which clients ask for it as for a model. */
import { z } from 'zod';
import { canonicalName, isSameName } from '../models/names.ts';
import { type Ensemble, maxMembers } from '../pipelines/fusion/ensemble.ts';
import type { Problem } from './fields.ts';

const servingName = z
  .string()
  .max(63)
  .regex(/^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$/, 'is not a serving name');
const ensembleName = servingName.refine((name) => !['all', 'auto'].includes(name.toLowerCase()), {
  error: 'stands for every model in requests',
});
const probability = z.number().gt(0).lt(1);
const byModel = <Value extends z.ZodType>(value: Value) => z.record(servingName, value);

const common = {
  name: ensembleName,
  models: z
    .array(servingName)
    .min(2)
    .max(maxMembers)
    .refine(
      (names) => names.every((name, at) => !names.slice(at + 1).some((other) => isSameName(name, other))),
      {
        error: 'names a model twice',
      },
    ),
  thresholds: z
    .strictObject({ low: probability, high: probability })
    .refine(({ low, high }) => low < high, { error: 'low must be below high' }),
  /** Models that have to answer; with fewer the verdict is INCONCLUSIVE. */
  minModels: z.int().min(1).default(1),
  /** What an AUTHENTIC beside a DEEPFAKE does. */
  onDisagreement: z.enum(['abstain', 'warn']).default('warn'),
};

/** More would only hide a mistake, and much more is no number any longer where two of them meet. */
const largestWeight = 1000;
const summand = z.number().min(-largestWeight).max(largestWeight);

const ensemble = z
  .discriminatedUnion('method', [
    z.strictObject({ ...common, method: z.literal('max') }),
    z.strictObject({ ...common, method: z.literal('mean') }),
    z.strictObject({
      ...common,
      method: z.literal('weighted'),
      weights: byModel(z.number().positive().max(largestWeight)),
    }),
    z.strictObject({
      ...common,
      method: z.literal('logistic'),
      weights: byModel(summand),
      intercept: summand,
      missing: byModel(summand).default({}),
    }),
  ])
  .superRefine((value, context) => {
    for (const message of contradictionsOf(value)) context.addIssue({ code: 'custom', message });
  })
  .transform(ensembleOf);

/** JSON of a list, or the list itself in YAML. */
export const fusion = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({ code: 'custom', message: 'is not JSON' });
      return z.NEVER;
    }
  })
  .pipe(z.array(ensemble).max(32));

type Written = Parameters<typeof ensembleOf>[0];

function contradictionsOf(value: Written): string[] {
  const { models, minModels } = value;
  const tables = {
    weights: 'weights' in value ? value.weights : {},
    missing: 'missing' in value ? value.missing : {},
  };
  const strangers = Object.entries(tables).flatMap(([table, entries]) =>
    Object.keys(entries)
      .filter((name) => !models.includes(canonicalName(name, models)))
      .map((name) => `${table} names ${name}, which is none of its models (${models.join(', ')})`),
  );
  const weighed = Object.keys(tables.weights).map((name) => canonicalName(name, models));
  const unweighed = 'weights' in value ? models.filter((name) => !weighed.includes(name)) : [];
  return [
    ...strangers,
    ...unweighed.map((name) => `weights has nothing for ${name}`),
    ...(minModels > models.length
      ? [`minModels is ${minModels}, but there are ${models.length} models`]
      : []),
  ];
}

function ensembleOf(
  value: Readonly<{ [Key in keyof typeof common]: z.output<(typeof common)[Key]> }> &
    (
      | { readonly method: 'max' | 'mean' }
      | { readonly method: 'weighted'; readonly weights: Record<string, number> }
      | {
          readonly method: 'logistic';
          readonly weights: Record<string, number>;
          readonly intercept: number;
          readonly missing: Record<string, number>;
        }
    ),
): Ensemble {
  const { name, models, thresholds, minModels, onDisagreement } = value;
  const table = (entries: Record<string, number>) =>
    new Map(Object.entries(entries).map(([model, number]) => [canonicalName(model, models), number]));
  const rest = { name, models, thresholds, minModels, onDisagreement };
  switch (value.method) {
    case 'max':
    case 'mean':
      return { ...rest, combination: { method: value.method } };
    case 'weighted':
      return { ...rest, combination: { method: 'weighted', weights: table(value.weights) } };
    case 'logistic': {
      const { intercept } = value;
      const [weights, missing] = [table(value.weights), table(value.missing)];
      return { ...rest, combination: { method: 'logistic', intercept, weights, missing } };
    }
  }
}

/**
 * Names that mean two things, and members that are not served.
 * @param active the serving names, where they are known
 */
export function fusionContradictions(
  ensembles: readonly Ensemble[],
  active: readonly string[] | undefined,
): Problem[] {
  const problem = (message: string): Problem => ({ variable: 'FUSION', message });
  const names = ensembles.map(({ name }) => name);
  const models = new Set([...(active ?? []), ...ensembles.flatMap((one) => one.models)]);
  return [
    ...names.flatMap((name, at) =>
      names.slice(at + 1).some((other) => isSameName(name, other))
        ? [problem(`two ensembles are called "${name}"`)]
        : [],
    ),
    ...names.flatMap((name) => {
      const model = [...models].find((one) => isSameName(one, name));
      return model === undefined
        ? []
        : [problem(`the ensemble "${name}" is called as the model "${model}" is; give it another name`)];
    }),
    ...(active === undefined ? [] : ensembles).flatMap(({ name, models: members }) =>
      members
        .filter((model) => !active?.includes(canonicalName(model, active)))
        .map((model) =>
          problem(`the ensemble "${name}" has "${model}", which is no active model (${active?.join(', ')})`),
        ),
    ),
  ];
}
