/** How far eyes are open, and where they are. Pure functions of a mesh's points. */
import type { Box, Point } from './faces.ts';
import { boxAround, pointAt } from './landmarks.ts';

/**
 * p1 to p6 of each eye (the person's own), in the order of Soukupova and Cech, "Real-Time Eye Blink Detection using Facial Landmarks", 2016: outer
 * corner, two of the upper lid, inner corner, two of the lower lid. They lie on the contours that MediaPipe's `face_mesh_connections.py` names
 * FACEMESH_RIGHT_EYE and FACEMESH_LEFT_EYE, a third and two thirds of the way from corner to corner, and mirror each other.
 */
export const eyePoints = {
  right: [33, 160, 158, 133, 153, 144],
  left: [263, 387, 385, 362, 380, 373],
} as const;

/** Lids of an eye with fewer pixels from corner to corner cannot be told apart. */
const minEyeWidth = 4;
/** An eye so much narrower than the other one is turned away or hidden: the mesh only guesses its lids. */
const minShareOfOther = 0.5;

type SixPoints = readonly [Point, Point, Point, Point, Point, Point];

/** (|p2 p6| + |p3 p5|) / (2 |p1 p4|): about 0.3 for an open eye, towards 0 as it closes, whatever its size. */
export function eyeAspectRatio([p1, p2, p3, p4, p5, p6]: SixPoints): number {
  return (distance(p2, p6) + distance(p3, p5)) / (2 * distance(p1, p4));
}

/**
 * The mean eye aspect ratio of the eyes that can be seen.
 * @param points of the mesh, x, y and z each, in pixels
 * @returns null where neither is large enough to be measured
 */
export function openness(points: Float32Array): number | null {
  const eyes = [eyePoints.right, eyePoints.left].map((indices): SixPoints => {
    const [a, b, c, d, e, f] = indices;
    const at = (index: number) => pointAt(points, index);
    return [at(a), at(b), at(c), at(d), at(e), at(f)];
  });
  const widths = eyes.map(([outer, , , inner]) => distance(outer, inner));
  const needed = Math.max(minEyeWidth, minShareOfOther * Math.max(...widths));
  const ratios = eyes.filter((_, index) => (widths[index] ?? 0) >= needed).map(eyeAspectRatio);
  return ratios.length === 0 ? null : ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
}

/** Around the points of both eyes. */
export function eyesBox(points: Float32Array): Box {
  return boxAround(points, [...eyePoints.right, ...eyePoints.left]);
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
