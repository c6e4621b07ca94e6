/**
 * Faces in pictures: what is found, and who finds it. This folder holds the search and what is done with what it finds (tracks over frames, crops);
 * the pure parts know no tensor of ONNX Runtime, and nothing here knows packages, files or HTTP.
 */
import type { Raster } from '../dsp/tiles.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** In pixels of the picture that was searched; it may reach beyond the picture's edges. */
export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

/** Places in `Face.keypoints`; left and right are the person's own. */
export const keypoints = { rightEye: 0, leftEye: 1, noseTip: 2, mouth: 3, rightEar: 4, leftEar: 5 } as const;

export interface Face {
  readonly box: Box;
  /** How sure the detector is that this is a face, 0..1. */
  readonly score: number;
  /** Six, in pixels, in the order of `keypoints`. */
  readonly keypoints: readonly Point[];
}

export const landmarkCount = 468;

export interface FaceLandmarks {
  /**
   * `landmarkCount` points of MediaPipe's face mesh, x, y and z of each: x and y in pixels of the picture, z in the same unit, smaller towards
   * the camera, from the middle of the head.
   */
  readonly points: Float32Array;
  /** How sure the mesh is that there is a face at all, 0..1. Points of less than 0.5 are not to be used. */
  readonly presence: number;
}

export interface FaceFinder {
  /**
   * @returns the surest first, of a crowd the 32 largest at most; none where there is none
   * @throws the signal's reason as soon as it is aborted
   */
  find(raster: Raster, signal: AbortSignal): Promise<readonly Face[]>;
  /**
   * @param raster the picture in which the face was found
   * @throws the signal's reason as soon as it is aborted
   */
  landmarks(raster: Raster, face: Face, signal: AbortSignal): Promise<FaceLandmarks>;
}
