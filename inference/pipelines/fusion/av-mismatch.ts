/** Whether the pictures of a video and its sound tell the same story. Pure. */
import type { Modality } from '../../models/manifest.ts';
import { disagree, logitOfScore, type MemberScore } from './fuse.ts';

export interface AvMismatch {
  /** `pictureScore - soundScore`, -1..1. */
  readonly difference: number;
  /** Calibrated P(fake), 0..1: of one model, or the mean in log odds of several. */
  readonly pictureScore: number;
  readonly soundScore: number;
  /** Whether a model of one track says AUTHENTIC and one of the other DEEPFAKE. */
  readonly verdictsContradict: boolean;
}

export interface TrackScore extends MemberScore {
  /** What the model judges: `video` the pictures, `audio` the sound; undefined where it judges both. */
  readonly modality: Modality | undefined;
}

/** @returns undefined where no model has judged the pictures or none the sound, as where there is no such track */
export function avMismatchOf(members: readonly TrackScore[]): AvMismatch | undefined {
  const pictures = members.filter(({ modality, score }) => modality === 'video' && score !== null);
  const sounds = members.filter(({ modality, score }) => modality === 'audio' && score !== null);
  if (pictures.length === 0 || sounds.length === 0) return undefined;
  const [pictureScore, soundScore] = [meanScore(pictures), meanScore(sounds)];
  return {
    difference: pictureScore - soundScore,
    pictureScore,
    soundScore,
    verdictsContradict: pictures.some((picture) => sounds.some((sound) => disagree([picture, sound]))),
  };
}

function meanScore(members: readonly MemberScore[]): number {
  const [only] = members;
  if (members.length === 1 && only !== undefined) return only.score ?? 0;
  const sum = members.reduce((total, { score }) => total + logitOfScore(score ?? 0), 0);
  return 1 / (1 + Math.exp(-sum / members.length));
}
