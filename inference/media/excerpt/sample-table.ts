/**
 * The index of an MP4 or QuickTime file: where each picture lies, when it is decoded and when it is shown. Pure functions of the `moov` box;
 * nothing is made larger than the file's size allows. What this does not know for certain is `Unusual`, and the file is read as a whole.
 */
import { type Box, Children, entryCount, Unusual } from './boxes.ts';

export interface SampleTable {
  /** Among the tracks of the file. */
  readonly trackIndex: number;
  readonly codec: 'h264' | 'hevc';
  /** As stored, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly ticksPerSecond: number;
  /** Samples in order of decoding. */
  readonly count: number;
  /** In the file, bytes. */
  readonly offsets: Float64Array;
  readonly sizes: Uint32Array;
  /** Ticks. */
  readonly decodedAt: Float64Array;
  /** Ticks, on the track's own clock. */
  readonly shownAt: Float64Array;
  /** 1 for samples that decoding can begin with. */
  readonly isSync: Uint8Array;
  /** Indices of the samples in order of display. */
  readonly displayOrder: Uint32Array;
  /** How long the last sample lasts, ticks. */
  readonly lastTicks: number;
  /** To be added to `shownAt` for the clock of the file, ticks. */
  readonly editTicks: number;
  /** The body of the decoder's configuration, avcC or hvcC. */
  readonly configuration: Buffer;
  /** Boxes that an excerpt takes over as they are. */
  readonly verbatim: Verbatim;
}

export interface Verbatim {
  readonly mvhd: Buffer;
  readonly tkhd: Buffer;
  readonly mdhd: Buffer;
  readonly hdlr: Buffer;
  readonly vmhd: Buffer;
  readonly dinf: Buffer;
  readonly stsd: Buffer;
}

/** Four hours at 60 frames per second. */
const maxSamples = 1_000_000;
/** Further than any decoder reorders pictures. */
const maxReordering = 32;
/** ffmpeg takes larger ones for damage. */
const maxCompositionTicks = 2 ** 28;
const maxInt32 = 2 ** 31 - 1;

/**
 * The table of the first track of pictures.
 * @param moov its body
 * @throws Unusual
 */
export function sampleTableOf(moov: Buffer, fileBytes: number): SampleTable {
  const movie = new Children('moov', moov);
  movie.refuse('mvex', 'cmov');
  const mvhd = movie.one('mvhd');
  const tracks = movie.all('trak').map(({ body }) => new Children('trak', body));
  const trackIndex = tracks.findIndex(isOfPictures);
  const trak = tracks[trackIndex];
  if (trak === undefined) throw new Unusual('it has no track of pictures');
  const mdia = trak.childrenOf('mdia');
  const minf = mdia.childrenOf('minf');
  const stbl = minf.childrenOf('stbl');
  stbl.refuse('stz2', 'stps', 'senc', 'saiz', 'saio');
  const [mdhd, hdlr, dinf, stsd] = [mdia.one('mdhd'), mdia.one('hdlr'), minf.one('dinf'), stbl.one('stsd')];
  refuseOtherFiles(dinf);
  const ticksPerSecond = ticksPerSecondOf(mdhd);
  const sizes = sizesOf(stbl.one('stsz'), fileBytes);
  const offsets = offsetsOf(stbl, sizes, fileBytes);
  const { decodedAt, lastTicks } = decodingTimes(stbl.one('stts'), sizes.length);
  const shownAt = displayTimes(stbl.optional('ctts'), decodedAt);
  const displayOrder = displayOrderOf(shownAt);
  const firstShown = shownAt[displayOrder[0] ?? 0] ?? 0;
  const end = (shownAt[displayOrder.at(-1) ?? 0] ?? 0) + lastTicks;
  const movieTicks = ticksPerSecondOf(mvhd);
  const clock = { ticksPerSecond, movieTicks, firstShown, lastShown: end - lastTicks };
  const verbatim = {
    mvhd: mvhd.whole,
    tkhd: trak.one('tkhd').whole,
    mdhd: mdhd.whole,
    hdlr: hdlr.whole,
    vmhd: minf.optional('vmhd')?.whole ?? Buffer.alloc(0),
    dinf: dinf.whole,
    stsd: stsd.whole,
  };
  return {
    ...sampleEntryOf(stsd),
    trackIndex,
    ticksPerSecond,
    count: sizes.length,
    offsets,
    sizes,
    decodedAt,
    shownAt,
    isSync: syncSamples(stbl.optional('stss'), sizes.length),
    displayOrder,
    lastTicks,
    editTicks: editTicksOf(trak.optional('edts'), clock),
    verbatim,
  };
}

