import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { overlap } from './boxes.ts';
import { anchorsOf, decodeFaces, largestFaces, mergeFaces } from './detection.ts';
import type { Face } from './faces.ts';

describe('anchors', () => {
  const fullRange = { side: 192, layers: [{ stride: 4, anchorsPerCell: 1 }] };
  const shortRange = {
    side: 128,
    layers: [
      { stride: 8, anchorsPerCell: 2 },
      { stride: 16, anchorsPerCell: 6 },
    ],
  };
  const rows = [
    {
      name: 'of one layer are the middles of its cells',
      shape: fullRange,
      count: 2304,
      at: 49,
      point: [1.5 / 48, 1.5 / 48],
    },
    {
      name: 'come as often as a cell has them',
      shape: shortRange,
      count: 896,
      at: 3,
      point: [1.5 / 16, 0.5 / 16],
    },
    {
      name: 'of the second layer come behind those of the first',
      shape: shortRange,
      count: 896,
      at: 518,
      point: [1.5 / 8, 0.5 / 8],
    },
  ];
  for (const { name, shape, count, at, point } of rows) {
    test(name, () => {
      const anchors = anchorsOf(shape);
      assert.equal(anchors.length, count);
      assert.deepEqual([anchors[at]?.x, anchors[at]?.y], point);
    });
  }
});

describe('the numbers of a detector', () => {
  const anchors = [
    { x: 0.25, y: 0.25 },
    { x: 0.75, y: 0.25 },
  ];
  // Of a view of 200 px at (100, 50) in the picture, through an input of 100 px.
  const view = { centre: { x: 200, y: 150 }, width: 200, height: 200, radians: 0 };
  const boxes = new Float32Array(32);
  boxes.set([5, 10, 20, 40, 1, 2], 16);

  test('are a box and keypoints from their anchor, in pixels of the picture', () => {
    const [face, ...others] = decodeFaces({ boxes, logits: Float32Array.of(-9, 9) }, anchors, 100, view, 0.5);
    assert.deepEqual(others, []);
    // The anchor lies at (250, 100); a pixel of the input is two of the picture.
    assert.deepEqual(face?.box, { x: 240, y: 80, width: 40, height: 80 });
    assert.deepEqual(face?.keypoints[0], { x: 252, y: 104 });
    assert.equal(face?.keypoints.length, 6);
    assert.ok(Math.abs((face?.score ?? 0) - 1 / (1 + Math.exp(-9))) < 1e-9);
  });

  const rows = [
    { name: 'below the limit are no face', logits: [-9, -0.01], faces: 0 },
    { name: 'without an extent are no face', logits: [9, -9], faces: 0 },
    { name: 'that are not numbers are no face', logits: [-9, NaN], faces: 0 },
    { name: 'at the limit are a face', logits: [-9, 0], faces: 1 },
  ];
  for (const { name, logits, faces } of rows) {
    test(name, () => {
      const output = { boxes, logits: Float32Array.from(logits) };
      assert.equal(decodeFaces(output, anchors, 100, view, 0.5).length, faces);
    });
  }
});

describe('faces that overlap', () => {
  const face = (x: number, score: number): Face => ({
    box: { x, y: 0, width: 10, height: 10 },
    score,
    keypoints: [{ x: x + 3, y: 4 }],
  });

  test('become their mean, weighed by the scores, with the highest score', () => {
    const [merged, ...others] = mergeFaces([face(2, 0.25), face(0, 0.75)], 0.3, overlap);
    assert.deepEqual(others, []);
    assert.deepEqual(merged, {
      box: { x: 0.5, y: 0, width: 10, height: 10 },
      keypoints: [{ x: 3.5, y: 4 }],
      score: 0.75,
    });
  });

  test('with the surest one are its group, and not with each other', () => {
    // The middle one is the surest and overlaps both; without it they are apart.
    assert.equal(mergeFaces([face(0, 0.6), face(5, 0.9), face(10, 0.6)], 0.3, overlap).length, 1);
    assert.equal(mergeFaces([face(0, 0.9), face(5, 0.6), face(10, 0.8)], 0.3, overlap).length, 2);
  });

  test('too little stay apart, the surest first', () => {
    assert.deepEqual(
      mergeFaces([face(0, 0.6), face(8, 0.9)], 0.3, overlap).map(({ score }) => score),
      [0.9, 0.6],
    );
  });
});

describe('the largest faces', () => {
  const face = (width: number, score: number): Face => ({
    box: { x: 0, y: 0, width, height: 10 },
    score,
    keypoints: [],
  });
  const faces = [face(20, 0.9), face(5, 0.8), face(30, 0.7), face(5, 0.6)];
  const rows = [
    { name: 'come in the order of all, the surest first', most: 2, scores: [0.9, 0.7] },
    { name: 'of the same size are the surest', most: 3, scores: [0.9, 0.8, 0.7] },
    { name: 'are all where there are no more', most: 4, scores: [0.9, 0.8, 0.7, 0.6] },
  ];
  for (const { name, most, scores } of rows)
    test(name, () =>
      assert.deepEqual(
        largestFaces(faces, most).map(({ score }) => score),
        scores,
      ),
    );
});
