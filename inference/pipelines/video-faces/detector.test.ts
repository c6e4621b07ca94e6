import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { analysed } from '../../testing/detectors.ts';
import {
  faceClip,
  portrait,
  writeImageFacesPackage,
  writeVideoFacesPackage,
} from '../../testing/face-packages.ts';
import { flatImage } from '../../testing/media.ts';
import type { Analysis } from '../analysis.ts';
import { reducedTo } from './detector.ts';

const bright = { x: '0', y: '40', side: 260 };
const dark = { x: '320', y: '20', side: 320, brightness: -0.2 };
const one = await faceClip([{ x: '20+60*t', y: '40', side: 300 }]);
const coming = await faceClip([{ ...bright, when: 'between(t,0.5,1.5)' }]);
const pair = await faceClip([bright, dark]);
const nobody = await faceClip([]);

type Pipeline = Readonly<Record<string, unknown>>;
const judged = (media: Uint8Array, pipeline: Pipeline = {}, manifest: Pipeline = {}) =>
  analysed((folder) => writeVideoFacesPackage(folder, { pipeline, manifest }), media);

/** Tracks of each frame's faces. */
const idsOf = ({ frames = [] }: Analysis) =>
  frames.map(({ faces = [] }) => faces.map(({ track_id }) => track_id));

