/**
 * What ffprobe would say of the tracks of an MP4 file, from the file's own index: starting ffprobe costs more than all of this folder. Pure
 * functions of the `moov` box. What is not certain is `Unusual`, and ffprobe is asked.
 */
import type { PictureTrack, ProbedMedia, SoundTrack } from '../probe.ts';
import { Bits } from './bits.ts';
import { type Box, Children, entryCount, Unusual } from './boxes.ts';
import { h264Configuration } from './parameter-sets.ts';
import { editsOf, type SampleTable, ticksPerSecondOf } from './sample-table.ts';

/**
 * @param moov its body
 * @param table of its pictures
 * @throws Unusual for other codecs than H.264 and AAC, for further tracks, and where the index contradicts what the codecs say
 */
export function declaredTracks(moov: Buffer, table: SampleTable): ProbedMedia {
  const movie = new Children('moov', moov);
  const tracks = movie.all('trak').map(({ body }) => new Children('trak', body));
  const others = tracks.flatMap((trak, index) => (index === table.trackIndex ? [] : [{ trak, index }]));
  const [sound, further] = others;
  if (further !== undefined) throw new Unusual('it has further tracks');
  const pictures = tracks[table.trackIndex];
  if (pictures === undefined) throw new Unusual('it has no track of pictures');
  const movieTicks = ticksPerSecondOf(movie.one('mvhd'));
  return {
    picture: pictureTrack(pictures, table, rotationOf(movie, pictures), movieTicks),
    sound: sound && soundTrack(sound.trak, sound.index, movieTicks),
  };
}

function pictureTrack(
  trak: Children,
  table: SampleTable,
  rotation: PictureTrack['rotation'],
  movieTicks: number,
): PictureTrack {
  if (table.codec !== 'h264') throw new Unusual('only the decoder knows its pictures');
  const [sequence, other] = h264Configuration(table.configuration).sequences;
  if (sequence === undefined || other !== undefined) throw new Unusual('it has several sequences');
  const { width, height } = sequence;
  if (width !== table.width || height !== table.height)
    throw new Unusual('its description and its pictures differ in size');
  if (sequence.colourRange === undefined && hasColours(table.verbatim.stsd))
    throw new Unusual('only its container describes its colours');
  const { ticksPerSecond, editTicks, count, shownAt, displayOrder } = table;
  const startTicks = (shownAt[displayOrder[0] ?? 0] ?? 0) + editTicks;
  // Sound that begins at zero or later does not move the beginning of a file whose pictures begin at zero.
  if (startTicks !== 0) throw new Unusual('its pictures do not begin at zero');
  const lies = rotation % 180 === 90;
  const sampleTicks = (table.decodedAt[count - 1] ?? 0) + table.lastTicks;
  return {
    index: table.trackIndex,
    codec: table.codec,
    width: lies ? height : width,
    height: lies ? width : height,
    rotation,
    framesPerSecond: (count * ticksPerSecond) / sampleTicks,
    colourRange: sequence.colourRange ?? 'unspecified',
    frameCount: count,
    durationSeconds: lastsSeconds(trak, sampleTicks, movieTicks),
    clock: { ticksPerSecond, startTicks, fileStartSeconds: 0 },
  };
}

/** Colours that the container states go beside the description of the codec. */
function hasColours(stsd: Buffer): boolean {
  return stsd.includes('colr');
}

const one = 0x1_0000;
const last = 0x4000_0000;
const matrices: readonly (readonly [PictureTrack['rotation'], readonly number[]])[] = [
  [0, [one, 0, 0, one]],
  [90, [0, one, -one, 0]],
  [180, [-one, 0, 0, -one]],
  [270, [0, -one, one, 0]],
];

/** Clockwise; what a matrix moves does not matter. */
function rotationOf(movie: Children, trak: Children): PictureTrack['rotation'] {
  const whole = matrixOf(movie.one('mvhd'), { short: 36, long: 48 });
  if (whole !== 0) throw new Unusual('the movie as a whole is turned');
  return matrixOf(trak.one('tkhd'), { short: 40, long: 52 });
}

function matrixOf({ type, body }: Box, at: { readonly short: number; readonly long: number }) {
  const from = body[0] === 1 ? at.long : at.short;
  if (body.length < from + 36) throw new Unusual(`its ${type} is too short`);
  const value = (index: number) => body.readInt32BE(from + 4 * index);
  const turn = [value(0), value(1), value(3), value(4)];
  const isFlat = value(2) === 0 && value(5) === 0 && value(8) === last;
  const found = matrices.find(([, matrix]) => matrix.every((part, index) => part === turn[index]));
  if (found === undefined || !isFlat) throw new Unusual('its pictures are not only turned');
  return found[0];
}