function isOfPictures(trak: Children): boolean {
  return trak.childrenOf('mdia').one('hdlr').body.toString('latin1', 8, 12) === 'vide';
}

/** mdhd and mvhd begin alike. */
export function ticksPerSecondOf({ type, body }: Box): number {
  const at = body[0] === 1 ? 20 : 12;
  const ticks = body.length < at + 4 ? 0 : body.readUInt32BE(at);
  if (ticks === 0 || ticks > maxInt32) throw new Unusual(`its ${type} has no clock`);
  return ticks;
}

function refuseOtherFiles(dinf: Box): void {
  const dref = new Children('dinf', dinf.body).one('dref');
  const count = entryCount(dref, 12);
  const isSelf = count === 1 && (dref.body[19] ?? 0) % 2 === 1;
  if (!isSelf) throw new Unusual('its pictures may lie in another file');
}

const codecs: Readonly<Record<string, SampleTable['codec']>> = {
  avc1: 'h264',
  avc3: 'h264',
  hvc1: 'hevc',
  hev1: 'hevc',
};
/** Of a description of pictures, before the boxes in it. */
const sampleEntryBytes = 78;

function sampleEntryOf(stsd: Box): Pick<SampleTable, 'codec' | 'width' | 'height' | 'configuration'> {
  if (entryCount(stsd, 8) !== 1) throw new Unusual('its pictures have several descriptions');
  const [entry] = new Children('stsd', stsd.body.subarray(8)).all(stsd.body.toString('latin1', 12, 16));
  const codec = codecs[entry?.type ?? ''];
  if (entry === undefined || codec === undefined || entry.body.length < sampleEntryBytes)
    throw new Unusual('its codec is neither H.264 nor HEVC');
  if (entry.body.readUInt16BE(6) !== 1) throw new Unusual('its pictures may lie in another file');
  const inside = new Children(entry.type, entry.body.subarray(sampleEntryBytes));
  inside.refuse('sinf');
  const configuration = inside.one(codec === 'h264' ? 'avcC' : 'hvcC').body;
  return { codec, configuration, width: entry.body.readUInt16BE(24), height: entry.body.readUInt16BE(26) };
}

/** @throws Unusual where all samples together are larger than the file: then they overlap, or it ends early */
function sizesOf(stsz: Box, fileBytes: number): Uint32Array {
  const { body } = stsz;
  if (body.length < 12) throw new Unusual('its stsz holds less than it says');
  const common = body.readUInt32BE(4);
  const count = common > 0 ? body.readUInt32BE(8) : entryCount(stsz, 4, 8);
  if (count === 0 || count > Math.min(maxSamples, fileBytes)) throw new Unusual(`it has ${count} samples`);
  if (common > 0) {
    if (common * count > fileBytes) throw new Unusual('its samples are larger than the file');
    return new Uint32Array(count).fill(common);
  }
  const sizes = new Uint32Array(count);
  let total = 0;
  for (let index = 0; index < count; index += 1) {
    const size = body.readUInt32BE(12 + 4 * index);
    total += size;
    if (size === 0 || total > fileBytes) throw new Unusual('its samples are empty or larger than the file');
    sizes[index] = size;
  }
  return sizes;
}

