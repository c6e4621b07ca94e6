/**
 * The pitch of a voice by the method of de Cheveigné and Kawahara, "YIN, a fundamental frequency estimator for speech and music" (2002),
 * with a path through the candidates of all frames that prefers small steps, as in Mauch and Dixon's pYIN (2014). Pure.
 */
import { RealFourier } from './fourier.ts';

export interface PitchRange {
  readonly minHz: number;
  readonly maxHz: number;
}

interface Candidate {
  readonly hz: number;
  /** What speaks against it: how much the frame differs from itself one period later (0 is perfectly periodic), and a longer period. */
  readonly cost: number;
}

/** A frame is voiced where a candidate differs less. */
const voicedBelow = 0.4;
/** More of them are multiples of the right period. */
const candidatesPerFrame = 6;
/** What a step of one octave costs, in units of aperiodicity. */
const octaveCost = 0.4;
/** What a candidate costs for each octave below the frame's highest: a signal of period T has the periods 2T and 3T as well. */
const longPeriodCost = 0.05;
/** Frames below this part of the loudest frame's level, -40 dB, have no pitch. */
const quietest = 10 ** (-40 / 20);

/**
 * One value per hop, in Hz: NaN where nothing is voiced. A frame's value is that of the stretch behind its beginning of about four times the
 * longest period.
 */
export function pitchTrack(
  samples: Float32Array,
  {
    sampleRate,
    hop,
    range,
  }: { readonly sampleRate: number; readonly hop: number; readonly range: PitchRange },
): Float64Array {
  const longest = Math.ceil(sampleRate / range.minHz) + 1;
  const shortest = Math.max(2, Math.floor(sampleRate / range.maxHz));
  const size = 2 ** Math.ceil(Math.log2(4 * longest));
  const difference = new NormalisedDifference(size, longest);
  const frames = Math.max(0, Math.floor((samples.length - size) / hop) + 1);
  const levels = Float64Array.from({ length: frames }, (_, frame) =>
    levelOf(samples.subarray(frame * hop, frame * hop + size)),
  );
  const floor = levels.reduce((most, level) => Math.max(most, level), 0) * quietest;
  const candidates = Array.from({ length: frames }, (_, frame): Candidate[] => {
    if (!((levels[frame] ?? 0) > floor)) return [];
    const values = difference.of(samples.subarray(frame * hop, frame * hop + size));
    return candidatesOf(values, shortest, sampleRate, range);
  });
  return bestPath(candidates);
}

/** d'(lag) of YIN: how much a frame differs from itself `lag` samples later, relative to the mean over shorter lags. */
class NormalisedDifference {
  readonly #fourier: RealFourier;
  readonly #integrated: number;
  readonly #frame: Float64Array;
  readonly #head: Float64Array;
  readonly #products: Float64Array;
  readonly #values: Float64Array;

  constructor(size: number, longest: number) {
    this.#fourier = new RealFourier(size);
    this.#integrated = size - longest;
    this.#frame = new Float64Array(size);
    this.#head = new Float64Array(size);
    this.#products = new Float64Array(size);
    this.#values = new Float64Array(longest);
  }

  /** @returns one value per lag; overwritten by the next call */
  of(samples: Float32Array): Float64Array {
    const frame = this.#frame;
    const values = this.#values;
    const products = this.#products;
    const integrated = this.#integrated;
    frame.set(samples);
    this.#head.set(frame.subarray(0, integrated));
    this.#fourier.correlate(this.#head, frame, products);
    let energy = 0;
    for (let index = 0; index < integrated; index += 1) energy += (frame[index] ?? 0) ** 2;
    const first = energy;
    let sum = 0;
    values[0] = 1;
    for (let lag = 1; lag < values.length; lag += 1) {
      energy += (frame[lag + integrated - 1] ?? 0) ** 2 - (frame[lag - 1] ?? 0) ** 2;
      const difference = Math.max(0, first + energy - (2 * (products[lag] ?? 0)) / frame.length);
      sum += difference;
      values[lag] = sum > 0 ? (difference * lag) / sum : 1;
    }
    return values;
  }
}

/** The local minima that are periodic enough, the cheapest `candidatesPerFrame` of them. */
function candidatesOf(
  values: Float64Array,
  shortest: number,
  sampleRate: number,
  range: PitchRange,
): Candidate[] {
  const found: Candidate[] = [];
  let highest = 0;
  for (let lag = shortest; lag < values.length - 1; lag += 1) {
    const [before = 1, here = 1, after = 1] = [values[lag - 1], values[lag], values[lag + 1]];
    if (here >= voicedBelow || here > before || here >= after) continue;
    const bend = before - 2 * here + after;
    const shift = bend > 0 ? (before - after) / (2 * bend) : 0;
    const hz = sampleRate / (lag + shift);
    if (hz < range.minHz || hz > range.maxHz) continue;
    highest = Math.max(highest, hz);
    const aperiodicity = Math.max(0, here - ((before - after) * shift) / 4);
    found.push({ hz, cost: aperiodicity + longPeriodCost * Math.log2(highest / hz) });
  }
  return found.sort((a, b) => a.cost - b.cost).slice(0, candidatesPerFrame);
}

/** In each voiced stretch, the path of least cost (Viterbi). */
function bestPath(candidates: readonly (readonly Candidate[])[]): Float64Array {
  const track = new Float64Array(candidates.length).fill(NaN);
  let frame = 0;
  while (frame < candidates.length) {
    let end = frame;
    while ((candidates[end]?.length ?? 0) > 0) end += 1;
    if (end > frame) track.set(pathThrough(candidates.slice(frame, end)), frame);
    frame = Math.max(end, frame + 1);
  }
  return track;
}

interface Step {
  readonly hz: number;
  /** Of the whole path up to here. */
  readonly cost: number;
  readonly previous: Step | undefined;
}

function pathThrough(stretch: readonly (readonly Candidate[])[]): number[] {
  let steps: Step[] = [];
  for (const candidates of stretch) {
    const before: readonly Step[] = steps;
    steps = candidates.map(({ hz, cost }): Step => {
      const reached = (step: Step) => step.cost + octaveCost * Math.abs(Math.log2(hz / step.hz));
      const previous = cheapest(before, reached);
      return { hz, previous, cost: cost + (previous === undefined ? 0 : reached(previous)) };
    });
  }
  const path: number[] = [];
  for (let step = cheapest(steps, ({ cost }) => cost); step !== undefined; step = step.previous)
    path.push(step.hz);
  return path.reverse();
}

function cheapest(steps: readonly Step[], costOf: (step: Step) => number): Step | undefined {
  return steps.reduce<Step | undefined>(
    (best, step) => (best === undefined || costOf(step) < costOf(best) ? step : best),
    undefined,
  );
}

function levelOf(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / samples.length);
}
