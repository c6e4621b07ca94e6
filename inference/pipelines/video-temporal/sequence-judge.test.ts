import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Encoder } from '../../engine/encoder.ts';
import { Classifier } from '../../engine/session.ts';
import type { Frame } from '../../media/video.ts';
import golden from '../../testing/golden/video-temporal.json' with { type: 'json' };
import { inTemporaryFolder } from '../../testing/media.ts';
import { frameEncoderGraph, temporalHeadGraph } from '../../testing/sequence-graphs.ts';
import { clipIndices, windowStarts } from '../sequences.ts';
import { frameReader } from '../videos.ts';
import { type Head, judgeSequences } from './sequence-judge.ts';
import { timelineSignals } from './timeline.ts';

const { side, width, units, rollingWindows } = golden;
const { signal } = new AbortController();
const read = frameReader(
  { width: side, height: side, fit: 'fill', interpolation: 'area' },
  { channels: 'rgb', layout: 'nchw', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
);

/** The same as `frame` in `testing/golden/video-temporal.py`. */
function frameAt(index: number): Frame {
  const data = new Uint8Array(3 * side * side);
  for (let row = 0; row < side; row += 1)
    for (let column = 0; column < side; column += 1)
      for (let channel = 0; channel < 3; channel += 1)
        data[3 * (row * side + column) + channel] =
          (index * index * 7 + row * 3 + column * 5 + channel * (11 + 31 * index)) % 256;
  return { index, seconds: index / 10, raster: { data, width: side, height: side } };
}

async function* framesAt(indices: readonly number[]): AsyncGenerator<Frame> {
  for (const index of indices) yield frameAt(index);
}

interface Bench {
  /** Features of the frames with these indices. */
  encode(indices: readonly number[]): Promise<readonly Float32Array[]>;
  readonly head: Head;
  /** Frames that went through the encoder, and sequences that went through the head. */
  readonly runs: { encoder: number; head: number };
}

async function withGraphs(sequence: number, action: (bench: Bench) => Promise<void>): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const runs = { encoder: 0, head: 0 };
    const entryOf = async (name: 'encoder' | 'head', bytes: Uint8Array, input: string, output: string) => {
      const path = join(folder, `${name}.onnx`);
      await writeFile(path, bytes);
      const options = {
        device: 'cpu',
        intraOpThreads: 1,
        batch: { maxItems: 8, maxElements: 1e6, maxDelayMs: 0 },
        onRun: (items: number) => {
          runs[name] += items;
        },
      } as const;
      return [
        path,
        { sha256: createHash('sha256').update(bytes).digest('hex'), input, output },
        options,
      ] as const;
    };
    const encoder = await Encoder.open(
      ...(await entryOf('encoder', frameEncoderGraph(side, width), 'frames', 'features')),
    );
    const head = await Classifier.open(
      ...(await entryOf('head', temporalHeadGraph(sequence, width, units), 'features', 'logit')),
    );
    await action({
      runs,
      head: (items, itemShape) => head.logits(items, itemShape, signal),
      encode: async (indices) => {
        const encode = (items: Float32Array, itemShape: readonly number[]) =>
          encoder.features(items, itemShape, signal);
        return (await read(framesAt(indices), encode, () => undefined)).values;
      },
    });
  });
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

function assertClose(found: readonly number[], expected: readonly number[], what: string): void {
  assert.equal(found.length, expected.length, what);
  for (const [index, value] of expected.entries()) {
    const difference = Math.abs((found[index] ?? NaN) - value);
    assert.ok(difference < 1e-5, `${what} ${index}: ${found[index]}, but numpy says ${value}`);
  }
}

describe('the logits of numpy, which encodes the frames of each window anew, are those', () => {
  for (const { name, frames, sequence, windows, ...expected } of golden.cases) {
    test(`of ${name}`, async () => {
      await withGraphs(sequence, async ({ encode, head, runs }) => {
        const judged = await judgeSequences(await encode(upTo(frames)), { sequence, windows }, head);
        const logits = judged.windows.map(({ logit }) => logit);
        assertClose([judged.logit], [expected.logit], 'clip');
        assertClose(logits, expected.windowLogits, 'window');
        const scores = logits.map((logit) => 1 / (1 + Math.exp(-logit)));
        const found = timelineSignals(scores, 0.5, rollingWindows);
        const { rolling_average_scores: rolling, ...single } = expected.signals;
        assertClose(found.rolling_average_scores, rolling, 'rolling average');
        for (const [key, value] of Object.entries(single))
          assertClose([found[key as keyof typeof single]], [value], key);
        assert.equal(runs.encoder, frames);
      });
    });
  }
});

describe('a head that slides over the features of 300 frames', () => {
  const frames = 300;
  const parameters = { sequence: 120, windows: 50 };

  test('says what it says when each window encodes its frames anew, and needs 300 runs of the encoder for 6,120', async () => {
    await withGraphs(parameters.sequence, async ({ encode, head, runs }) => {
      const judged = await judgeSequences(await encode(upTo(frames)), parameters, head);
      assert.deepEqual(runs, { encoder: 300, head: 51 });

      runs.encoder = 0;
      const anew = async (indices: readonly number[]) => {
        const alone = await judgeSequences(await encode(indices), { ...parameters, windows: 1 }, head);
        return alone.logit;
      };
      const starts = windowStarts(frames, parameters.sequence, parameters.windows);
      assert.equal(await anew(clipIndices(frames, parameters.sequence)), judged.logit);
      for (const [index, start] of starts.entries()) {
        const indices = upTo(parameters.sequence).map((offset) => start + offset);
        assert.equal(await anew(indices), judged.windows[index]?.logit, `window ${index}`);
      }
      assert.equal(runs.encoder, 6_120);
      assert.ok(new Set(judged.windows.map(({ logit }) => logit)).size > 40, 'the windows differ');
    });
  });
});

test('features of different lengths are refused', async () => {
  const rows = [Float32Array.of(1, 2), Float32Array.of(1)];
  const never: Head = () => assert.fail('nothing is judged');
  await assert.rejects(judgeSequences(rows, { sequence: 2, windows: 1 }, never), /different lengths/);
});
