import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { meshPoints, type ScriptedFace } from '../testing/scripted-faces.ts';
import { eyeAspectRatio, eyePoints, eyesBox, openness } from './eyes.ts';
import { boxAround, faceOf } from './landmarks.ts';

const box = { x: 10, y: 20, width: 100, height: 120 };
type Pair = readonly [number, number];

describe('the eye aspect ratio', () => {
  const eye = (lids: number, size = 1, radians = 0) => {
    const [sin, cos] = [Math.sin(radians), Math.cos(radians)];
    const at = (x: number, y: number) => ({ x: size * (x * cos - y * sin), y: size * (x * sin + y * cos) });
    return [at(0, 0), at(10, -lids), at(20, -lids), at(30, 0), at(20, lids), at(10, lids)] as const;
  };
  const rows = [
    { name: 'is the height over the width', eye: eye(4.5), ratio: 0.3 },
    { name: 'is that of a larger eye', eye: eye(4.5, 7), ratio: 0.3 },
    { name: 'is that of a head on its side', eye: eye(4.5, 1, Math.PI / 2), ratio: 0.3 },
    { name: 'is 0 of a closed eye', eye: eye(0), ratio: 0 },
  ];
  for (const { name, eye: points, ratio } of rows)
    test(name, () => assert.ok(Math.abs(eyeAspectRatio(points) - ratio) < 1e-9));
});

describe('how open the eyes are', () => {
  const rows: { name: string; face: Omit<ScriptedFace, 'box'>; expected: number | null }[] = [
    { name: 'is the mean of both', face: { ear: [0.2, 0.3] }, expected: 0.25 },
    {
      name: 'is that of the other eye where one is turned away',
      face: { ear: [0.2, 0.9], eyeWidths: [20, 9] },
      expected: 0.2,
    },
    {
      name: 'is the mean of eyes of which one is a little narrower',
      face: { ear: [0.2, 0.3], eyeWidths: [12, 20] },
      expected: 0.25,
    },
    {
      name: 'is that of the eye that is large enough',
      face: { ear: [0.2, 0.3], eyeWidths: [5, 3.9] },
      expected: 0.2,
    },
    { name: 'cannot be told of small eyes', face: { eyeWidths: [3, 3.9] }, expected: null },
  ];
  for (const { name, face, expected } of rows) {
    test(name, () => {
      const found = openness(meshPoints({ box, ...face }));
      if (expected === null) assert.equal(found, null);
      else assert.ok(Math.abs((found ?? NaN) - expected) < 1e-5, `${found}`);
    });
  }
});

test('the points of both eyes are six each, all different', () => {
  assert.equal(new Set([...eyePoints.right, ...eyePoints.left]).size, 12);
});

test('the box around both eyes reaches from outer to outer corner, and from lid to lid', () => {
  assert.deepEqual(eyesBox(meshPoints({ box, ear: 0.3 })), { x: 25, y: 57, width: 70, height: 6 });
});

test('a face is looked for again around its points, with its eyes level', () => {
  const eyes: readonly Pair[] = [
    [35, 60],
    [85, 60],
  ];
  const points = meshPoints({ box });
  assert.deepEqual(boxAround(points), box);
  assert.deepEqual(faceOf({ points, presence: 0.9 }), {
    box,
    score: 0.9,
    keypoints: eyes.map(([x, y]) => ({ x, y })),
  });
});
