/** Rectangles over a picture. Pure functions of numbers. */
import type { Box, Point } from './faces.ts';

/** Common area over the area of both together, 0..1. */
export function overlap(a: Box, b: Box): number {
  const common = commonArea(a, b);
  return common === 0 ? 0 : common / (areaOf(a) + areaOf(b) - common);
}

/** How much of the smaller one lies in the other, 0..1. */
export function containment(a: Box, b: Box): number {
  const common = commonArea(a, b);
  return common === 0 ? 0 : common / Math.min(areaOf(a), areaOf(b));
}

function commonArea(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return width > 0 && height > 0 ? width * height : 0;
}

export function areaOf({ width, height }: Box): number {
  return width * height;
}

export function centreOf({ x, y, width, height }: Box): Point {
  return { x: x + width / 2, y: y + height / 2 };
}

/** @param margin of its width and height, added at each side */
export function grown({ x, y, width, height }: Box, margin: number): Box {
  return {
    x: x - margin * width,
    y: y - margin * height,
    width: width * (1 + 2 * margin),
    height: height * (1 + 2 * margin),
  };
}

/** @param margin in pixels, added at each side */
export function padded({ x, y, width, height }: Box, margin: number): Box {
  return { x: x - margin, y: y - margin, width: width + 2 * margin, height: height + 2 * margin };
}

/** What of it lies in the picture, at whole pixels; undefined where less than one pixel does. */
export function within(
  box: Box,
  picture: { readonly width: number; readonly height: number },
): Box | undefined {
  const left = Math.max(0, Math.round(box.x));
  const top = Math.max(0, Math.round(box.y));
  const width = Math.min(picture.width, Math.round(box.x + box.width)) - left;
  const height = Math.min(picture.height, Math.round(box.y + box.height)) - top;
  return width >= 1 && height >= 1 ? { x: left, y: top, width, height } : undefined;
}