describe('the faces of a video', () => {
  test('are one track while a face moves, and its box moves with it', async () => {
    const { analysis, steps, runs } = await judged(one);
    assert.deepEqual(idsOf(analysis), [[0], [0], [0], [0], [0]]);
    // The face lies a little left of the middle of the portrait's 300 px, in its upper quarter.
    for (const { t_s, faces = [] } of analysis.frames ?? []) {
      const [{ box } = { box: { x: NaN, y: NaN, width: NaN, height: NaN } }] = faces;
      assert.ok(Math.abs(box.x + box.width / 2 - (20 + 60 * t_s + 132)) < 8, JSON.stringify(box));
      assert.ok(Math.abs(box.y + box.height / 2 - 110) < 8, JSON.stringify(box));
    }
    assert.deepEqual(
      analysis.tracks?.map(({ track_id, span_s }) => [track_id, span_s.map((s) => s.toFixed(1))]),
      [[0, ['0.2', '1.8']]],
    );
    assert.equal(analysis.verdict, 'DEEPFAKE');
    assert.deepEqual(steps.map(({ progress, total }) => [progress, total]).at(-1), [5, 5]);
    assert.deepEqual(runs.slice(-5), [1, 1, 1, 1, 1]);
  });

  test('do not count where there are none', async () => {
    const { analysis } = await judged(coming);
    assert.deepEqual(idsOf(analysis), [[], [0], [0], [0], []]);
    assert.deepEqual(
      analysis.frames?.map(({ score }) => score === null),
      [true, false, false, false, true],
    );
    const scores = (analysis.frames ?? []).flatMap(({ score }) => score ?? []);
    assert.ok(Math.abs((analysis.score ?? 0) - Math.max(...scores)) < 0.01, `${analysis.score} of ${scores}`);
    assert.deepEqual(
      analysis.segments?.map(({ start_s, end_s }) => [start_s.toFixed(1), end_s.toFixed(1)]),
      [['0.6', '1.8']],
    );
    assert.match(analysis.explanations[1]?.text ?? '', / of 3 frames /);
  });

  test('of two people are two tracks, and the one that looks more like a fake stands for the frame', async () => {
    const { analysis } = await judged(pair);
    // The larger face comes first.
    const [first, second] = analysis.tracks ?? [];
    assert.deepEqual(idsOf(analysis), Array(5).fill([0, 1]));
    assert.ok((first?.score ?? 1) < 0.2 && (second?.score ?? 0) > 0.7, JSON.stringify(analysis.tracks));
    for (const { score, faces = [] } of analysis.frames ?? []) assert.equal(score, faces[1]?.score);
    assert.deepEqual(analysis.signals['total_faces_detected'], 10);
  });

  const choices: { name: string; pipeline: Pipeline; faces: number; notes: string[] }[] = [
    {
      name: 'are the largest ones where the package takes fewer',
      pipeline: { faces: { max: 1, minSide: 20 } },
      faces: 5,
      notes: ['Only the largest face of a picture was judged.'],
    },
    {
      name: 'are those that are large enough',
      pipeline: { faces: { max: 4, minSide: 60 } },
      faces: 5,
      notes: ['Faces of fewer than 60 px were not judged.'],
    },
    { name: 'are found in smaller frames', pipeline: { maxFrameSide: 320 }, faces: 10, notes: [] },
  ];
  for (const { name, pipeline, faces, notes } of choices) {
    test(name, async () => {
      const { analysis } = await judged(pair, pipeline);
      assert.equal(analysis.signals['total_faces_detected'], faces);
      assert.deepEqual(analysis.notes, notes);
      // The darker one is the larger one, and its box is that of the video's own frames.
      const { x = NaN, width = NaN } = analysis.frames?.[0]?.faces?.[0]?.box ?? {};
      assert.ok(Math.abs(x + width / 2 - 460) < 10, `${x} ${width}`);
    });
  }

  const inconclusive: {
    name: string;
    media: Uint8Array;
    pipeline: Pipeline;
    reason: string;
  }[] = [
    { name: 'that are not there give no verdict', media: nobody, pipeline: {}, reason: 'no_face' },
    {
      name: 'in too few frames give no verdict',
      media: coming,
      pipeline: { minFrames: 4 },
      reason: 'too_few_faces',
    },
    {
      name: 'too small to judge give no verdict',
      media: one,
      pipeline: { faces: { max: 4, minSide: 200 } },
      reason: 'no_face',
    },
    {
      name: 'of a clip too short for the model give no verdict',
      media: one,
      pipeline: { minFrames: 30, sampling: { mode: 'uniform', frames: 40 } },
      reason: 'too_short',
    },
  ];
  for (const { name, media, pipeline, reason } of inconclusive) {
    test(name, async () => {
      const { analysis } = await judged(media, pipeline);
      assert.deepEqual(
        [analysis.score, analysis.verdict, analysis.inconclusiveReasons],
        [null, 'INCONCLUSIVE', [reason]],
      );
      assert.deepEqual([analysis.frames, analysis.tracks, analysis.segments], [[], undefined, undefined]);
      assert.equal(analysis.signals['average_face_score'], undefined);
      assert.deepEqual(
        analysis.explanations.map(({ code }) => code),
        [reason],
      );
    });
  }

  test('follow the rule of sure frames where the package says so', async () => {
    const rule = { method: 'confident', high: 0.7, fakeShare: 0.5, fakeFrames: 3, low: 0.2, realShare: 0.9 };
    const { analysis } = await judged(one, { aggregation: rule });
    const scores = (analysis.frames ?? []).flatMap(({ score }) => score ?? []);
    const average = scores.reduce((sum, score) => sum + score, 0) / scores.length;
    assert.ok(Math.abs((analysis.score ?? 0) - average) < 1e-6, `${analysis.score} is not ${average}`);
  });
});

describe('the faces of an image', () => {
  const judgedImage = (media: Uint8Array) => analysed((folder) => writeImageFacesPackage(folder), media);

  test('are judged as those of a single frame', async () => {
    const { analysis } = await judgedImage(await readFile(portrait));
    assert.equal(analysis.verdict, 'DEEPFAKE');
    assert.deepEqual(idsOf(analysis), [[0]]);
    assert.equal(analysis.score, analysis.frames?.[0]?.score);
    assert.deepEqual(analysis.signals['total_faces_detected'], 1);
  });

  test('that are not there give no verdict', async () => {
    const { analysis } = await judgedImage(
      await flatImage({ width: 200, height: 100, level: 255, format: 'png' }),
    );
    assert.deepEqual([analysis.score, analysis.inconclusiveReasons], [null, ['no_face']]);
  });
});

test('frames are reduced to the limit and never enlarged', () => {
  assert.deepEqual(reducedTo(640, { width: 1920, height: 1080 }), { width: 640, height: 360 });
  assert.deepEqual(reducedTo(640, { width: 320, height: 240 }), { width: 320, height: 240 });
  assert.deepEqual(reducedTo(64, { width: 4000, height: 10 }), { width: 64, height: 1 });
});
