/** What is known of an ensemble before any file comes. Pure. */
import { createHash } from 'node:crypto';
import type { Thresholds } from '../../models/manifest.ts';
import { canonicalName } from '../../models/names.ts';
import type { NamedPackage } from '../../models/package.ts';

/** How the calibrated logits of the models become one. Weights are by serving name and there for every model. */
export type Combination =
  | { readonly method: 'max' | 'mean' }
  /** Mean of the models that answer, by positive weights. */
  | { readonly method: 'weighted'; readonly weights: ReadonlyMap<string, number> }
  /** `intercept + sum(weight * logit)`; a model without an answer adds what `missing` has for it, or nothing. */
  | {
      readonly method: 'logistic';
      readonly intercept: number;
      readonly weights: ReadonlyMap<string, number>;
      readonly missing: ReadonlyMap<string, number>;
    };

/** Models that judge a file together, at most, in an ensemble or where a request asks for all. */
export const maxMembers = 16;

/** Models that judge together. */
export interface Group {
  /** Undefined for models that a request puts together. */
  readonly name?: string;
  /** Serving names. */
  readonly models: readonly string[];
  readonly combination: Combination;
  readonly thresholds: Thresholds;
  /** With fewer answers there is no verdict. */
  readonly minModels: number;
  /** What AUTHENTIC beside DEEPFAKE does: no verdict, or a warning beside it. */
  readonly onDisagreement: 'abstain' | 'warn';
}

/** A group of the configuration. */
export interface Ensemble extends Group {
  /** Clients ask for it by this name. */
  readonly name: string;
}

/**
 * Models that a request puts together, without weights that anybody has fitted: their mean. It decides nothing that its strictest member
 * would not decide at the same score.
 */
export function adHocGroup(models: readonly NamedPackage[]): Group {
  const thresholds = models.map(({ manifest }) => manifest.thresholds);
  return {
    models: models.map(({ name }) => name),
    combination: { method: 'mean' },
    thresholds: {
      low: Math.min(...thresholds.map(({ low }) => low)),
      high: Math.max(...thresholds.map(({ high }) => high)),
    },
    minModels: 1,
    onDisagreement: 'warn',
  };
}

/** The same with the names that the served models have, where configuration spells them differently. */
export function withServingNames(ensemble: Ensemble, served: readonly string[]): Ensemble {
  const renamed = (name: string) => canonicalName(name, served);
  const table = (entries: ReadonlyMap<string, number>) =>
    new Map([...entries].map(([name, number]) => [renamed(name), number]));
  const { combination } = ensemble;
  return {
    ...ensemble,
    models: ensemble.models.map(renamed),
    combination:
      combination.method === 'logistic'
        ? { ...combination, weights: table(combination.weights), missing: table(combination.missing) }
        : combination.method === 'weighted'
          ? { ...combination, weights: table(combination.weights) }
          : combination,
  };
}

/** How clients and metrics call it. */
export function groupName({ name }: Pick<Group, 'name'>): string {
  return name ?? 'ad-hoc';
}

/** Of everything that the fused verdict depends on beside the file: `sha256:<hex>`. */
export function groupDigest(group: Group, members: readonly NamedPackage[]): string {
  const tables = Object.entries(group.combination).map(([key, value]) => [
    key,
    value instanceof Map ? [...value].sort() : value,
  ]);
  const { models, thresholds, minModels, onDisagreement } = group;
  const packages = members.map(({ name, digest, precision }) => [name, digest, precision]).sort();
  const { low, high } = thresholds;
  const parts = [[...models].sort(), tables, low, high, minModels, onDisagreement, packages];
  return `sha256:${createHash('sha256').update(JSON.stringify(parts)).digest('hex')}`;
}
