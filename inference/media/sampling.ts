/** Which moments of a video are looked at. Pure functions of its length. */

/** Moments at equal distances. */
export interface Stretch {
  /** Of the first moment, from the beginning of the video. */
  readonly startSeconds: number;
  readonly stepSeconds: number;
  readonly count: number;
}

export type Sampling =
  /** The middles of `frames` equal parts of the video. */
  | { readonly mode: 'uniform'; readonly frames: number }
  /** From the beginning, `rate` frames per second, at most `maxFrames`. */
  | { readonly mode: 'fps'; readonly rate: number; readonly maxFrames: number }
  /** `count` windows of `seconds`, spread evenly between `startSeconds` and the end, of `framesPerWindow` frames each. */
  | {
      readonly mode: 'windows';
      readonly startSeconds: number;
      readonly seconds: number;
      readonly count: number;
      readonly framesPerWindow: number;
    };

/** Moments further apart are jumped to; closer ones are met by reading on. Key frames of common encoders are 2 to 10 s apart. */
const jumpBeyondSeconds = 5;

/**
 * @param frameCount frames of the whole video where it is known: no more moments than frames are taken
 * @returns stretches in order of time, none for a video of no length
 */
export function stretchesOf(sampling: Sampling, seconds: number, frameCount = Infinity): Stretch[] {
  if (!(seconds > 0)) return [];
  switch (sampling.mode) {
    case 'uniform': {
      const count = Math.max(1, Math.min(sampling.frames, frameCount));
      const step = seconds / count;
      return evenly(step / 2, step, count);
    }
    case 'fps': {
      const step = 1 / sampling.rate;
      return evenly(0, step, Math.max(1, Math.min(sampling.maxFrames, Math.ceil(seconds / step - 1e-6))));
    }
    case 'windows':
      return windowsOfVideo(sampling, seconds);
  }
}

function evenly(startSeconds: number, stepSeconds: number, count: number): Stretch[] {
  if (stepSeconds <= jumpBeyondSeconds) return [{ startSeconds, stepSeconds, count }];
  return Array.from({ length: count }, (_, index) => ({
    startSeconds: startSeconds + index * stepSeconds,
    stepSeconds,
    count: 1,
  }));
}

/** A video that is shorter than all windows together has fewer, and at least one, which reaches no further than its end. */
function windowsOfVideo(sampling: Extract<Sampling, { mode: 'windows' }>, seconds: number): Stretch[] {
  const first = Math.min(sampling.startSeconds, Math.max(0, seconds - sampling.seconds));
  const room = seconds - first;
  const length = Math.min(sampling.seconds, room);
  const count = Math.max(1, Math.min(sampling.count, Math.floor(room / length)));
  const distance = count === 1 ? 0 : (room - length) / (count - 1);
  return Array.from({ length: count }, (_, index) => ({
    startSeconds: first + index * distance,
    stepSeconds: length / sampling.framesPerWindow,
    count: sampling.framesPerWindow,
  }));
}

/** A jump costs decoding from the key frame before; so close to the beginning that is the same as no jump. */
export function jumps({ startSeconds }: Stretch): boolean {
  return startSeconds > 5;
}

/** Every moment, in seconds. */
export function momentsOf(stretches: readonly Stretch[]): number[] {
  return stretches.flatMap(({ startSeconds, stepSeconds, count }) =>
    Array.from({ length: count }, (_, index) => startSeconds + index * stepSeconds),
  );
}
