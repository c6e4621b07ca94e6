import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Classifier } from '../engine/session.ts';
import { PixelBudget } from '../media/pixel-budget.ts';
import { loadPackage } from '../models/package.ts';
import { clip, inTemporaryFolder } from '../testing/media.ts';
import { writeVideoPackage } from '../testing/packages.ts';
import { analyzerOf } from './families.ts';

/** A graph that answers with these, however often it is asked. */
const graphOf = (logits: readonly number[]) => {
  let asked = 0;
  const next = () => logits[asked++ % logits.length] ?? NaN;
  const answer = async (items: Float32Array, [channels = 0, height = 0, width = 0]: readonly number[]) =>
    Float32Array.from({ length: items.length / (channels * height * width) }, next);
  return { logits: answer } as unknown as Classifier;
};

test('a graph that is not finite in one part of the media gives no verdict, whatever decides about the parts', async () => {
  await inTemporaryFolder(async (folder) => {
    const directory = join(folder, 'clip');
    await writeVideoPackage(directory, { pipeline: { aggregation: 'max' } });
    const { manifest } = await loadPackage(directory);
    const path = join(folder, 'upload');
    await writeFile(
      path,
      await clip({ source: 'color=white:size=64x64:rate=10:duration=1', extension: 'mp4' }),
    );
    const analyse = (logits: readonly number[]) =>
      analyzerOf(manifest, graphOf(logits))(
        { path, media: { kind: 'video', mime: 'video/mp4', demuxer: 'mov' } },
        {
          signal: new AbortController().signal,
          pixelBudget: new PixelBudget(1e6),
          videoLimits: { maxSeconds: 60, maxPixels: 1e6, decoderThreads: 1 },
          emit: () => undefined,
          report: () => undefined,
        },
      );
    await assert.rejects(analyse([1, NaN, 2]), /not finite/);
    assert.notEqual((await analyse([1, 2])).score, null);
  });
});
