/** Windows of samples, as AASIST and RawNet2 take them; whatever is computed of them, the graph computes. */
import type { Classifier } from '../../engine/session.ts';
import type { AudioWaveformParameters } from '../../models/pipeline-parameters.ts';
import type { Detector } from '../analysis.ts';
import { samplesItem } from '../sound/items.ts';
import { soundDetector } from '../sound/sound-detector.ts';

/** @param scoreOf calibrated P(fake) of a logit */
export function audioWaveformDetector(
  parameters: AudioWaveformParameters,
  classifier: Classifier,
  scoreOf: (logit: number) => number,
): Detector {
  const { windowSamples, layout } = parameters;
  const item = samplesItem(layout === 'samples' ? [windowSamples] : [1, windowSamples]);
  return soundDetector({ ...parameters, windowLength: windowSamples, item }, classifier, scoreOf);
}
