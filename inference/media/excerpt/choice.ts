/** Which samples decoding the wanted pictures needs. Pure functions of the table and of what the samples are. */
import { Unusual } from './boxes.ts';
import type { SampleKind } from './sample-kinds.ts';

/** Pictures around a moment. All ticks are of the track's own clock. */
export interface Need {
  /** Every picture that begins to be shown from here ... */
  readonly from: number;
  /** ... to here. */
  readonly to: number;
  /** And the last one before; the first one of all where there is none. */
  readonly before: boolean;
  /** And the first one after, if there is one. */
  readonly after: boolean;
}

/**
 * @param shownAt ticks, by sample
 * @param order the samples that count at all, in order of display
 * @returns indices of samples, in order of decoding
 */
export function wantedSamples(shownAt: Float64Array, order: Uint32Array, needs: readonly Need[]): number[] {
  const shown = (place: number) => shownAt[order[place] ?? 0] ?? 0;
  const wanted = new Set<number>();
  const want = (place: number) => {
    const sample = order[place];
    if (sample !== undefined) wanted.add(sample);
  };
  for (const { from, to, before, after } of needs) {
    let place = firstWhere(order.length, (candidate) => shown(candidate) >= from);
    if (before) want(Math.max(0, place - 1));
    for (; place < order.length && shown(place) <= to; place += 1) want(place);
    if (after) want(place);
  }
  return [...wanted].sort((one, other) => one - other);
}

/** The first number below `end` for which an ordered question says yes, or `end`. */
function firstWhere(end: number, isThere: (candidate: number) => boolean): number {
  let [low, high] = [0, end];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isThere(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * From the entry before each wanted sample on everything that another picture may need, and the wanted ones.
 * @param wanted in order of decoding
 * @returns indices of samples, in order of decoding
 * @throws Unusual where decoding cannot begin before a wanted sample, or takes more than `most` samples
 */
export async function neededSamples(
  isSync: Uint8Array,
  wanted: readonly number[],
  kindOf: (sample: number) => Promise<SampleKind>,
  most = Infinity,
): Promise<number[]> {
  const kept: number[] = [];
  for (const sample of wanted) {
    const last = kept.at(-1) ?? -1;
    const entry = await entryBefore(isSync, sample, last, kindOf);
    for (let next = Math.max(entry, last + 1); next < sample && kept.length < most; next += 1)
      if ((await kindOf(next)) !== 'disposable') kept.push(next);
    kept.push(sample);
    if (kept.length > most) throw new Unusual('nearly all of its samples are needed');
  }
  return kept;
}

/** The last entry up to a sample, or `kept` if what has been kept reaches further. */
async function entryBefore(
  isSync: Uint8Array,
  sample: number,
  kept: number,
  kindOf: (sample: number) => Promise<SampleKind>,
): Promise<number> {
  for (let entry = sample; entry > kept; entry -= 1) {
    if (isSync[entry] === 1 && (await kindOf(entry)) === 'entry') return entry;
  }
  if (kept >= 0) return kept;
  throw new Unusual('decoding cannot begin before a picture that is wanted');
}
