/** What families of sound have in common in `pipeline`. */
import { z } from 'zod';

/** Only speech is scored, joined together; without this, everything is. */
export const voiceActivity = z.strictObject({
  /** A file with less speech is not judged. */
  minSpeechSeconds: z.number().min(0.1).max(60),
});

const level = z.discriminatedUnion('type', [
  /** As decoded. */
  z.strictObject({ type: z.literal('none') }),
  /** The largest amplitude of what is scored. */
  z.strictObject({ type: z.literal('peak'), amplitude: z.number().positive().max(1) }),
  /** Root mean square of what is scored, dB of full scale; less where a sample would leave [-1, 1]. */
  z.strictObject({ type: z.literal('rms'), dbfs: z.number().min(-60).max(0) }),
]);

/** How a file becomes windows. In this order: silence, level, pre-emphasis, windows. */
export const soundPreparation = {
  /** Hz. */
  sampleRate: z.int().min(8000).max(48000),
  /** Leaves out what is 50 dB quieter than the peak at both ends. */
  trimSilence: z.boolean(),
  level,
  /** `y[n] = x[n] - coefficient * x[n - 1]`; 0 changes nothing. */
  preEmphasis: z.number().min(0).max(1),
  hopSeconds: z.number().min(0.1).max(30),
  /** What fills the one window of sound that is shorter. */
  shortSound: z.enum(['repeat', 'zero-pad']),
  /** Less sound than this is not judged. */
  minSeconds: z.number().min(0.1),
  /** Only this much of a file is analysed, from its beginning. */
  maxSeconds: z.number().min(1).max(3600),
  voiceActivity: voiceActivity.optional(),
  aggregation: z.enum(['mean-logit', 'mean-score', 'max', 'mean-and-max']),
};

interface Lengths {
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly voiceActivity?: z.infer<typeof voiceActivity> | undefined;
}

/** Whether a file of `maxSeconds` could be judged. */
export function canBeJudged({ minSeconds, maxSeconds, voiceActivity: voice }: Lengths): boolean {
  return Math.max(minSeconds, voice?.minSpeechSeconds ?? 0) < maxSeconds;
}

export const cannotBeJudged = 'minSeconds and minSpeechSeconds must be below maxSeconds';
