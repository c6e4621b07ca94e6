/** What a package says of the media that it was trained on, so that media unlike it can be told apart. */
import { z } from 'zod';
import { chiSquareShare, isPositiveDefinite, squaredDistance } from '../dsp/gaussian.ts';
import { inputStatistics } from '../dsp/input-statistics.ts';

const most = 512;
const numbers = z.array(z.number()).min(1).max(most);

/** A point of the table that says what share of known media is nearer than a distance. */
const quantile = z.strictObject({
  /** Mahalanobis distance, not squared. */
  distance: z.number().positive(),
  share: z.number().gt(0).max(1),
});

const quantiles = z
  .array(quantile)
  .min(1)
  .max(1000)
  .refine((list) => list.every((one, index) => isAbove(one, list[index - 1])), {
    message: 'distances and shares must grow from one to the next',
  });

/** A Gaussian over features of media, and from where on media is none that the model knows. */
export const oodSchema = z
  .strictObject({
    /** `graph`: the graph's output `features`, their mean over all items. `input`: statistics of the image, by name. */
    source: z.enum(['graph', 'input']),
    /** Names, in the order of `mean`. */
    features: z.array(z.string().min(1).max(63)).min(1).max(most),
    mean: numbers,
    /** The inverse of the covariance, or only its diagonal. */
    precision: z.union([
      z.strictObject({ diagonal: z.array(z.number().positive()).min(1).max(most) }),
      z.strictObject({ matrix: z.array(numbers).min(1).max(most) }),
    ]),
    /** What share of known media is nearer: as in the table, best measured on media held out of training; else as a Gaussian has it. */
    quantiles: quantiles.optional(),
    /** From 0 to 1: media with a higher share is out of distribution. */
    threshold: z.number().gt(0).lt(1),
    /** Whether such media gets no verdict; else a warning. */
    abstain: z.boolean(),
  })
  .superRefine(({ source, features, mean, precision }, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    const count = features.length;
    if (new Set(features).size !== count) refuse('features', 'there are two of the same name');
    if (mean.length !== count) refuse('mean', `has ${mean.length} numbers for ${count} features`);
    const unknown = features.filter((name) => !(inputStatistics as readonly string[]).includes(name));
    if (source === 'input' && unknown.length > 0)
      refuse('features', `${unknown.join(', ')}: of an input there are ${inputStatistics.join(', ')}`);
    if ('diagonal' in precision) {
      if (precision.diagonal.length !== count)
        refuse('precision', `has ${precision.diagonal.length} numbers for ${count} features`);
      return;
    }
    const { matrix } = precision;
    if (matrix.length !== count || matrix.some((row) => row.length !== count))
      refuse('precision', `is not a matrix of ${count} by ${count}`);
    else if (!isPositiveDefinite(matrix)) refuse('precision', 'is not symmetric and positive definite');
  });

export type OodModel = z.infer<typeof oodSchema>;

function isAbove(one: z.infer<typeof quantile>, before: z.infer<typeof quantile> | undefined): boolean {
  return before === undefined || (one.distance > before.distance && one.share > before.share);
}

export interface Typicality {
  /** Mahalanobis distance from the middle of what is known. */
  readonly distance: number;
  /** Share of known media that is nearer, 0..1. */
  readonly score: number;
  readonly isOutside: boolean;
}

/**
 * @param features in the order of the model's
 * @throws Error where there is another number of them or one is not finite
 */
export function typicalityOf(features: ArrayLike<number>, model: OodModel): Typicality {
  if (features.length !== model.mean.length)
    throw new Error(
      `the graph gives ${features.length} features, but model.yaml describes ${model.mean.length}; correct the manifest`,
    );
  const squared = squaredDistance(features, model);
  if (!Number.isFinite(squared)) throw new Error('a feature of the media is not finite');
  const distance = Math.sqrt(squared);
  const score =
    model.quantiles === undefined
      ? chiSquareShare(squared, model.mean.length)
      : shareBelow(distance, model.quantiles);
  return { distance, score, isOutside: score > model.threshold };
}

/** Straight lines between the points of the table and from 0 to the first; all is nearer than what is beyond the last. */
function shareBelow(distance: number, table: NonNullable<OodModel['quantiles']>): number {
  let before = { distance: 0, share: 0 };
  for (const point of table) {
    if (distance <= point.distance) {
      const part = (distance - before.distance) / (point.distance - before.distance);
      return before.share + part * (point.share - before.share);
    }
    before = point;
  }
  return 1;
}
