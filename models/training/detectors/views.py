"""Parts of a picture at another size, turned and moved, as `inference/faces/view.ts` and `crop.ts` cut them. numpy alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

MOST_SAMPLES = 4


@dataclass(frozen=True)
class View:
    """A rectangle of a picture in its pixels, which may reach beyond the edges; turned clockwise by `radians` about its centre."""

    x: float
    y: float
    width: float
    height: float
    radians: float = 0.0

    def moved(self, points: np.ndarray) -> np.ndarray:
        """[N, 2] in units of the view's sides, from its top left corner, to pixels of the picture."""
        right, down = (points[:, 0] - 0.5) * self.width, (points[:, 1] - 0.5) * self.height
        sin, cos = math.sin(self.radians), math.cos(self.radians)
        return np.stack([self.x + right * cos - down * sin, self.y + right * sin + down * cos], 1)


def letterbox(x: float, y: float, width: float, height: float) -> View:
    """The square around the middle of a rectangle that holds all of it."""
    side = max(width, height)
    return View(x + width / 2, y + height / 2, side, side)


def samples_of(step: float) -> int:
    return max(1, min(MOST_SAMPLES, math.ceil(step / 2)))


def look(picture: np.ndarray, view: View, width: int, height: int, outside: str) -> np.ndarray:
    """uint8 [H, W, 3] -> float32 [height, width, 3], 0..255: bilinear, averaged over as much of the picture as a pixel covers.

    `outside` is 'black' or 'edge': what is seen where the picture has ended.
    """
    if view.radians:
        return turned(picture, view, width, height, outside)
    down = weights(view.y - view.height / 2, view.height / height, height, picture.shape[0], outside)
    across = weights(view.x - view.width / 2, view.width / width, width, picture.shape[1], outside)
    rows = np.tensordot(down, picture.astype(np.float32), (1, 0))
    return np.ascontiguousarray(np.tensordot(rows, across, (1, 1)).transpose(0, 2, 1))


def positions(step: float, count: int) -> np.ndarray:
    """[count * samples] from the beginning of the view, in pixels of the picture."""
    samples = samples_of(step)
    return (np.arange(count * samples) + 0.5) / samples * step


@lru_cache(64)
def weights(start: float, step: float, count: int, length: int, outside: str) -> np.ndarray:
    """float32 [count, length]: of the pixels of a line of the picture in those of the view; a view that is not turned is two such lines."""
    at = positions(step, count) + start - 0.5
    if outside == "edge":
        at = np.clip(at, 0, length - 1)
    first = np.floor(at).astype(int)
    samples, share = samples_of(step), at - first
    out = np.zeros((count, length), np.float32)
    row = np.arange(at.size) // samples
    for place, weight in ((first, 1 - share), (first + 1, share)):
        inside = (place >= 0) & (place < length)
        np.add.at(out, (row[inside], place[inside]), (weight[inside] / samples).astype(np.float32))
    return out


def turned(picture: np.ndarray, view: View, width: int, height: int, outside: str) -> np.ndarray:
    down = positions(view.height / height, height) - view.height / 2
    right = positions(view.width / width, width) - view.width / 2
    sin, cos = math.sin(view.radians), math.cos(view.radians)
    x = view.x + right[None] * cos - down[:, None] * sin - 0.5
    y = view.y + right[None] * sin + down[:, None] * cos - 0.5
    if outside == "edge":
        x, y = np.clip(x, 0, picture.shape[1] - 1), np.clip(y, 0, picture.shape[0] - 1)
    made = sampled(picture, x, y)
    return made.reshape(height, down.size // height, width, right.size // width, -1).mean((1, 3), dtype=np.float32)


def sampled(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """float32 [..., C] of [H, W, C] between four pixels each, of which those outside are black."""
    height, width, channels = picture.shape
    pixels = picture.reshape(-1, channels)
    left, top = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    east, south = (x - left).astype(np.float32), (y - top).astype(np.float32)
    out = np.zeros((*x.shape, channels), np.float32)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        column, row = left + dx, top + dy
        share = (east if dx else 1 - east) * (south if dy else 1 - south)
        share = np.where((column >= 0) & (row >= 0) & (column < width) & (row < height), share, 0)
        place = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
        out += share[..., None] * pixels.take(place, 0)
    return out


def square_of(box: np.ndarray, margin: float) -> View:
    """The square with the longer side of a box [x, y, width, height], grown by `margin` of its sides at each side, around its middle."""
    x, y, width, height = (float(value) for value in box)
    side = max(width, height) * (1 + 2 * margin)
    return View(x + width / 2, y + height / 2, side, side)


def square_crop(picture: np.ndarray, box: np.ndarray, margin: float, side: int) -> np.ndarray:
    """uint8 [side, side, 3]: what a package with `fit: square` sees of a face, black where the picture has ended."""
    return rounded(look(picture, square_of(box, margin), side, side, "black"))


def rounded(values: np.ndarray) -> np.ndarray:
    """Whole levels as JavaScript rounds them, uint8."""
    return np.floor(np.clip(values, 0, 255) + 0.5).astype(np.uint8)
