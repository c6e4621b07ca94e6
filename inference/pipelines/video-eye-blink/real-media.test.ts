import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { writeColourCuesPackage, writeEyeBlinkPackage } from '../../testing/cue-packages.ts';
import { analysed } from '../../testing/detectors.ts';

/** A folder with clips of people, which are not part of the repository. */
const folder = process.env['DEEPFAKE_SHARED'];
const skip = folder === undefined && 'DEEPFAKE_SHARED names no folder with real media';
const clips = join(folder ?? '', 'media/video/real/liveportrait-driving');

const pipeline = {
  blinks: { threshold: { mode: 'adaptive', percentile: 80, share: 0.8 }, minFrames: 2 },
  sampling: { mode: 'fps', rate: 15, maxFrames: 300 },
};

describe('clips of one person', { skip }, () => {
  // Times at which eyes are seen closed on a sheet of 7.5 pictures a second; shorter ones may be missed there, and looks downwards count as well.
  const rows = [
    { name: 'examples_driving_d9.mp4', blinks: 12, within: 2 },
    { name: 'examples_source_s20.mp4', blinks: 4, within: 0 },
    { name: 'examples_driving_d20.mp4', blinks: 0, within: 0 },
  ];
  for (const { name, blinks, within } of rows) {
    test(`${name}: the face is followed through all frames, and its blinks are found`, async () => {
      const media = await readFile(join(clips, name));
      const { analysis } = await analysed(
        (directory) => writeEyeBlinkPackage(directory, { pipeline }),
        media,
      );
      const { signals } = analysis;
      assert.equal(signals['frames_with_face'], signals['frames_analysed']);
      const { blink_count } = signals;
      assert.ok(
        typeof blink_count === 'number' && Math.abs(blink_count - blinks) <= within,
        `${blink_count}`,
      );
    });
  }

  test('have a histogram of colours for every frame', async () => {
    const sampling = { mode: 'uniform', frames: 50 };
    const media = await readFile(join(clips, 'examples_driving_d9.mp4'));
    const { analysis } = await analysed(
      (directory) => writeColourCuesPackage(directory, { pipeline: { sampling } }),
      media,
    );
    assert.deepEqual([analysis.signals['frames_with_face'], analysis.signals['sequence_count']], [50, 47]);
  });
});
