/**
 * An excerpt is an MP4 stream of those samples of a file that decoding the wanted pictures needs, made while ffmpeg reads it: see
 * docs/design/excerpts.md. Everything else in this folder is what it takes to make one; this file decides whether one is made.
 */
import { lengthTolerance } from '../decode-failure.ts';
import type { PictureTrack, ProbedMedia } from '../probe.ts';
import { jumps, type Stretch } from '../sampling.ts';
import { Unusual } from './boxes.ts';
import { neededSamples, wantedSamples } from './choice.ts';
import { declaredTracks } from './declared-tracks.ts';
import { excerptHeader } from './header.ts';
import { readMovieIndex, sampleBytes, withReader } from './movie-file.ts';
import { fileStartTicks, keyZeros, needsOf, zeroOf } from './needs.ts';
import { h264Configuration, hevcConfiguration } from './parameter-sets.ts';
import { sampleKinds } from './sample-kinds.ts';
import { type SampleTable, sampleTableOf } from './sample-table.ts';

/** Where a file keeps its pictures. */
export interface SampleIndex {
  readonly path: string;
  readonly ftyp: Buffer;
  readonly table: SampleTable;
  /** What ffprobe would say of the tracks, or why it has to be asked. */
  readonly declared: ProbedMedia | NoExcerpt;
}

export interface Excerpt {
  /** The MP4 stream; its only track holds the pictures. */
  readonly stream: () => AsyncIterable<Buffer>;
  /** Of each stretch, on the excerpt's clock, ticks: the beginning of the file, or for a stretch that is jumped to where that begins. */
  readonly origins: readonly number[];
  readonly samples: number;
  /** Of the whole track. */
  readonly samplesOfFile: number;
}

export interface ExcerptWish {
  readonly picture: PictureTrack;
  readonly durationSeconds: number;
  /** In order of time. */
  readonly stretches: readonly Stretch[];
  readonly keyframesOnly: boolean;
}

/** Why there is no excerpt, in words. */
export interface NoExcerpt {
  readonly reason: string;
}

/**
 * A file without an index that can be used is read as a whole, and that names what is wrong with it.
 * @throws what the system says where the file cannot be read
 */
export function sampleIndexOf(path: string): Promise<SampleIndex | NoExcerpt> {
  return reasonOf(async () => {
    const { ftyp, moov, fileBytes } = await readMovieIndex(path);
    const table = sampleTableOf(moov, fileBytes);
    return { path, ftyp, table, declared: await reasonOf(async () => declaredTracks(moov, table)) };
  });
}

/** @throws what the system says where the file cannot be read */
export function excerptOf(index: SampleIndex | NoExcerpt, wish: ExcerptWish): Promise<Excerpt | NoExcerpt> {
  return reasonOf(async () => ('reason' in index ? index : excerptFrom(index, wish)));
}

async function reasonOf<T>(work: () => Promise<T>): Promise<T | NoExcerpt> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Unusual) return { reason: error.message };
    throw error;
  }
}

/** Above this part of the samples that would be decoded without it, an excerpt gains hardly anything. */
const worthwhilePart = 0.85;

/** Every picture passes the filters of all stretches. */
const maxStretches = 64;

async function excerptFrom({ path, ftyp, table }: SampleIndex, wish: ExcerptWish): Promise<Excerpt> {
  const { picture, stretches } = wish;
  if (stretches.length > maxStretches) throw new Unusual('it is looked at in too many places');
  refuseDisagreement(table, wish);
  const zeros = stretches.map((stretch) => zeroOf(stretch, table, picture));
  const wanted = wantedOf(table, wish, zeros);
  const samples = await neededOf(path, table, wanted, wish.keyframesOnly);
  const { bytes, laterTicks } = excerptHeader(ftyp, table, samples);
  return {
    stream: async function* () {
      yield bytes;
      yield* sampleBytes(path, table, samples);
    },
    origins: wanted.zeros.map((zero) => zero - laterTicks),
    samples: samples.length,
    samplesOfFile: table.count,
  };
}

