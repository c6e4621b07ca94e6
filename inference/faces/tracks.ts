/** Which faces of consecutive pictures are the same one. Pure functions of boxes. */
import { areaOf, centreOf, overlap } from './boxes.ts';
import type { Box } from './faces.ts';

/** A face that was seen. It is told from others by its place and size alone: a cut to another person at the same place is not noticed. */
export interface OpenTrack {
  readonly id: number;
  /** Where it was last. */
  readonly box: Box;
  /** Pictures since then. */
  readonly missed: number;
}

export interface Tracks {
  readonly open: readonly OpenTrack[];
  /** Of the next new track. */
  readonly nextId: number;
}

export const noTracks: Tracks = { open: [], nextId: 0 };

/** A face that was not found in so many pictures is another one when it comes back. */
const mostMissed = 5;
const minOverlap = 0.2;
/** Of a face's size, for one that moved too far to overlap. */
const maxDistance = 1;
const maxGrowth = 1.6;

/**
 * @param boxes of the next picture's faces
 * @returns the track of each, in the order of the boxes, and the tracks for the picture after it
 */
export function followFaces(
  tracks: Tracks,
  boxes: readonly Box[],
): { readonly ids: readonly number[]; readonly tracks: Tracks } {
  const found = assigned(tracks.open, boxes);
  let { nextId } = tracks;
  const ids = boxes.map((_, index) => found.get(index) ?? nextId++);
  const seen = boxes.map((box, index): OpenTrack => ({ id: ids[index] ?? 0, box, missed: 0 }));
  const unseen = tracks.open
    .filter(({ id }) => !ids.includes(id))
    .map((track) => ({ ...track, missed: track.missed + 1 }))
    .filter(({ missed }) => missed <= mostMissed);
  return { ids, tracks: { open: [...seen, ...unseen], nextId } };
}

/** The most alike first, each track and each box once. */
function assigned(open: readonly OpenTrack[], boxes: readonly Box[]): Map<number, number> {
  const pairs = open
    .flatMap(({ id, box }) => boxes.map((other, index) => ({ id, index, likeness: likeness(box, other) })))
    .filter((pair) => pair.likeness > 0)
    .sort((a, b) => b.likeness - a.likeness || a.id - b.id);
  const found = new Map<number, number>();
  const taken = new Set<number>();
  for (const { id, index } of pairs) {
    if (taken.has(id) || found.has(index)) continue;
    taken.add(id);
    found.set(index, id);
  }
  return found;
}

/** Above 1 for what overlaps, up to 1 for what lies near and is about as large, 0 for everything else. */
function likeness(a: Box, b: Box): number {
  const common = overlap(a, b);
  if (common >= minOverlap) return 1 + common;
  const [sizeA, sizeB] = [Math.sqrt(areaOf(a)), Math.sqrt(areaOf(b))];
  if (Math.max(sizeA, sizeB) > maxGrowth * Math.min(sizeA, sizeB)) return 0;
  const [from, to] = [centreOf(a), centreOf(b)];
  const distance = Math.hypot(from.x - to.x, from.y - to.y) / Math.min(sizeA, sizeB);
  return Math.max(0, 1 - distance / maxDistance);
}