function soundTrack(trak: Children, index: number, movieTicks: number): SoundTrack {
  const mdia = trak.childrenOf('mdia');
  if (mdia.one('hdlr').body.toString('latin1', 8, 12) !== 'soun')
    throw new Unusual('it has a track of neither pictures nor sound');
  const stbl = mdia.childrenOf('minf').childrenOf('stbl');
  const stts = stbl.one('stts');
  let sampleTicks = 0;
  for (let run = 0, runs = entryCount(stts, 8); run < runs; run += 1)
    sampleTicks += stts.body.readUInt32BE(8 + 8 * run) * stts.body.readUInt32BE(12 + 8 * run);
  if (sampleTicks === 0) throw new Unusual('its sound has no length');
  return {
    index,
    codec: 'aac',
    ...aacConfiguration(soundEntry(stbl.one('stsd'))),
    durationSeconds: lastsSeconds(trak, sampleTicks, movieTicks),
  };
}

/** The least of what the track, its samples and its edit list say. */
function lastsSeconds(trak: Children, sampleTicks: number, movieTicks: number): number {
  const mdhd = trak.childrenOf('mdia').one('mdhd');
  const ticksPerSecond = ticksPerSecondOf(mdhd);
  const isLong = mdhd.body[0] === 1;
  if (mdhd.body.length < (isLong ? 32 : 20)) throw new Unusual('its mdhd is too short');
  const declared = isLong ? Number(mdhd.body.readBigUInt64BE(24)) : mdhd.body.readUInt32BE(16);
  const edts = trak.optional('edts');
  const elst = edts && new Children('edts', edts.body).optional('elst');
  const edits = elst === undefined ? [] : editsOf(elst);
  const [edit, another] = edits;
  if (another !== undefined || (edit !== undefined && edit.from < 0))
    throw new Unusual('its edit list has several parts');
  const edited = edit === undefined ? Infinity : Math.round((edit.lasts * ticksPerSecond) / movieTicks);
  const ticks = Math.min(declared, sampleTicks, edited);
  if (!(ticks > 0)) throw new Unusual('a track declares no length');
  return ticks / ticksPerSecond;
}

/** Of a description of sound in its first version, before the boxes in it. */
const soundEntryBytes = 28;

function soundEntry(stsd: Box): Buffer {
  if (entryCount(stsd, 8) !== 1) throw new Unusual('its sound has several descriptions');
  const [entry] = new Children('stsd', stsd.body.subarray(8)).all('mp4a');
  if (entry === undefined || entry.body.length < soundEntryBytes || entry.body.readUInt16BE(8) !== 0)
    throw new Unusual('its sound is not AAC');
  return new Children('mp4a', entry.body.subarray(soundEntryBytes)).one('esds').body;
}

/** Tags of descriptors, ISO/IEC 14496-1, 7.2.2.1. */
const tag = { stream: 3, decoder: 4, specific: 5 } as const;
const aac = 0x40;
const rates = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/** ISO/IEC 14496-1, 7.2.6 and ISO/IEC 14496-3, 1.6.2.1. @param esds its body */
function aacConfiguration(esds: Buffer): Pick<SoundTrack, 'sampleRateHz' | 'channels'> {
  const stream = descriptor(esds.subarray(4), tag.stream);
  const [flags] = stream.subarray(2);
  if (flags === undefined || (flags & 0xe0) !== 0) throw new Unusual('its sound depends on other streams');
  const decoder = descriptor(stream.subarray(3), tag.decoder);
  if (decoder[0] !== aac) throw new Unusual('its sound is not AAC');
  const bits = new Bits(descriptor(decoder.subarray(13), tag.specific));
  const lowComplexity = 2;
  if (bits.take(5) !== lowComplexity) throw new Unusual('only the decoder knows its sound');
  const sampleRateHz = rates[bits.take(4)];
  const layout = bits.take(4);
  if (sampleRateHz === undefined || layout === 0 || layout > 7)
    throw new Unusual('only the decoder knows its sound');
  bits.take(3);
  // A low rate may be doubled by a part of the stream that only the decoder sees, unless the description denies it.
  if (sampleRateHz <= 24_000 || bits.left >= 17) refuseReplication(bits);
  return { sampleRateHz, channels: layout === 7 ? 8 : layout };
}

function refuseReplication(bits: Bits): void {
  const denies = bits.left >= 17 && bits.take(11) === 0x2b7 && bits.take(5) === 5 && bits.take(1) === 0;
  if (!denies) throw new Unusual('only the decoder knows its sound');
}

/** The content of the descriptor that these bytes begin with. */
function descriptor(bytes: Buffer, wanted: number): Buffer {
  if (bytes[0] !== wanted) throw new Unusual('the description of its sound is not the usual one');
  let length = 0;
  let at = 1;
  for (let more = true; more && at <= 4; at += 1) {
    const byte = bytes[at] ?? 0;
    length = length * 128 + (byte & 127);
    more = byte > 127;
  }
  const content = bytes.subarray(at, at + length);
  if (content.length < length) throw new Unusual('the description of its sound ends early');
  return content;
}
