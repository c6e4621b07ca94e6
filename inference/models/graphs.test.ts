import assert from 'node:assert/strict';
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { inTemporaryFolder } from '../testing/media.ts';
import { writeAudioPackage } from '../testing/packages.ts';
import { writeTemporalPackage, writeVideoAudioPackage } from '../testing/sequence-packages.ts';
import { type Manifest, parseManifest } from './manifest.ts';
import { listedFiles, loadPackage } from './package.ts';
import { servedManifest } from './variants.ts';

const sources = await inTemporaryFolder(async (folder) => {
  const written = async (name: string, write: (directory: string) => Promise<string>) => {
    await write(join(folder, name));
    return readFile(join(folder, name, 'model.yaml'), 'utf8');
  };
  return {
    audio: await written('audio', writeAudioPackage),
    temporal: await written('temporal', writeTemporalPackage),
    joint: await written('joint', writeVideoAudioPackage),
  };
});

// biome-ignore lint/suspicious/noExplicitAny: the tests change documents of any shape
type Document = any;

function changed(family: keyof typeof sources, change: (graphs: Document) => void): Manifest {
  const document: Document = parse(sources[family]);
  change(document.graphs);
  return parseManifest(stringify(document));
}

const unchanged = () => undefined;
const int8 = (name: string, more = {}) => ({
  precision: 'int8',
  file: `${name}.int8.onnx`,
  sha256: '8'.repeat(64),
  ...more,
});

describe('the graphs of a package', () => {
  const files = [
    { family: 'audio', graphs: ['classifier.onnx'] },
    { family: 'temporal', graphs: ['classifier.onnx', 'encoder.onnx'] },
    { family: 'joint', graphs: ['classifier.onnx', 'encoder.onnx', 'audio.onnx'] },
  ] as const;
  for (const { family, graphs } of files)
    test(`all count as files of the package: ${graphs.join(', ')}`, () => {
      const listed = listedFiles(changed(family, unchanged)).map(({ file }) => file);
      assert.deepEqual(listed.slice(0, -1), graphs);
    });

  for (const file of ['classifier.onnx', 'encoder.onnx', 'audio.onnx'])
    test(`are each compared with the digest in the manifest: ${file}`, async () => {
      await inTemporaryFolder(async (folder) => {
        await writeVideoAudioPackage(folder);
        await appendFile(join(folder, file), 'x');
        await assert.rejects(loadPackage(folder), new RegExp(`${file}: the SHA-256 is`));
      });
    });

  const refused: {
    name: string;
    family: keyof typeof sources;
    change: (graphs: Document) => void;
    message: RegExp;
  }[] = [
    {
      name: 'without one that the family needs',
      family: 'temporal',
      change: (graphs) => delete graphs.encoder,
      message: /graphs\.encoder: a package of video-temporal needs this graph/,
    },
    {
      name: 'with one that the family does not know',
      family: 'audio',
      change: (graphs) => Object.assign(graphs, { encoder: { ...graphs.classifier } }),
      message: /graphs\.encoder: a package of audio-spectrogram has no such graph/,
    },
    {
      name: 'with one that nobody knows',
      family: 'temporal',
      change: (graphs) => Object.assign(graphs, { decoder: { ...graphs.encoder } }),
      message: /graphs: Unrecognized key: "decoder"/,
    },
    {
      name: 'without the inputs of a joint head',
      family: 'joint',
      change: (graphs) => delete graphs.classifier.joint,
      message: /graphs\.classifier\.joint: the classifier of video-audio needs these inputs/,
    },
    {
      name: 'with inputs of a joint head where there is none',
      family: 'temporal',
      change: (graphs) => Object.assign(graphs.classifier, { joint: { sound: 'a', presence: 'b' } }),
      message: /graphs\.classifier\.joint: the classifier of video-temporal has one input/,
    },
    {
      name: 'whose variants state two calibrations of one precision',
      family: 'temporal',
      change: (graphs) => {
        graphs.classifier.variants = [int8('classifier', { calibration: { method: 'none' } })];
        graphs.encoder.variants = [int8('encoder', { calibration: { method: 'none' } })];
      },
      message: /graphs: variants of int8 state calibration in two graphs/,
    },
  ];
  for (const { name, family, change, message } of refused)
    test(`${name} are refused, and the message says where`, () =>
      assert.throws(() => changed(family, change), message));
});

describe('variants of several graphs', () => {
  const manifest = changed('temporal', (graphs) => {
    graphs.encoder.variants = [
      int8('encoder', { thresholds: { low: 0.1, high: 0.9 }, goldenTolerance: 0.1 }),
    ];
  });

  test('are served where they are, and the others stay as they are', () => {
    const { manifest: served, precision } = servedManifest(manifest, 'cpu', 'auto');
    assert.equal(precision, 'int8');
    assert.deepEqual(
      [served.graphs.classifier.file, served.graphs.encoder?.file, served.graphs.encoder?.input],
      ['classifier.onnx', 'encoder.int8.onnx', 'frames'],
    );
    assert.deepEqual([served.thresholds, served.golden[0]?.tolerance], [{ low: 0.1, high: 0.9 }, 0.1]);
    assert.deepEqual(served.calibration, manifest.calibration);
  });

  test('are among the files that count', () =>
    assert.deepEqual(
      listedFiles(manifest).map(({ file }) => file),
      ['classifier.onnx', 'encoder.onnx', 'encoder.int8.onnx', 'golden/white.mp4'],
    ));
});
