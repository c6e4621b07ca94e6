/** What the face mesh looks at, and where its points lie in the picture. Pure functions of numbers. */
import { centreOf } from './boxes.ts';
import { type Face, keypoints, landmarkCount } from './faces.ts';
import { toPicture, type View } from './view.ts';

/** The mesh was trained on squares so much larger than the detector's boxes. */
const roi = 1.5;

/** The square around a face, turned so that its eyes are level. */
export function meshView(face: Face): View {
  const right = face.keypoints[keypoints.rightEye];
  const left = face.keypoints[keypoints.leftEye];
  const radians =
    right === undefined || left === undefined ? 0 : Math.atan2(left.y - right.y, left.x - right.x);
  const side = roi * Math.max(face.box.width, face.box.height);
  return { centre: centreOf(face.box), width: side, height: side, radians };
}

/**
 * @param points x, y and z of each landmark in pixels of the graph's input, which has `side` of them
 * @returns the same in pixels of the picture
 */
export function meshToPicture(points: Float32Array, side: number, view: View): Float32Array {
  const moved = new Float32Array(3 * landmarkCount);
  for (let index = 0; index < moved.length; index += 3) {
    const point = toPicture(view, { x: (points[index] ?? 0) / side, y: (points[index + 1] ?? 0) / side });
    moved[index] = point.x;
    moved[index + 1] = point.y;
    moved[index + 2] = ((points[index + 2] ?? 0) / side) * view.width;
  }
  return moved;
}
