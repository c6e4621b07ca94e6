import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openFaceFinder } from '../../../inference/faces/finder.ts';
import { loadPackage } from '../../../inference/models/package.ts';
import { writeColourCuesPackage, writeEyeBlinkPackage } from '../../../inference/testing/cue-packages.ts';
import { analysed } from '../../../inference/testing/detectors.ts';
import { faceClip } from '../../../inference/testing/face-packages.ts';
import { asFile, clip, inTemporaryFolder } from '../../../inference/testing/media.ts';
import { writeVideoPackage } from '../../../inference/testing/packages.ts';
import {
  writeTemporalPackage,
  writeVideoAudioPackage,
} from '../../../inference/testing/sequence-packages.ts';
import { followedPoints, recorded } from './recording.ts';

const options = { device: 'cpu', intraOpThreads: 1 } as const;
const face = () => faceClip([{ x: '100', y: '40', side: 300 }]);
const scene = () =>
  clip({ source: 'testsrc2=size=96x64:rate=10:duration=2', extension: 'mp4', soundSeconds: 2 });

async function tensorsOf(write: (folder: string) => Promise<unknown>, media: Uint8Array) {
  return inTemporaryFolder(async (folder) => {
    await write(folder);
    const { manifest } = await loadPackage(folder);
    return asFile(media, (path) => recorded(path, manifest.pipeline, () => openFaceFinder(options)));
  });
}

describe('what is recorded', () => {
  // The graphs of these packages are gain * (mean of an item - centre).
  const rows = [
    { family: 'video-frames', write: writeVideoPackage, media: scene, centre: 0, gain: 4 },
    { family: 'video-colour-cues', write: writeColourCuesPackage, media: face, centre: 8, gain: 0.5 },
    { family: 'video-eye-blink', write: writeEyeBlinkPackage, media: face, centre: 0, gain: 4 },
  ];
  for (const { family, write, media, centre, gain } of rows) {
    test(`of ${family} gives the pod's own score`, async () => {
      const bytes = await media();
      const { graphs } = await tensorsOf(write, bytes);
      const { analysis } = await analysed(write, bytes);
      const means = (graphs['classifier']?.items ?? []).map(
        (item) => item.reduce((sum, value) => sum + value, 0) / item.length,
      );
      const logit = means.reduce((sum, value) => sum + gain * (value - centre), 0) / means.length;
      assert.ok(Math.abs(1 / (1 + Math.exp(-logit)) - (analysis.score ?? NaN)) < 1e-4, `${analysis.score}`);
    });
  }

  test('of video-temporal are the frames that are encoded', async () => {
    const { graphs } = await tensorsOf(writeTemporalPackage, await scene());
    const { analysis } = await analysed(writeTemporalPackage, await scene());
    assert.equal(graphs['encoder']?.items.length, analysis.signals['frames_analysed']);
  });

  test('of video-audio are frames and windows of the sound, and what the head is told of both', async () => {
    const { graphs } = await tensorsOf(writeVideoAudioPackage, await scene());
    const { analysis } = await analysed(writeVideoAudioPackage, await scene());
    assert.equal(graphs['encoder']?.items.length, analysis.signals['frames_analysed']);
    assert.equal(graphs['audio']?.items.length, analysis.signals['sound_windows_analysed']);
    assert.deepEqual([...(graphs['classifier']?.items[0]?.slice(-2) ?? [])], [1, 1]);
  });

  test('of another family is an error', async () => {
    const pipeline = { type: 'image-residual', crop: 256, tiles: 9, minSide: 128, aggregation: 'mean-logit' };
    await assert.rejects(
      recorded('none.png', pipeline as Parameters<typeof recorded>[1], () => openFaceFinder(options)),
      /tensors of image-residual cannot be recorded/,
    );
  });
});

test('the mesh of a face has a row for every frame, and NaN where there is none', async () => {
  const finder = await openFaceFinder(options);
  const seen = await asFile(await face(), (path) => followedPoints(path, finder, 5));
  assert.deepEqual(seen.itemShape, [3 * 468]);
  assert.ok(seen.items.every((points) => points.every(Number.isFinite)));
  const empty = await asFile(await scene(), (path) => followedPoints(path, finder, 5));
  assert.ok(empty.items.length > 0 && empty.itemShape[0] === 0);
});