/** What ffprobe found has to be what the table says. */
function refuseDisagreement(table: SampleTable, { picture, durationSeconds }: ExcerptWish): void {
  const { ticksPerSecond, editTicks } = table;
  const lies = picture.rotation % 180 === 90;
  const [width, height] = lies ? [picture.height, picture.width] : [picture.width, picture.height];
  const [first, last] = [shownAtPlace(table, 0), shownAtPlace(table, table.count - 1)];
  const agrees =
    table.trackIndex === picture.index &&
    table.codec === picture.codec &&
    table.width === width &&
    table.height === height &&
    ticksPerSecond === picture.clock?.ticksPerSecond &&
    first + editTicks === picture.clock.startTicks &&
    picture.framesPerSecond > 0;
  if (!agrees) throw new Unusual('its index and its decoder disagree');
  const end = last + table.lastTicks;
  const lengths = [end - first, end + editTicks - fileStartTicks(table, picture, 0)];
  const tolerance = lengthTolerance(durationSeconds);
  if (lengths.some((ticks) => Math.abs(ticks / ticksPerSecond - durationSeconds) > tolerance))
    throw new Unusual('its samples do not last as long as it declares');
}

function shownAtPlace({ shownAt, displayOrder }: SampleTable, place: number): number {
  return shownAt[displayOrder[place] ?? 0] ?? 0;
}

interface Wanted {
  readonly samples: readonly number[];
  readonly zeros: readonly number[];
  /** More samples than these are not worth an excerpt. */
  readonly mostSamples: number;
}

function wantedOf(table: SampleTable, wish: ExcerptWish, zeros: readonly number[]): Wanted {
  const { stretches, keyframesOnly, picture } = wish;
  const { isSync, ticksPerSecond } = table;
  const takes = keyframesOnly ? (sample: number) => isSync[sample] === 1 : () => true;
  const order = table.displayOrder.filter(takes);
  const lastTaken = order.at(-1);
  const lastShown = lastTaken === undefined ? -Infinity : (table.shownAt[lastTaken] ?? 0);
  const clock = { ticksPerSecond, keyframesOnly };
  const needs = stretches.map((stretch, index) => needsOf(stretch, zeros[index] ?? 0, clock));
  // What ffmpeg repeats after the last picture depends on the rate of the pictures, which an excerpt does not keep.
  const repeats = keyframesOnly ? repeatedKeyframeSeconds : 0.5 / picture.framesPerSecond;
  if (needs.flat().some(({ to }) => to > lastShown + repeats * ticksPerSecond))
    throw new Unusual('a moment lies behind its last picture');
  const wanted = needs.map((ofStretch) => wantedSamples(table.shownAt, order, ofStretch));
  const samples = [...new Set(wanted.flat())].sort((one, other) => one - other);
  const withoutExcerpt = wanted.reduce(
    (sum, ofStretch, index) => sum + decodedWithout(isSync, stretches[index], ofStretch),
    0,
  );
  return {
    samples,
    zeros: keyframesOnly ? keyZeros(table, order, stretches, zeros) : zeros,
    // Jumping costs an opening of the file for each stretch, too.
    mostSamples: withoutExcerpt * (stretches.length > 1 ? 1 : worthwhilePart),
  };
}

/** Samples that are decoded to reach a stretch in the whole file and to read through it. */
function decodedWithout(isSync: Uint8Array, stretch: Stretch | undefined, wanted: readonly number[]): number {
  const [first = 0, last = 0] = [wanted[0], wanted.at(-1)];
  const from = stretch !== undefined && jumps(stretch) ? isSync.lastIndexOf(1, first) : 0;
  return last - from + 1;
}

/** Less than what a whole file's last key frame is repeated for. */
const repeatedKeyframeSeconds = 9;

async function neededOf(
  path: string,
  table: SampleTable,
  { samples, mostSamples }: Wanted,
  keyframesOnly: boolean,
): Promise<readonly number[]> {
  const read = table.codec === 'h264' ? h264Configuration : hevcConfiguration;
  const configuration = read(table.configuration);
  return withReader(path, async (readAt) => {
    const kindOf = sampleKinds(table, configuration, readAt);
    if (!keyframesOnly) return neededSamples(table.isSync, samples, kindOf, mostSamples);
    for (const sample of samples)
      if ((await kindOf(sample)) !== 'entry') throw new Unusual('not every key frame stands alone');
    return samples;
  });
}
