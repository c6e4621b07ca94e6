import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Face, landmarkCount } from './faces.ts';
import { meshToPicture, meshView } from './mesh.ts';

/** A face of 60 x 40 px around (100, 100) whose eyes lie at these places. */
function face(rightEye: readonly [number, number], leftEye: readonly [number, number]): Face {
  const keypoints = [rightEye, leftEye].map(([x, y]) => ({ x, y }));
  return { box: { x: 70, y: 80, width: 60, height: 40 }, score: 1, keypoints };
}

describe('the mesh looks at a square', () => {
  const rows = [
    { name: 'that is upright where the eyes are level', head: face([90, 95], [110, 95]), radians: 0 },
    { name: 'that turns with the head', head: face([95, 90], [105, 100]), radians: Math.PI / 4 },
    { name: 'that stands on its head with it', head: face([110, 105], [90, 105]), radians: Math.PI },
  ];
  for (const { name, head, radians } of rows) {
    test(name, () => {
      assert.deepEqual(meshView(head), { centre: { x: 100, y: 100 }, width: 90, height: 90, radians });
    });
  }
});

test('points of the mesh go back to the picture, turned and as large as the face', () => {
  const points = new Float32Array(3 * landmarkCount);
  points.set([192, 96, -48], 3);
  const moved = meshToPicture(points, 192, {
    centre: { x: 100, y: 100 },
    width: 90,
    height: 90,
    radians: Math.PI / 2,
  });
  assert.equal(moved.length, 3 * landmarkCount);
  assert.deepEqual(
    Array.from(moved.subarray(3, 6), (value) => Math.round(value * 1e3) / 1e3),
    [100, 145, -22.5],
  );
});
