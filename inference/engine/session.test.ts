import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { inTemporaryFolder } from '../testing/media.ts';
import { type MeanGraph, meanGraph } from '../testing/onnx.ts';
import { jointHeadGraph, loudnessGraph } from '../testing/sequence-graphs.ts';
import { Encoder } from './encoder.ts';
import { Classifier, type ClassifierOptions } from './session.ts';

const graph: MeanGraph = { input: 'samples', itemShape: [4], centre: 0, gain: 2 };
const one = new Uint8Array(Float32Array.of(1).buffer);
const options: ClassifierOptions = {
  device: 'cpu',
  intraOpThreads: 1,
  batch: { maxItems: 4, maxElements: 1_000, maxDelayMs: 0 },
  onRun: () => undefined,
};

function open(
  path: string,
  bytes: Uint8Array,
  overrides: Partial<ClassifierOptions> = {},
): Promise<Classifier> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return Classifier.open(path, { sha256, input: 'samples', output: 'logit' }, { ...options, ...overrides });
}

describe('a graph', () => {
  test('computes one logit for each item', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'classifier.onnx');
      await writeFile(path, meanGraph(graph));
      const classifier = await open(path, meanGraph(graph));
      const items = Float32Array.of(1, 1, 1, 1, 3, 3, 3, 3);
      assert.deepEqual([...(await classifier.logits(items, [4], new AbortController().signal))], [2, 6]);
    });
  });

  test('computes items of concurrent callers together, and gives each its own', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'classifier.onnx');
      await writeFile(path, meanGraph(graph));
      const runs: number[] = [];
      const classifier = await open(path, meanGraph(graph), { onRun: (items) => runs.push(items) });
      const { signal } = new AbortController();
      const answers = await Promise.all(
        [[1], [2, 3], [4, 5]].map((values) =>
          classifier.logits(Float32Array.from(values.flatMap((value) => Array(4).fill(value))), [4], signal),
        ),
      );
      assert.deepEqual(
        answers.map((logits) => [...logits]),
        [[2], [4, 6], [8, 10]],
      );
      assert.deepEqual(runs, [1, 4]);
    });
  });

  test('with several inputs takes them as one row, and gives each item its own', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'classifier.onnx');
      const gains = { frames: 10, sound: 100, presence: [1000, 2000] } as const;
      const bytes = jointHeadGraph({ frames: [2, 1], sound: [1, 2], gains });
      await writeFile(path, bytes);
      const names = { input: 'frames', joint: { sound: 'sound', presence: 'presence' }, output: 'logit' };
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const classifier = await Classifier.open(path, { ...names, sha256 }, options);
      const items = Float32Array.of(1, 3, 5, 7, 1, 0, 2, 4, 6, 8, 0, 1);
      const logits = await classifier.logits(items, [6], new AbortController().signal);
      assert.deepEqual([...logits], [20 + 600 + 1000, 30 + 700 + 2000]);
      assert.deepEqual(
        classifier.joined.map(({ name, itemShape }) => [name, itemShape]),
        [
          ['frames', [2, 1]],
          ['sound', [1, 2]],
          ['presence', [2]],
        ],
      );
    });
  });

  test('that lacks one of several inputs is refused in one line', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'classifier.onnx');
      const bytes = meanGraph(graph);
      await writeFile(path, bytes);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const names = { sha256, input: 'samples', joint: { sound: 'sound', presence: 'p' }, output: 'logit' };
      await assert.rejects(
        Classifier.open(path, names, options),
        /^Error: .* names the input "samples" and "sound" and "p" and the output "logit"; correct the manifest$/,
      );
    });
  });

  test('that makes features gives each item its row', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'audio.onnx');
      const bytes = loudnessGraph(2, 3);
      await writeFile(path, bytes);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const encoder = await Encoder.open(path, { sha256, input: 'samples', output: 'loudness' }, options);
      const { signal } = new AbortController();
      const rows = await encoder.features(Float32Array.of(1, 3, -4, 6), [2], signal);
      assert.deepEqual(
        rows.map((row) => [...row]),
        [
          [2, 2, 2],
          [5, 5, 5],
        ],
      );
    });
  });

  for (const device of ['cuda', 'tensorrt'] as const) {
    test(`for ${device} is refused in one line where this build cannot use it`, async () => {
      await inTemporaryFolder(async (folder) => {
        const path = join(folder, 'classifier.onnx');
        await writeFile(path, meanGraph(graph));
        await assert.rejects(
          open(path, meanGraph(graph), { device }),
          new RegExp(
            `^Error: DEVICE=${device}: this build of onnxruntime cannot use it [^\\n]*; use DEVICE=cpu`,
          ),
        );
      });
    });
  }

  test('that was exchanged after its package was verified is refused in one line', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'classifier.onnx');
      await writeFile(path, meanGraph({ ...graph, gain: 3 }));
      await assert.rejects(
        open(path, meanGraph(graph)),
        /^Error: .*classifier\.onnx: the SHA-256 is [^\n]*$/,
      );
    });
  });

  const places: { name: string; location: (folder: string) => string }[] = [
    { name: 'beside it', location: () => 'weights.bin' },
    {
      name: 'in the working directory',
      location: (folder) => relative(process.cwd(), join(folder, 'weights.bin')),
    },
    { name: 'under an absolute path', location: (folder) => join(folder, 'weights.bin') },
    {
      name: 'above where tensors are looked for',
      location: (folder) => join('../..', folder, 'weights.bin'),
    },
  ];
  for (const { name, location } of places) {
    test(`with a tensor ${name} that no digest covers is refused in one line`, async () => {
      await inTemporaryFolder(async (parent) => {
        const folder = join(parent, 'package');
        await mkdir(folder);
        await writeFile(join(folder, 'weights.bin'), one);
        const bytes = meanGraph({ ...graph, gainFile: location(folder) });
        await writeFile(join(folder, 'classifier.onnx'), bytes);
        await assert.rejects(
          open(join(folder, 'classifier.onnx'), bytes),
          /^Error: .*cannot load the graph [^\n]*; export it again, as one file$/,
        );
      });
    });
  }
});
