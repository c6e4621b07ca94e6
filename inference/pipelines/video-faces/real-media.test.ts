import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { analysed } from '../../testing/detectors.ts';
import { portrait, writeVideoFacesPackage } from '../../testing/face-packages.ts';
import { writePackage } from '../../testing/packages.ts';

/** A folder with clips of people and third parties' models, which are not part of the repository. */
const folder = process.env['DEEPFAKE_SHARED'];
const skip = folder === undefined && 'DEEPFAKE_SHARED names no folder with real media';
const media = join(folder ?? '', 'media');

describe('clips of one person', { skip }, () => {
  const clips = join(media, 'video/real/liveportrait-driving');
  const names = folder === undefined ? [] : readdirSync(clips).filter((name) => name.endsWith('.mp4'));
  for (const name of names) {
    test(`${name} is one track through all frames`, async () => {
      const { analysis } = await analysed(
        (directory) => writeVideoFacesPackage(directory, { pipeline: { maxFrameSide: 720 } }),
        await readFile(join(clips, name)),
      );
      assert.deepEqual(
        analysis.frames?.map(({ faces = [] }) => faces.map(({ track_id }) => track_id)),
        Array(5).fill([0]),
      );
    });
  }
});

describe('Meso4, which knows face swaps by faces alone', { skip }, () => {
  /** `[n, 256, 256, 3]` in 0..1 to P(real). */
  async function writeMeso4(directory: string): Promise<void> {
    const manifest = { output: { positive: 'real', activation: 'none' } };
    const graph = await readFile(join(media, 'models/meso4/models_mesonet-benpinhasov_model.onnx'));
    const golden = await readFile(portrait);
    const pipeline = {
      type: 'image-faces',
      faces: { max: 1, minSide: 32 },
      crop: { width: 256, height: 256, margin: 0.25, fit: 'square' },
      pixels: { channels: 'rgb', layout: 'nhwc', mean: [0, 0, 0], std: [1, 1, 1] },
    };
    await writePackage(
      directory,
      { graph: { output: 'dense_1' }, manifest },
      { graph, golden, goldenFile: 'golden/face.jpg', goldenScore: 0.5 },
      { modality: 'image', pipeline, input: 'input' },
    );
  }

  const rows = [
    { file: 'test_images_df_df00204.jpg', verdict: 'fake' },
    { file: 'test_images_df_df01254.jpg', verdict: 'fake' },
    { file: 'test_images_real_real00240.jpg', verdict: 'real' },
    { file: 'test_images_real_real00772.jpg', verdict: 'real' },
  ];
  for (const { file, verdict } of rows) {
    test(`calls ${file} ${verdict}`, async () => {
      const { analysis } = await analysed(writeMeso4, await readFile(join(media, 'image/mesonet', file)));
      assert.equal((analysis.score ?? NaN) >= 0.5 ? 'fake' : 'real', verdict, `${analysis.score}`);
    });
  }
});
