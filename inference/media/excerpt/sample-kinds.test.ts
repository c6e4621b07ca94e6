import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Unusual } from './boxes.ts';
import { sampleKinds } from './sample-kinds.ts';

const sets = [Buffer.from([0x67, 1, 2]), Buffer.from([0x68, 3]), Buffer.from([0x42, 1, 9])];

/** The kind of a sample of these NAL units, each behind its length in four bytes. */
async function kindOf(codec: 'h264' | 'hevc', units: readonly (readonly number[])[], hasOneLayer = true) {
  const sample = Buffer.concat(units.map((unit) => Buffer.from([0, 0, 0, unit.length, ...unit])));
  const file = Buffer.concat([Buffer.alloc(5), sample, Buffer.alloc(5, 0xff)]);
  const table = { codec, offsets: Float64Array.of(5), sizes: Uint32Array.of(sample.length) };
  const readAt = (position: number, length: number) => file.subarray(position, position + length);
  return sampleKinds(table, { lengthBytes: 4, parameterSets: sets, hasOneLayer }, readAt)(0);
}

describe('a sample of H.264', () => {
  const [idr, reference, disposable] = [
    [0x65, 0x88],
    [0x41, 0x9a],
    [0x01, 0x9e],
  ];
  const rows = [
    { name: 'of an IDR picture is an entry', units: [idr], kind: 'entry' },
    { name: 'of slices of an IDR picture is an entry', units: [idr, idr], kind: 'entry' },
    {
      name: 'with what is no picture in front is an entry',
      units: [[9, 16], [6, 5, 1], [0x67, 1, 2], idr],
      kind: 'entry',
    },
    { name: 'that only begins as one is not', units: [idr, reference], kind: 'reference' },
    { name: 'of a picture that others need is a reference', units: [reference], kind: 'reference' },
    {
      name: 'of a picture that none needs is disposable',
      units: [[6, 5, 1], disposable],
      kind: 'disposable',
    },
    {
      name: 'with one slice that others need is a reference',
      units: [disposable, reference],
      kind: 'reference',
    },
    { name: 'of no picture is kept', units: [[6, 5, 1]], kind: 'reference' },
    {
      name: 'of more units than are looked at is kept',
      units: Array(65).fill(disposable),
      kind: 'reference',
    },
  ] as { name: string; units: number[][]; kind: string }[];
  for (const { name, units, kind } of rows) {
    test(name, async () => assert.equal(await kindOf('h264', units), kind));
  }
});

describe('a sample of HEVC', () => {
  /** The head of a unit and the first byte of a picture's slice. */
  const picture = (type: number, { layer = 0, slice = 0x80 } = {}) => [type << 1, (layer << 3) | 1, slice];
  const rows = [
    { name: 'of an IDR picture is an entry', units: [picture(19)], kind: 'entry' },
    { name: 'of one without leading pictures is an entry', units: [picture(20)], kind: 'entry' },
    {
      name: 'of one that drops what is not shown yet is not',
      units: [picture(19, { slice: 0xc0 })],
      kind: 'reference',
    },
    { name: 'of a key frame in an open group is not', units: [picture(21)], kind: 'reference' },
    { name: 'of a trailing picture is a reference', units: [picture(1)], kind: 'reference' },
    { name: 'of a trailing picture that none needs is disposable', units: [picture(0)], kind: 'disposable' },
    { name: 'is not, where a higher layer may need it', units: [picture(0)], layers: 2, kind: 'reference' },
    { name: 'is what its base layer is', units: [picture(19), picture(1, { layer: 1 })], kind: 'entry' },
  ];
  for (const { name, units, layers, kind } of rows) {
    test(name, async () => assert.equal(await kindOf('hevc', units, layers === undefined), kind));
  }
});

describe('nothing is said of a sample', () => {
  const rows: { name: string; units: number[][]; reason: RegExp }[] = [
    { name: 'of an empty unit', units: [[]], reason: /not made of NAL units/ },
    { name: 'in partitions', units: [[0x42, 1]], reason: /partitions/ },
    {
      name: 'with another parameter set',
      units: [
        [0x67, 1, 3],
        [0x65, 1],
      ],
      reason: /parameter sets change/,
    },
  ];
  for (const { name, units, reason } of rows) {
    test(name, async () => {
      await assert.rejects(
        kindOf('h264', units),
        (error) => error instanceof Unusual && reason.test(error.message),
      );
    });
  }

  test('whose unit is longer than it', async () => {
    const readAt = () => Buffer.from([0, 0, 1, 0, 0x65, 1, 1]);
    const table = { codec: 'h264', offsets: Float64Array.of(0), sizes: Uint32Array.of(9) } as const;
    const configuration = { lengthBytes: 4, parameterSets: sets, hasOneLayer: true };
    await assert.rejects(sampleKinds(table, configuration, readAt)(0), /not made of NAL units/);
  });
});
