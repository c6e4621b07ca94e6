/** Whether a file is like what its model was trained on, by what the package says of that. */

import { type InputStatistic, inputStatisticsOf } from '../../dsp/input-statistics.ts';
import { type LumaPatches, lumaPatches } from '../../dsp/luma-patches.ts';
import type { Raster } from '../../dsp/tiles.ts';
import { decodeImage, readImageHeader } from '../../media/image.ts';
import { type OodModel, type Typicality, typicalityOf } from '../../models/ood.ts';
import type { DetectorContext, DetectorInput, Explanation, Observer } from '../analysis.ts';
import { percent } from '../explanations.ts';
import { imageRequestOf } from '../images.ts';
import type { Check } from './check.ts';

/** Keeps what a check of one file needs of what the detector sees on its way. */
export class FeatureCollector implements Observer {
  readonly #source: OodModel['source'];
  readonly #next: Observer | undefined;
  #patches: LumaPatches | undefined;
  #sums: Float64Array | undefined;
  #items = 0;

  /** @param next is told the same */
  constructor(source: OodModel['source'], next?: Observer) {
    this.#source = source;
    this.#next = next;
  }

  pixels(raster: Raster): void {
    this.#next?.pixels(raster);
    if (this.#source === 'input') this.#patches = lumaPatches(raster);
  }

  features(features: Float32Array): void {
    this.#next?.features(features);
    if (this.#source !== 'graph') return;
    this.#sums ??= new Float64Array(features.length);
    for (const [index, value] of features.entries()) this.#sums[index] = (this.#sums[index] ?? 0) + value;
    this.#items += 1;
  }

  /** What the detector showed of the image; undefined where it sees no image at its native resolution. */
  get patches(): LumaPatches | undefined {
    return this.#patches;
  }

  /** The mean over all items; empty where there were none. */
  get meanFeatures(): Float64Array {
    return (this.#sums ?? new Float64Array()).map((sum) => sum / this.#items);
  }
}

/** @throws ServiceError corrupt_media; Error where the features do not fit the package */
export async function distributionCheck(
  model: OodModel,
  collector: FeatureCollector,
  input: DetectorInput,
  context: Pick<DetectorContext, 'pixelBudget' | 'signal'>,
): Promise<Check> {
  const features =
    model.source === 'graph'
      ? collector.meanFeatures
      : named(model.features, inputStatisticsOf(collector.patches ?? (await patchesOf(input, context))));
  return checkOf(typicalityOf(features, model), model);
}

/** Of an image that the detector did not show: it is decoded once more. @throws ServiceError corrupt_media */
export async function patchesOf(
  input: DetectorInput,
  { pixelBudget, signal }: Pick<DetectorContext, 'pixelBudget' | 'signal'>,
  decode: typeof decodeImage = decodeImage,
): Promise<LumaPatches> {
  const request = imageRequestOf(input, pixelBudget);
  const { width, height } = await readImageHeader(request);
  return pixelBudget.within(width * height, async () => {
    signal.throwIfAborted();
    return lumaPatches(await decode(request));
  });
}

function named(
  names: readonly string[],
  statistics: Readonly<Record<InputStatistic, number>>,
): readonly number[] {
  return names.map((name) => (statistics as Readonly<Record<string, number>>)[name] ?? NaN);
}

function checkOf(typicality: Typicality, { abstain, threshold }: OodModel): Check {
  const { score, distance, isOutside } = typicality;
  return {
    reason: 'out_of_distribution',
    hasFailed: isOutside,
    abstains: abstain,
    signals: { ood_score: score, ood_distance: distance, ood_threshold: threshold },
    explanation: explanationOf(typicality),
  };
}

/** Beside a verdict, whatever it is. */
export function explanationOf({ score, isOutside }: Pick<Typicality, 'score' | 'isOutside'>): Explanation {
  const value = Math.round(score * 1e4) / 1e4;
  const share = percent(score);
  return isOutside
    ? {
        code: 'out_of_distribution',
        text: `The media is unlike what the model was trained on: ${share} of that is more typical. The score may mean little.`,
        value,
      }
    : {
        code: 'in_distribution',
        text: `The media is like what the model was trained on: ${share} of that is more typical.`,
        value,
      };
}
