import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse, stringify } from 'yaml';
import type { Device } from '../engine/session.ts';
import { inTemporaryFolder } from '../testing/media.ts';
import { writeAudioPackage } from '../testing/packages.ts';
import { type Manifest, parseManifest } from './manifest.ts';
import { listedFiles } from './package.ts';
import { type Precision, servedManifest, type WantedPrecision } from './variants.ts';

const source = await inTemporaryFolder(async (folder) => {
  await writeAudioPackage(folder);
  return readFile(join(folder, 'model.yaml'), 'utf8');
});
const int8 = { precision: 'int8', file: 'int8.onnx', sha256: '8'.repeat(64) };
const fp16 = { precision: 'fp16', file: 'fp16.onnx', sha256: '1'.repeat(64) };

function manifestWith(...variants: readonly object[]): Manifest {
  const document = parse(source);
  document.graphs.classifier.variants = variants;
  return parseManifest(stringify(document));
}

describe('the graph that is served', () => {
  const rows: { has: object[]; device: Device; wanted: WantedPrecision; precision: Precision }[] = [
    { has: [], device: 'cpu', wanted: 'auto', precision: 'fp32' },
    { has: [int8, fp16], device: 'cpu', wanted: 'auto', precision: 'int8' },
    { has: [fp16], device: 'cpu', wanted: 'auto', precision: 'fp32' },
    { has: [int8, fp16], device: 'cuda', wanted: 'auto', precision: 'fp16' },
    { has: [int8, fp16], device: 'tensorrt', wanted: 'auto', precision: 'fp16' },
    { has: [int8], device: 'cuda', wanted: 'auto', precision: 'fp32' },
    { has: [int8], device: 'cpu', wanted: 'fp32', precision: 'fp32' },
    { has: [int8, fp16], device: 'cpu', wanted: 'fp16', precision: 'fp16' },
  ];
  for (const { has, device, wanted, precision } of rows) {
    const names = has.map((variant) => (variant as { precision: string }).precision).join(' and ');
    test(`of a package with ${names || 'one graph'} on ${device} is that of ${precision} for PRECISION=${wanted}`, () => {
      const served = servedManifest(manifestWith(...has), device, wanted);
      assert.equal(served.precision, precision);
      const { file } = served.manifest.graphs.classifier;
      assert.equal(file, precision === 'fp32' ? 'classifier.onnx' : `${precision}.onnx`);
    });
  }

  test('keeps what its variant does not change', () => {
    const manifest = manifestWith(int8);
    const served = servedManifest(manifest, 'cpu', 'int8').manifest;
    assert.equal(served.graphs.classifier.sha256, int8.sha256);
    assert.equal(served.graphs.classifier.input, manifest.graphs.classifier.input);
    assert.deepEqual(
      [served.calibration, served.thresholds, served.golden],
      [manifest.calibration, manifest.thresholds, manifest.golden],
    );
  });

  test('has the calibration, thresholds and tolerance of its variant', () => {
    const calibration = { method: 'temperature', temperature: 2 } as const;
    const thresholds = { low: 0.1, high: 0.9 };
    const manifest = manifestWith({ ...int8, calibration, thresholds, goldenTolerance: 0.1 });
    const served = servedManifest(manifest, 'cpu', 'auto').manifest;
    assert.deepEqual([served.calibration, served.thresholds], [calibration, thresholds]);
    assert.equal(served.golden[0]?.tolerance, 0.1);
  });

  test('is refused in one line that says what there is, where the wanted one is not', () => {
    assert.throws(
      () => servedManifest(manifestWith(fp16), 'cpu', 'int8'),
      /^PrecisionError: PRECISION=int8: the package test-audio has no such graph, but fp32, fp16; set PRECISION to [^\n]*$/,
    );
  });
});

describe('variants in a manifest', () => {
  test('are among the files that count', () => {
    assert.deepEqual(
      listedFiles(manifestWith(int8, fp16)).map(({ file }) => file),
      ['classifier.onnx', 'int8.onnx', 'fp16.onnx', 'golden/square.wav'],
    );
  });

  const refused: { name: string; variants: object[]; message: RegExp }[] = [
    {
      name: 'of an unknown precision',
      variants: [{ ...int8, precision: 'int4' }],
      message: /variants\.0\.precision/,
    },
    {
      name: 'with an unknown key',
      variants: [{ ...int8, input: 'x' }],
      message: /variants\.0: Unrecognized key/,
    },
    {
      name: 'that lead out of the package',
      variants: [{ ...int8, file: '../x' }],
      message: /inside the package/,
    },
    {
      name: 'two of which have one precision',
      variants: [int8, { ...int8 }],
      message: /two of the same precision/,
    },
  ];
  for (const { name, variants, message } of refused) {
    test(`${name} are refused`, () => assert.throws(() => manifestWith(...variants), message));
  }
});
