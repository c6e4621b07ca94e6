import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { inTemporaryFolder } from '../testing/media.ts';
import { writeAudioPackage } from '../testing/packages.ts';
import { parseManifest } from './manifest.ts';

const valid = await inTemporaryFolder(async (folder) => {
  await writeAudioPackage(folder);
  return readFile(join(folder, 'model.yaml'), 'utf8');
});

/** The valid manifest with the value at a dotted path replaced, or removed when it is undefined. */
function manifestWith(path: string, value: unknown): string {
  const document = parse(valid);
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const parent = keys.reduce((node, key) => node[key], document);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return stringify(document);
}

const ood = {
  source: 'graph',
  features: ['a'],
  mean: [0],
  precision: { diagonal: [1] },
  threshold: 0.99,
  abstain: true,
};

const isotonic = (...points: readonly [number, number][]) => ({
  method: 'isotonic',
  points: points.map(([logit, score]) => ({ logit, score })),
});

describe('a manifest', () => {
  test('that is valid is accepted', () => {
    assert.equal(parseManifest(valid).name, 'test-audio');
  });

  test('may calibrate by a rising table, flat parts included', () => {
    const table = isotonic([-2, 0.1], [0, 0.4], [1, 0.4], [3, 0.9]);
    assert.deepEqual(parseManifest(manifestWith('calibration', table)).calibration, table);
  });

  const refused: { name: string; path: string; value: unknown; message: RegExp }[] = [
    {
      name: 'with an unknown key',
      path: 'colour',
      value: 'red',
      message: /\(root\): Unrecognized key: "colour"/,
    },
    {
      name: 'with an unknown key inside',
      path: 'card.hype',
      value: 1,
      message: /card: Unrecognized key: "hype"/,
    },
    {
      name: 'whose version no status could hold',
      path: 'version',
      value: `1.0.0-${'x'.repeat(64)}`,
      message: /version/,
    },
    {
      name: 'that knows features which no output gives',
      path: 'ood',
      value: ood,
      message: /ood\.source: graphs\.classifier\.features does not say/,
    },
    {
      name: 'of sound with changed copies',
      path: 'perturbation',
      value: { byDefault: true, abstain: true },
      message: /perturbation: only images/,
    },
    {
      name: 'of sound that knows statistics of images',
      path: 'ood',
      value: { ...ood, source: 'input', features: ['log_noise'] },
      message: /ood\.source: there are statistics of images only/,
    },
    { name: 'of another format version', path: 'formatVersion', value: 2, message: /formatVersion/ },
    { name: 'of an unknown pipeline', path: 'pipeline.type', value: 'magic', message: /pipeline\.type/ },
    {
      name: 'that lacks a pipeline parameter',
      path: 'pipeline.hopSeconds',
      value: undefined,
      message: /pipeline\.hopSeconds/,
    },
    {
      name: 'of another modality than its pipeline',
      path: 'modality',
      value: 'image',
      message: /does not belong to the modality/,
    },
    {
      name: 'with crossed thresholds',
      path: 'thresholds',
      value: { low: 0.8, high: 0.2 },
      message: /low must be below high/,
    },
    { name: 'without golden files', path: 'golden', value: [], message: /golden/ },
    {
      name: 'naming a file above the package',
      path: 'graphs.classifier.file',
      value: '../x.onnx',
      message: /inside the package/,
    },
    {
      name: 'naming an absolute file',
      path: 'graphs.classifier.file',
      value: '/etc/passwd',
      message: /inside the package/,
    },
    {
      name: 'naming a parent in the middle',
      path: 'graphs.classifier.file',
      value: 'a/../../b',
      message: /inside the package/,
    },
    {
      name: 'with a digest that is none',
      path: 'graphs.classifier.sha256',
      value: 'abc',
      message: /64 lower-case/,
    },
    {
      name: 'whose calibration turns scores round',
      path: 'calibration',
      value: { method: 'platt', slope: -1, intercept: 0 },
      message: /calibration\.slope/,
    },
    {
      name: 'whose table of scores has one point',
      path: 'calibration',
      value: { method: 'isotonic', points: [{ logit: 0, score: 0.5 }] },
      message: /calibration\.points/,
    },
    {
      name: 'whose table of scores has two points at one place',
      path: 'calibration',
      value: isotonic([0, 0.2], [0, 0.5]),
      message: /calibration\.points: logits must rise/,
    },
    {
      name: 'whose table of scores falls',
      path: 'calibration',
      value: isotonic([0, 0.5], [1, 0.4]),
      message: /calibration\.points: scores must not fall/,
    },
    {
      name: 'whose table holds what is no probability',
      path: 'calibration',
      value: isotonic([0, 0.5], [1, 1.4]),
      message: /calibration\.points\.1\.score/,
    },
  ];
  for (const { name, path, value, message } of refused) {
    test(`${name} is refused, and the message says where`, () => {
      assert.throws(() => parseManifest(manifestWith(path, value)), message);
    });
  }

  test('with several problems is refused with all of them in one line', () => {
    const source = valid
      .replace('formatVersion: 1', 'formatVersion: 3')
      .replace('version: 1.2.3', 'version: new');
    assert.throws(() => parseManifest(source), /^Error: formatVersion: .*; version: .*$/);
  });

  test('that is not YAML is refused in one line', () => {
    assert.throws(() => parseManifest('a: [1'), /^Error: not YAML: .*$/);
  });

  test('with aliases, which could expand without end, is refused', () => {
    assert.throws(() => parseManifest('a: &a [x]\nb: [*a, *a]\n'), /not YAML/);
  });
});
