import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp, { type Sharp } from 'sharp';
import type { Raster } from '../dsp/tiles.ts';
import { OwnGraph } from '../engine/own-graph.ts';
import { overlap } from './boxes.ts';
import { type Face, landmarkCount } from './faces.ts';
import { openFaceFinder } from './finder.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Made by `models/faces/run golden`: what MediaPipe itself finds. */
const golden: { faces: Face[]; landmarks: number[] } = JSON.parse(
  await readFile(at('golden/photograph-real.json'), 'utf8'),
);
const photograph = at('../../test/fixtures/media/photograph-real.jpg');
const finder = await openFaceFinder({ intraOpThreads: 1 });
const { signal } = new AbortController();

async function rasterOf(image: Sharp): Promise<Raster> {
  const { data, info } = await image.removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** Gray noise that is the same in every run. */
function noise(width: number, height: number, amplitude: number): Raster {
  let state = 1;
  const data = Uint8Array.from({ length: 3 * width * height }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return 128 + amplitude * (state / 2 ** 30 - 1);
  });
  return { data, width, height };
}

/** The photograph's head, with a face of so many pixels around the place, in gray noise. */
async function withFace({
  width,
  height,
  face,
  x,
  y,
}: Record<'width' | 'height' | 'face' | 'x' | 'y', number>) {
  const head = Math.round((face * 170) / 105);
  const input = await sharp(photograph)
    .extract({ left: 140, top: 20, width: 170, height: 170 })
    .resize(head, head)
    .png()
    .toBuffer();
  const canvas = sharp(noise(width, height, 40).data, { raw: { width, height, channels: 3 } });
  // The middle of the face lies at (86, 99) of the head's 170 px.
  const place = { left: Math.round(x - (86 / 170) * head), top: Math.round(y - (99 / 170) * head) };
  return rasterOf(
    sharp(
      await canvas
        .composite([{ input, ...place }])
        .png()
        .toBuffer(),
    ),
  );
}

describe('the face of a photograph', async () => {
  const raster = await rasterOf(sharp(photograph));
  const faces = await finder.find(raster, signal);
  const [face] = faces;
  assert.ok(face !== undefined);

  // MediaPipe does not average where it shrinks the picture, as this does: 3 px of a face of 105 px.
  test('lies where MediaPipe finds it, and nowhere else', () => {
    assert.equal(faces.length, 1);
    const [expected] = golden.faces;
    assert.ok(expected !== undefined);
    assert.ok(overlap(face.box, expected.box) > 0.94, `${JSON.stringify(face.box)}`);
    assert.ok(Math.abs(face.score - expected.score) < 0.03, `${face.score}`);
    for (const [index, point] of expected.keypoints.entries()) {
      const found = face.keypoints[index] ?? { x: NaN, y: NaN };
      const distance = Math.hypot(found.x - point.x, found.y - point.y);
      assert.ok(distance < 4, `keypoint ${index} is ${distance} px away`);
    }
  });

  // MediaPipe's own mesh starts from the box of another detector: 3 px at most, 1 px on average.
  test('has the landmarks that MediaPipe finds', async () => {
    const { points, presence } = await finder.landmarks(raster, face, signal);
    assert.ok(presence > 0.99, `${presence}`);
    assert.equal(points.length, 3 * landmarkCount);
    const distances = Array.from(points, (value, index) =>
      Math.abs(value - (golden.landmarks[index] ?? NaN)),
    );
    assert.ok(Math.max(...distances) < 4, `${Math.max(...distances)}`);
    const average = distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
    assert.ok(average < 1, `${average}`);
  });

  test('of another picture are computed from that picture', async () => {
    const other = noise(raster.width, raster.height, 40);
    assert.ok((await finder.landmarks(other, face, signal)).presence < 0.5);
  });
});

describe('a search', () => {
  const large = { width: 1280, height: 720 };
  const rows = [
    { name: 'sees a face of a tenth of a large picture', ...large, face: 128, x: 640, y: 360 },
    { name: 'sees a face of a thirtieth in the corner', ...large, face: 43, x: 60, y: 60 },
    { name: 'sees a face of 32 px in 1280 in the middle', ...large, face: 32, x: 640, y: 360 },
    { name: 'sees a face of 32 px in 1280 at an edge', ...large, face: 32, x: 1240, y: 500 },
    { name: 'sees a small face in a high picture', width: 720, height: 1280, face: 48, x: 300, y: 900 },
    { name: 'sees a face that fills the picture', width: 300, height: 300, face: 170, x: 150, y: 170 },
  ];
  for (const { name, ...row } of rows) {
    test(name, async () => {
      const faces = await finder.find(await withFace(row), signal);
      assert.equal(faces.length, 1);
      const [{ box } = { box: { x: NaN, y: NaN, width: NaN, height: NaN } }] = faces;
      const expected = {
        x: row.x - row.face / 2,
        y: row.y - row.face / 2,
        width: row.face,
        height: row.face,
      };
      assert.ok(overlap(box, expected) > 0.6, JSON.stringify(box));
    });
  }

  test('finds nothing in noise, nor in a picture of one pixel', async () => {
    assert.deepEqual(await finder.find(noise(1, 1, 0), signal), []);
    assert.deepEqual(await finder.find(noise(640, 360, 100), signal), []);
  });

  test('ends with the reason for which it was aborted', async () => {
    const reason = new Error('the client left');
    await assert.rejects(finder.find(noise(200, 200, 40), AbortSignal.abort(reason)), reason);
  });
});

test('a graph that is another one than the program was made with is refused', async () => {
  const path = at('graphs/face-mesh.onnx');
  await assert.rejects(
    OwnGraph.open(path, '0'.repeat(64), 1),
    /face-mesh\.onnx: the SHA-256 is .*install the program again$/,
  );
});
