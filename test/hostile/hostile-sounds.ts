/** Sound files that lie about what they hold. */
import {
  box,
  type HostileFile,
  inserted,
  latin1,
  patched,
  patchedBehind,
  riffChunk,
  u16be,
  u32be,
  u32le,
} from './bytes.ts';
import type { ValidFiles } from './valid-files.ts';

export function hostileSounds(valid: ValidFiles): HostileFile[] {
  return [...lyingWavs(valid.wav.bytes), ...lyingStreams(valid), ...lyingBoxes(valid.m4a.bytes)];
}

/** Offsets in the header of a WAV file with one format chunk of 16 bytes. */
const wav = {
  riffSize: 4,
  formatSize: 16,
  tag: 20,
  channels: 22,
  sampleRate: 24,
  blockAlign: 32,
  bits: 34,
  dataSize: 40,
  data: 44,
};

function u16le(value: number): Buffer {
  return Buffer.of(value & 0xff, value >> 8);
}

function lyingWavs(valid: Buffer): HostileFile[] {
  const tags = {
    ADPCM: 2,
    float: 3,
    'IMA ADPCM': 0x11,
    GSM: 0x31,
    MP3: 0x55,
    AAC: 0xff,
    FLAC: 0xf1ac,
    extensible: 0xfffe,
    nothing: 0xffff,
  };
  const change = (name: string, at: number, value: Buffer) => ({
    name: `WAV ${name}`,
    bytes: patched(valid, at, value),
  });
  return [
    ...[0, 1, 7, 384_000, 0x7fffffff, 0xffffffff].map((rate) =>
      change(`of ${rate} Hz`, wav.sampleRate, u32le(rate)),
    ),
    ...[0, 3, 255, 65_535].map((count) => change(`of ${count} channels`, wav.channels, u16le(count))),
    ...[0, 1, 7, 24, 64, 65_535].map((bits) => change(`of ${bits} bits`, wav.bits, u16le(bits))),
    ...[0, 1, 65_535].map((align) => change(`with blocks of ${align} bytes`, wav.blockAlign, u16le(align))),
    ...[0, 1, 0x7fffffff, 0xffffffff].map((size) =>
      change(`with ${size} bytes of sound`, wav.dataSize, u32le(size)),
    ),
    ...[0, 14, 0xffffffff].map((size) =>
      change(`with a format of ${size} bytes`, wav.formatSize, u32le(size)),
    ),
    ...[0, 0xffffffff].map((size) => change(`of ${size} bytes`, wav.riffSize, u32le(size))),
    ...Object.entries(tags).map(([name, tag]) => change(`that says it is ${name}`, wav.tag, u16le(tag))),
    {
      name: 'WAV with thousands of lists',
      bytes: inserted(valid, 12, Buffer.concat(Array(50_000).fill(riffChunk('LIST', latin1('INFO'))))),
    },
    { name: 'WAV with an 8 MB list', bytes: inserted(valid, 12, riffChunk('LIST', Buffer.alloc(8e6, 0x41))) },
    { name: 'WAV with sound in a WAV', bytes: inserted(valid, wav.data, valid) },
    { name: 'WAV with two formats', bytes: inserted(valid, 36, valid.subarray(12, 36)) },
    {
      name: 'WAV of notes that are no numbers',
      bytes: patched(patched(valid, wav.tag, u16le(3)), wav.bits, u16le(32)),
    },
    { name: 'WAV without sound', bytes: valid.subarray(0, wav.data) },
    { name: 'WAV in big-endian', bytes: patched(valid, 0, latin1('RIFX')) },
    { name: 'WAV of 64 bits that is short', bytes: patched(valid, 0, latin1('RF64')) },
  ];
}