/** Where each sample lies: chunks of samples without anything between them. */
function offsetsOf(stbl: Children, sizes: Uint32Array, fileBytes: number): Float64Array {
  const chunkAt = chunksOf(stbl);
  const offsets = new Float64Array(sizes.length);
  let sample = 0;
  for (const { first, next, perChunk } of chunkRuns(stbl.one('stsc'), chunkAt.length)) {
    if ((next - first) * perChunk > sizes.length - sample)
      throw new Unusual('its chunks hold too many samples');
    for (let chunk = first; chunk < next; chunk += 1) {
      let position = chunkAt[chunk] ?? NaN;
      for (const end = sample + perChunk; sample < end; sample += 1) {
        offsets[sample] = position;
        position += sizes[sample] ?? 0;
      }
      if (!(position <= fileBytes)) throw new Unusual('its samples lie behind the end of the file');
    }
  }
  if (sample !== sizes.length) throw new Unusual('its chunks hold too few samples');
  return offsets;
}

function chunksOf(stbl: Children): Float64Array {
  const [short, long] = [stbl.optional('stco'), stbl.optional('co64')];
  if (short !== undefined && long !== undefined) throw new Unusual('there is stco and co64 in its stbl');
  if (short !== undefined) {
    const count = entryCount(short, 4);
    return new Float64Array(count).map((_, chunk) => short.body.readUInt32BE(8 + 4 * chunk));
  }
  const { body } = long ?? stbl.one('stco');
  const count = entryCount(stbl.one('co64'), 8);
  return new Float64Array(count).map((_, chunk) => Number(body.readBigUInt64BE(8 + 8 * chunk)));
}

interface ChunkRun {
  readonly first: number;
  /** The first one behind the run. */
  readonly next: number;
  readonly perChunk: number;
}

function* chunkRuns(stsc: Box, chunks: number): Generator<ChunkRun> {
  const runs = entryCount(stsc, 12);
  for (let run = 0; run < runs; run += 1) {
    const at = 8 + 12 * run;
    const first = stsc.body.readUInt32BE(at) - 1;
    const perChunk = stsc.body.readUInt32BE(at + 4);
    const next = run + 1 < runs ? stsc.body.readUInt32BE(at + 12) - 1 : chunks;
    const isInOrder = (run > 0 || first === 0) && next > first && next <= chunks && perChunk > 0;
    if (!isInOrder || stsc.body.readUInt32BE(at + 8) !== 1)
      throw new Unusual('its chunks are out of order or have several descriptions');
    yield { first, next, perChunk };
  }
}

function decodingTimes(stts: Box, count: number): Pick<SampleTable, 'decodedAt' | 'lastTicks'> {
  const runCount = entryCount(stts, 8);
  const decodedAt = new Float64Array(count);
  let sample = 0;
  let ticks = 0;
  let lastTicks = 0;
  for (let run = 0; run < runCount; run += 1) {
    const samples = stts.body.readUInt32BE(8 + 8 * run);
    lastTicks = stts.body.readUInt32BE(12 + 8 * run);
    if (samples > count - sample) throw new Unusual('its stts has too many samples');
    const isLast = sample + samples === count && samples === 1;
    if (lastTicks > maxInt32 || (lastTicks === 0 && !isLast)) throw new Unusual('its time stands still');
    for (const end = sample + samples; sample < end; sample += 1, ticks += lastTicks)
      decodedAt[sample] = ticks;
  }
  if (sample !== count) throw new Unusual('its stts has too few samples');
  return { decodedAt, lastTicks };
}

/** Differences are signed in both versions of the box: that is how ffmpeg reads them. */
function displayTimes(ctts: Box | undefined, decodedAt: Float64Array): Float64Array {
  const shownAt = Float64Array.from(decodedAt);
  if (ctts === undefined) return shownAt;
  const runCount = entryCount(ctts, 8);
  let sample = 0;
  for (let run = 0; run < runCount; run += 1) {
    const samples = ctts.body.readUInt32BE(8 + 8 * run);
    const later = ctts.body.readInt32BE(12 + 8 * run);
    if (samples > shownAt.length - sample) throw new Unusual('its ctts has too many samples');
    if (Math.abs(later) >= maxCompositionTicks)
      throw new Unusual('its pictures are shown long after decoding');
    for (const end = sample + samples; sample < end; sample += 1)
      shownAt[sample] = (shownAt[sample] ?? 0) + later;
  }
  if (sample !== shownAt.length) throw new Unusual('its ctts has too few samples');
  return shownAt;
}

