/** What the points of a mesh say of a face's place. Pure functions of points. */
import type { Box, Face, FaceLandmarks, Point } from './faces.ts';

/** Points of less are not to be used. */
export const minPresence = 0.5;

/** Corners of the person's own eyes, the outer one first. */
const corners = { right: [33, 133], left: [263, 362] } as const;

export function pointAt(points: Float32Array, index: number): Point {
  return { x: points[3 * index] ?? NaN, y: points[3 * index + 1] ?? NaN };
}

/**
 * The smallest upright box around points.
 * @param indices not empty; default: all of them
 */
export function boxAround(
  points: Float32Array,
  indices: readonly number[] = Array.from({ length: points.length / 3 }, (_, index) => index),
): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const index of indices) {
    const { x, y } = pointAt(points, index);
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/**
 * The face as the detector would have found it, with its eyes alone as keypoints: where the mesh has to look in the next picture, or again in
 * this one.
 */
export function faceOf({ points, presence }: FaceLandmarks): Face {
  const keypoints = [corners.right, corners.left].map(([outer, inner]) => {
    const [a, b] = [pointAt(points, outer), pointAt(points, inner)];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  });
  return { box: boxAround(points), score: presence, keypoints };
}