function lyingStreams({ flac, mp3, ogg, opus }: ValidFiles): HostileFile[] {
  const id3 = (size: Buffer) => Buffer.concat([latin1('ID3\x04\0\0'), size]);
  const picture = Buffer.alloc(8e6, 0x41);
  const length = Buffer.alloc(3);
  length.writeUIntBE(picture.length, 0, 3);
  const secondPage = ogg.bytes.indexOf('OggS', 4, 'latin1');
  return [
    { name: 'FLAC of 0 Hz', bytes: patched(flac.bytes, 18, Buffer.alloc(3)) },
    { name: 'FLAC of 2^36 samples', bytes: patched(flac.bytes, 21, Buffer.alloc(5, 0xff)) },
    { name: 'FLAC of blocks without samples', bytes: patched(flac.bytes, 8, Buffer.alloc(4)) },
    {
      name: 'FLAC with a picture of 8 MB',
      bytes: inserted(flac.bytes, 42, Buffer.concat([Buffer.of(6), length, picture])),
    },
    {
      name: 'FLAC whose comments lie about their number',
      bytes: patched(flac.bytes, 46, Buffer.alloc(4, 0xff)),
    },
    { name: 'MP3 with a tag of 256 MB', bytes: Buffer.concat([id3(Buffer.alloc(4, 0x7f)), mp3.bytes]) },
    {
      name: 'MP3 with a tag of 8 MB',
      bytes: Buffer.concat([id3(Buffer.of(0x03, 0x74, 0x24, 0)), Buffer.alloc(8_000_000), mp3.bytes]),
    },
    {
      name: 'MP3 with a tag in a tag',
      bytes: Buffer.concat([...Array<Buffer>(2000).fill(id3(Buffer.of(0, 0, 0, 10))), mp3.bytes]),
    },
    { name: 'MP3 of nothing but sync words', bytes: Buffer.alloc(300_000, 0xff) },
    {
      name: 'MP3 of headers alone',
      bytes: Buffer.concat(Array(50_000).fill(Buffer.of(0xff, 0xfb, 0x90, 0x64))),
    },
    {
      name: 'MP3 of free bit rate',
      bytes: Buffer.concat(Array(5000).fill(Buffer.of(0xff, 0xfb, 0x00, 0x64, 0, 0, 0, 0))),
    },
    {
      name: 'Ogg that begins at a negative time',
      bytes: patched(ogg.bytes, secondPage + 6, Buffer.alloc(8, 0xff)),
    },
    {
      name: 'Ogg that ends in 2^62 samples',
      bytes: patched(
        ogg.bytes,
        ogg.bytes.lastIndexOf('OggS', undefined, 'latin1') + 6,
        Buffer.concat([Buffer.alloc(7, 0xff), Buffer.of(0x3f)]),
      ),
    },
    {
      name: 'Ogg of first pages alone',
      bytes: Buffer.concat(Array(3000).fill(ogg.bytes.subarray(0, secondPage))),
    },
    { name: 'Ogg that is repeated', bytes: Buffer.concat(Array(20).fill(ogg.bytes)) },
    { name: 'Ogg of two codecs', bytes: Buffer.concat([ogg.bytes, opus.bytes]) },
    { name: 'Opus of 255 channels', bytes: patchedBehind(opus.bytes, 'OpusHead', 1, Buffer.of(255)) },
    { name: 'Opus of no channels', bytes: patchedBehind(opus.bytes, 'OpusHead', 1, Buffer.of(0)) },
    { name: 'Opus that skips all', bytes: patchedBehind(opus.bytes, 'OpusHead', 2, Buffer.alloc(2, 0xff)) },
    { name: 'Vorbis of no channels', bytes: patchedBehind(ogg.bytes, '\x01vorbis', 4, Buffer.of(0)) },
    { name: 'Vorbis of 2^32 Hz', bytes: patchedBehind(ogg.bytes, '\x01vorbis', 5, Buffer.alloc(4, 0xff)) },
  ];
}

function lyingBoxes(valid: Buffer): HostileFile[] {
  const change = (name: string, type: string, skip: number, value: Buffer) => ({
    name: `M4A ${name}`,
    bytes: patchedBehind(valid, type, skip, value),
  });
  const deep = Array.from({ length: 5000 }).reduce<Buffer>(
    (inner) => Buffer.concat([u32be(inner.length + 8), latin1('moov'), inner]),
    Buffer.alloc(0),
  );
  return [
    change('of no time scale', 'mvhd', 12, u32be(0)),
    change('of a negative duration', 'mvhd', 16, u32be(0xffffff00)),
    change('whose sound has no time scale', 'mdhd', 12, u32be(0)),
    change('whose sound has a negative duration', 'mdhd', 16, u32be(0x80000000)),
    change('whose sound begins before its beginning', 'elst', 12, u32be(0x80000000)),
    change('with 2^32 edits', 'elst', 4, u32be(0xffffffff)),
    change('with 2^32 samples', 'stsz', 8, u32be(0xffffffff)),
    change('with samples of 2 GB', 'stsz', 4, u32be(0x7fffffff)),
    change('with 2^32 pieces', 'stco', 4, u32be(0xffffffff)),
    change('whose pieces lie behind the file', 'stco', 8, u32be(0x7fffffff)),
    change('with 2^32 times', 'stts', 4, u32be(0xffffffff)),
    change('of 65535 channels', 'mp4a', 16, u16be(65_535)),
    change('of no bits', 'mp4a', 18, u16be(0)),
    change('of an unknown codec', 'stsd', 12, latin1('evil')),
    change('with a handler that nobody knows', 'hdlr', 8, latin1('evil')),
    change('with a box without size', 'moov', -8, u32be(0)),
    change('with a box of 4 GB', 'moov', -8, u32be(0xffffffff)),
    change('with a box that is smaller than its head', 'trak', -8, u32be(4)),
    { name: 'M4A of boxes in boxes', bytes: Buffer.concat([valid.subarray(0, valid.readUInt32BE(0)), deep]) },
    {
      name: 'M4A of empty boxes',
      bytes: Buffer.concat([
        valid.subarray(0, valid.readUInt32BE(0)),
        ...Array<Buffer>(100_000).fill(box('free')),
      ]),
    },
    { name: 'M4A of names alone', bytes: valid.subarray(0, valid.readUInt32BE(0)) },
  ];
}
