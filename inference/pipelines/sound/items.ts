/** Items of graphs that are windows of sound. */
import { binsOf, type FeatureOptions, featureExtractor } from '../../dsp/features.ts';
import { transposed } from '../../dsp/plane.ts';
import { frameCount } from '../../dsp/stft.ts';
import type { AudioFeaturesParameters } from '../../models/pipeline-parameters.ts';
import type { WindowItem } from './sound-detector.ts';

/** The samples of a window as they are. */
export function samplesItem(shape: readonly number[]): WindowItem {
  return { shape, write: (window, target) => target.set(window) };
}

/** The features of a window, in the layout of the package. */
export function featuresItem(
  options: FeatureOptions,
  layout: AudioFeaturesParameters['layout'],
  windowLength: number,
): WindowItem {
  const extract = featureExtractor(options);
  const bins = binsOf(options.kind);
  const frames = frameCount(options.stft, windowLength);
  switch (layout) {
    case 'frames-bins':
      return {
        shape: [frames, bins],
        write: (window, target) => target.set(extract(window).values),
      };
    case 'bins-frames':
    case 'channel-bins-frames':
      return {
        shape: layout === 'bins-frames' ? [bins, frames] : [1, bins, frames],
        write: (window, target) => target.set(transposed(extract(window))),
      };
  }
}
