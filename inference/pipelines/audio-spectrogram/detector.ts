/** Windows of the sound without its leading and trailing silence; the graph computes spectrograms itself; the mean logit decides. */
import type { Classifier } from '../../engine/session.ts';
import type { AudioSpectrogramParameters } from '../../models/pipeline-parameters.ts';
import type { Detector } from '../analysis.ts';
import { samplesItem } from '../sound/items.ts';
import { soundDetector } from '../sound/sound-detector.ts';

const targetPeak = 0.95;

/** @param scoreOf calibrated P(fake) of a logit */
export function audioSpectrogramDetector(
  parameters: AudioSpectrogramParameters,
  classifier: Classifier,
  scoreOf: (logit: number) => number,
): Detector {
  const windowLength = Math.round(parameters.windowSeconds * parameters.sampleRate);
  const plan = {
    ...parameters,
    trimSilence: true,
    level: { type: 'peak', amplitude: targetPeak },
    preEmphasis: 0,
    windowLength,
    shortSound: 'repeat',
    item: samplesItem([windowLength]),
  } as const;
  return soundDetector(plan, classifier, scoreOf);
}
