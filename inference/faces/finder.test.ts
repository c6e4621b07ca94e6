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

/** The photograph's head, with a face of so many pixels, in the middle of gray noise. */
async function withFace(width: number, height: number, face: number): Promise<Raster> {
  const head = Math.round((face * 170) / 105);
  const input = await sharp(photograph)
    .extract({ left: 140, top: 20, width: 170, height: 170 })
    .resize(head, head)
    .png()
    .toBuffer();
  const noise = { type: 'gaussian', mean: 128, sigma: 20 } as const;
  const canvas = sharp({ create: { width, height, channels: 3, background: '#000', noise } });
  const [left, top] = [Math.round((width - head) / 2), Math.round((height - head) / 2)];
  return rasterOf(sharp(await canvas.composite([{ input, left, top }]).png().toBuffer()));
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
    const noise = { type: 'gaussian', mean: 128, sigma: 20 } as const;
    const { width, height } = raster;
    const other = sharp({ create: { width, height, channels: 3, background: '#000', noise } });
    assert.ok((await finder.landmarks(await rasterOf(other), face, signal)).presence < 0.5);
  });
});

describe('a search', () => {
  const rows = [
    { name: 'sees a face of a tenth of a large picture', width: 1280, height: 720, face: 128 },
    { name: 'sees a face of 32 px in 1280 on a second look', width: 1280, height: 720, face: 32 },
    { name: 'sees a small face in a high picture', width: 720, height: 1280, face: 48 },
  ];
  for (const { name, width, height, face } of rows) {
    test(name, async () => {
      const faces = await finder.find(await withFace(width, height, face), signal);
      assert.equal(faces.length, 1);
      const [{ box } = { box: { x: NaN, y: NaN, width: NaN, height: NaN } }] = faces;
      const expected = { x: (width - face) / 2, y: (height - face) / 2, width: face, height: face };
      assert.ok(overlap(box, expected) > 0.5, JSON.stringify(box));
    });
  }

  test('finds nothing in noise, nor in a picture of one pixel', async () => {
    assert.deepEqual(await finder.find({ data: new Uint8Array(3), width: 1, height: 1 }, signal), []);
    const noise = { type: 'gaussian', mean: 128, sigma: 60 } as const;
    const image = sharp({ create: { width: 640, height: 360, channels: 3, background: '#000', noise } });
    assert.deepEqual(await finder.find(await rasterOf(image), signal), []);
  });

  test('ends with the reason for which it was aborted', async () => {
    const reason = new Error('the client left');
    const raster = await withFace(200, 200, 50);
    await assert.rejects(finder.find(raster, AbortSignal.abort(reason)), reason);
  });
});

test('a graph that is another one than the program was made with is refused', async () => {
  const path = at('graphs/face-mesh.onnx');
  await assert.rejects(
    OwnGraph.open(path, '0'.repeat(64), 1),
    /face-mesh\.onnx: the SHA-256 is .*install the program again$/,
  );
});
