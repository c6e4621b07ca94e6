/** Windows of sound as features that are computed here: mel or linear spectrograms, or cepstra of them. */
import type { Classifier } from '../../engine/session.ts';
import type { AudioFeaturesParameters } from '../../models/pipeline-parameters.ts';
import type { Detector } from '../analysis.ts';
import { featuresItem } from '../sound/items.ts';
import { soundDetector } from '../sound/sound-detector.ts';

/** @param scoreOf calibrated P(fake) of a logit */
export function audioFeaturesDetector(
  parameters: AudioFeaturesParameters,
  classifier: Classifier,
  scoreOf: (logit: number) => number,
): Detector {
  const { sampleRate, features, layout } = parameters;
  const windowLength = Math.round(parameters.windowSeconds * sampleRate);
  const item = featuresItem({ sampleRate, ...features }, layout, windowLength);
  return soundDetector({ ...parameters, windowLength, item }, classifier, scoreOf);
}
