/** Where in a picture faces are looked for. Pure functions of its size. */
import type { Box } from './faces.ts';

interface Grid {
  readonly width: number;
  readonly height: number;
}

/** Each square shares so much of its side with the next, at least: a face of that size lies whole in one of them. */
const sharedSide = 0.25;

/**
 * Overlapping squares that cover the picture, as many as it takes with the given side; evenly spread, row by row. On an axis shorter than the
 * side there is one, which reaches from edge to edge.
 */
export function squaresOf(picture: Grid, side: number): Box[] {
  const rows = startsOf(picture.height, side);
  const columns = startsOf(picture.width, side);
  const [width, height] = [Math.min(side, picture.width), Math.min(side, picture.height)];
  return rows.flatMap((y) => columns.map((x) => ({ x, y, width, height })));
}

function startsOf(length: number, side: number): number[] {
  if (length <= side) return [0];
  const count = 1 + Math.ceil((length - side) / (side * (1 - sharedSide)) - 1e-9);
  return Array.from({ length: count }, (_, index) => (index * (length - side)) / (count - 1));
}