/** @throws Unusual where two are shown at the same time, or one long before those that were decoded before it */
function displayOrderOf(shownAt: Float64Array): Uint32Array {
  const order = new Uint32Array(shownAt.length);
  const shown = (place: number) => shownAt[order[place] ?? 0] ?? 0;
  for (let sample = 0; sample < order.length; sample += 1) {
    const ticks = shownAt[sample] ?? 0;
    let place = sample;
    for (; place > 0 && shown(place - 1) > ticks; place -= 1) order[place] = order[place - 1] ?? 0;
    if (sample - place > maxReordering || (place > 0 && shown(place - 1) === ticks))
      throw new Unusual('the order in which its pictures are shown is not clear');
    order[place] = sample;
  }
  return order;
}

/** Without the box all are. */
function syncSamples(stss: Box | undefined, count: number): Uint8Array {
  if (stss === undefined) return new Uint8Array(count).fill(1);
  const isSync = new Uint8Array(count);
  const entries = entryCount(stss, 4);
  let before = 0;
  for (let entry = 0; entry < entries; entry += 1) {
    const sample = stss.body.readUInt32BE(8 + 4 * entry);
    if (sample <= before || sample > count) throw new Unusual('its stss is out of order');
    isSync[sample - 1] = 1;
    before = sample;
  }
  return isSync;
}

interface Clock {
  readonly ticksPerSecond: number;
  /** Per second, of the whole file. */
  readonly movieTicks: number;
  /** Ticks of the track. */
  readonly firstShown: number;
  readonly lastShown: number;
}

export interface Edit {
  /** Movie ticks. */
  readonly lasts: number;
  /** Ticks of the track; -1 shows nothing. */
  readonly from: number;
}

/** At most a time of nothing, then the whole track at its own speed. @throws Unusual for all that would leave pictures out */
function editTicksOf(
  edts: Box | undefined,
  { ticksPerSecond, movieTicks, firstShown, lastShown }: Clock,
): number {
  const elst = edts && new Children('edts', edts.body).optional('elst');
  if (elst === undefined) return 0;
  const edits = editsOf(elst);
  if (edits.length === 0) return 0;
  const trackTicks = (ticks: number) => Math.round((ticks * ticksPerSecond) / movieTicks);
  const nothing = edits.length === 2 && edits[0]?.from === -1 ? edits[0] : undefined;
  const shown = edits.at(-1);
  if (shown === undefined || shown.from < 0 || edits.length !== (nothing ? 2 : 1))
    throw new Unusual('its edit list has several parts');
  if (shown.from > firstShown || shown.from + trackTicks(shown.lasts) - 1 <= lastShown)
    throw new Unusual('its edit list leaves pictures out');
  return trackTicks(nothing?.lasts ?? 0) - shown.from;
}

/** @throws Unusual for more than two, and for other speeds */
export function editsOf(elst: Box): Edit[] {
  const { body } = elst;
  const isLong = body[0] === 1;
  const bytes = isLong ? 20 : 12;
  const count = entryCount(elst, bytes);
  if (count > 2) throw new Unusual('its edit list has several parts');
  return Array.from({ length: count }, (_, index) => {
    const at = 8 + bytes * index;
    const [lasts, from] = isLong
      ? [Number(body.readBigUInt64BE(at)), Number(body.readBigInt64BE(at + 8))]
      : [body.readUInt32BE(at), body.readInt32BE(at + 4)];
    const rate = body.readUInt32BE(at + bytes - 4);
    if (rate !== 0x1_0000 || !Number.isSafeInteger(lasts) || !Number.isSafeInteger(from))
      throw new Unusual('its edit list changes the speed');
    return { lasts, from };
  });
}
