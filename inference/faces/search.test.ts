import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { squaresOf } from './search.ts';

test('squares reach from edge to edge, and a face of a quarter of their side lies whole in one of them', () => {
  const sides = { width: fc.integer({ min: 1, max: 3000 }), height: fc.integer({ min: 1, max: 3000 }) };
  const places = {
    across: fc.double({ min: 0, max: 1, noNaN: true }),
    down: fc.double({ min: 0, max: 1, noNaN: true }),
  };
  fc.assert(
    fc.property(fc.record({ ...sides, ...places }), ({ width, height, across, down }) => {
      const side = Math.max(width, height) / 3;
      const face = Math.min(side / 4, width, height);
      const [x, y] = [across * (width - face), down * (height - face)];
      const holdsFace = (square: (typeof squares)[number]) =>
        square.x <= x + 1e-6 &&
        square.y <= y + 1e-6 &&
        square.x + square.width >= x + face - 1e-6 &&
        square.y + square.height >= y + face - 1e-6;
      const squares = squaresOf({ width, height }, side);
      assert.ok(squares.some(holdsFace));
      assert.ok(squares.every((square) => square.x >= 0 && square.x + square.width <= width + 1e-6));
      assert.ok(squares.every((square) => square.y >= 0 && square.y + square.height <= height + 1e-6));
    }),
  );
});
