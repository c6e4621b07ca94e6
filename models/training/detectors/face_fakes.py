"""Fakes made of the reals themselves: a face blended into its own picture after a small change, as a swap leaves it. numpy alone.

Pictures are uint8 [H, W, 3], RGB, with the face's 468 landmarks [468, 2] in their pixels. Lengths in a recipe are shares of the face's size, so that
the same recipe means the same at every resolution. Self-blended images are Shiohara and Yamasaki's (2022).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from detectors.views import View, look, rounded, sampled

# Landmarks whose hull is what was swapped.
INNER = [70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 33, 263, 50, 280, 61, 291, 17, 200]
MOUTH = [61, 291, 164, 200, 206, 426, 57, 287, 17, 199]
HULLS: dict[str, list[int] | slice] = {"face": slice(None), "inner": INNER, "mouth": MOUTH}
# What a warp from one face to another is held by.
ANCHORS = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127,
    162, 21, 54, 103, 67, 109, 33, 133, 159, 145, 263, 362, 386, 374, 1, 4, 6, 98, 327, 61, 291, 0, 17, 13, 14, 70, 105, 107, 300, 334, 336,
)
BENDS = 4
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Change:
    """What distinguishes the two sides of a blend: colours (`gain` and `offset` per channel, `saturation`), resolution (`reduced` 0..1, 1 for as it is),
    sharpness (below zero a blur by that share of the face's size, above zero sharpening), place (`shift`, `zoom`, `turn` in radians)."""

    gain: np.ndarray
    offset: np.ndarray
    saturation: float
    reduced: float
    sharpness: float
    shift: np.ndarray
    zoom: float
    turn: float


@dataclass(frozen=True)
class Recipe:
    """A blend: the hull and how it is grown, bent ([4, 4, 2]) and softened, how much of the other side shows through, and what was changed on which side."""

    hull: str
    grown: float
    bends: np.ndarray
    softness: float
    ratio: float
    change: Change
    inside: bool


def drawn(rng: np.random.Generator) -> Recipe:
    hull = str(rng.choice(list(HULLS), p=[0.6, 0.3, 0.1]))
    return Recipe(
        hull=hull,
        grown=float(rng.uniform(-0.08, 0.03) if hull == "face" else rng.uniform(0.0, 0.1)),
        bends=rng.normal(0, float(rng.uniform(0.0, 0.035)), (BENDS, BENDS, 2)),
        softness=float(np.exp(rng.uniform(np.log(0.01), np.log(0.2)))),
        ratio=float(rng.choice([0.35, 0.5, 0.75, 1.0, 1.0, 1.0])),
        change=drawn_change(rng),
        inside=bool(rng.random() < 0.6),
    )


def drawn_change(rng: np.random.Generator) -> Change:
    """Never nothing: what neither colour nor resolution tells is moved."""
    coloured, softened = rng.random(2) < (0.7, 0.6)
    sharpness = float(rng.choice([-rng.uniform(0.004, 0.012), rng.uniform(0.2, 0.9)])) if softened and rng.random() < 0.6 else 0.0
    return Change(
        gain=1 + coloured * (rng.normal(0, 0.08) + rng.normal(0, 0.03, 3)),
        offset=coloured * (rng.normal(0, 8) + rng.normal(0, 5, 3)),
        saturation=float(1 + coloured * rng.normal(0, 0.12)),
        reduced=float(rng.uniform(0.3, 0.8)) if softened and sharpness == 0 else 1.0,
        sharpness=sharpness,
        shift=rng.normal(0, 0.018, 2),
        zoom=float(1 + rng.normal(0, 0.022)),
        turn=float(rng.normal(0, 0.012)),
    )


def jittered(recipe: Recipe, rng: np.random.Generator, amount: float) -> Recipe:
    """The same blend as another frame has it: what a swap does slightly differently every time. `amount` 0 is no change, 1 a strong flicker."""
    change = recipe.change
    moved = replace(
        change,
        gain=change.gain + amount * rng.normal(0, 0.03, 3),
        offset=change.offset + amount * rng.normal(0, 3, 3),
        shift=change.shift + amount * rng.normal(0, 0.01, 2),
        zoom=change.zoom + amount * float(rng.normal(0, 0.01)),
        turn=change.turn + amount * float(rng.normal(0, 0.008)),
    )
    return replace(
        recipe,
        change=moved,
        grown=recipe.grown + amount * float(rng.normal(0, 0.015)),
        bends=recipe.bends + amount * rng.normal(0, 0.012, recipe.bends.shape),
        softness=recipe.softness * float(np.exp(amount * rng.normal(0, 0.2))),
    )


def recipes_over(count: int, rng: np.random.Generator, mode: str) -> list[Recipe]:
    """Of each frame of a clip. `independent`: another blend in every frame; `flicker`: one blend that jitters; `smooth`: one that drifts."""
    if mode == "independent":
        return [drawn(rng) for _ in range(count)]
    first = drawn(rng)
    if mode == "flicker":
        amount = float(rng.uniform(0.3, 1.0))
        return [jittered(first, rng, amount) for _ in range(count)]
    if mode == "smooth":
        out, amount = [first], float(rng.uniform(0.02, 0.12))
        while len(out) < count:
            out.append(jittered(out[-1], rng, amount))
        return out[:count]
    raise ValueError(f"frames go on as independent, flicker or smooth, not {mode!r}")


def size_of(points: np.ndarray) -> float:
    """Of a face in pixels: the geometric mean of the sides of the box around its landmarks."""
    return float(np.sqrt(np.prod(np.ptp(points, axis=0))))


def hull_of(points: np.ndarray) -> np.ndarray:
    """[K, 2]: the corners of the convex hull of [N, 2], around it in one direction (Andrew's monotone chain)."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))].astype(float).tolist()

    def chain(sequence: list[list[float]]) -> list[list[float]]:
        out: list[list[float]] = []
        for x, y in sequence:
            while len(out) > 1:
                (from_x, from_y), (to_x, to_y) = out[-2:]
                if (to_x - from_x) * (y - from_y) - (to_y - from_y) * (x - from_x) > 0:
                    break
                out.pop()
            out.append([x, y])
        return out[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1]))


def mask_of(points: np.ndarray, height: int, width: int, recipe: Recipe) -> np.ndarray:
    """float32 [height, width], 0..1: the hull of the recipe's landmarks, grown, bent and with a soft edge."""
    size = size_of(points)
    corners = hull_of(points[HULLS[recipe.hull]])
    ahead = np.roll(corners, -1, 0) - corners
    inward = np.stack([-ahead[:, 1], ahead[:, 0]], 1) / (np.linalg.norm(ahead, axis=1, keepdims=True) + 1e-9)
    bend = spread(recipe.bends * size, height, width)
    x, y = np.arange(width, dtype=np.float32)[None] + bend[..., 0], np.arange(height, dtype=np.float32)[:, None] + bend[..., 1]
    depth = np.full((height, width), np.inf, np.float32)
    for (at_x, at_y), (right, down) in zip(corners, inward):
        np.minimum(depth, np.float32(right) * (x - np.float32(at_x)) + np.float32(down) * (y - np.float32(at_y)), out=depth)
    share = np.clip(0.5 + (depth / size + recipe.grown) / max(recipe.softness, 1e-3), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


def spread(coarse: np.ndarray, height: int, width: int) -> np.ndarray:
    """[n, m, C] over the whole picture, bilinear: float32 [height, width, C]."""
    down, across = line_weights(coarse.shape[0], height), line_weights(coarse.shape[1], width)
    return np.einsum("hn,nmc,wm->hwc", down, coarse, across, optimize=True).astype(np.float32)


@lru_cache(64)
def line_weights(few: int, many: int) -> np.ndarray:
    at = np.linspace(0, few - 1, many)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(few))).astype(np.float32)


@lru_cache(256)
def blur_weights(length: int, deviation: float) -> np.ndarray:
    """float32 [length, length]: Gaussian along a line whose ends go on as they are."""
    reach = int(np.ceil(3 * deviation))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    out = np.zeros((length, length), np.float32)
    rows = np.arange(length)
    for step, share in zip(range(-reach, reach + 1), kernel):
        np.add.at(out, (rows, np.clip(rows + step, 0, length - 1)), np.float32(share))
    return out


def blurred(picture: np.ndarray, deviation: float) -> np.ndarray:
    """float32: Gaussian blur; `deviation` in pixels, in tenths."""
    deviation = round(deviation, 1)
    if deviation <= 0:
        return picture.astype(np.float32)
    rows = np.tensordot(blur_weights(picture.shape[0], deviation), picture.astype(np.float32), (1, 0))
    return np.tensordot(rows, blur_weights(picture.shape[1], deviation), (1, 1)).transpose(0, 2, 1)


def changed(picture: np.ndarray, points: np.ndarray, change: Change) -> np.ndarray:
    """float32 [H, W, 3], 0..255: all of the picture after the change; its place turns about the middle of the face."""
    height, width = picture.shape[:2]
    size, middle = size_of(points), (points.max(0) + points.min(0)) / 2
    out = picture.astype(np.float32)
    if change.reduced < 1:
        small = max(8, round(height * change.reduced)), max(8, round(width * change.reduced))
        whole = View(width / 2, height / 2, width, height)
        less = look(out, whole, small[1], small[0], "edge")
        out = look(less, View(small[1] / 2, small[0] / 2, small[1], small[0]), width, height, "edge")
    if change.sharpness < 0:
        out = blurred(out, -change.sharpness * size)
    elif change.sharpness > 0:
        out = out + change.sharpness * (out - blurred(out, 0.008 * size))
    grey = (out @ LUMA)[..., None]
    out = (grey + change.saturation * (out - grey)) * change.gain.astype(np.float32) + change.offset.astype(np.float32)
    if np.any(change.shift) or change.zoom != 1 or change.turn:
        # The view's centre is the middle of the picture: a turn about the face's middle moves it.
        from_middle = (np.array([width / 2, height / 2]) - middle) / change.zoom
        sin, cos = np.sin(change.turn), np.cos(change.turn)
        x, y = middle + [from_middle[0] * cos - from_middle[1] * sin, from_middle[0] * sin + from_middle[1] * cos] - change.shift * size
        out = look(out, View(float(x), float(y), width / change.zoom, height / change.zoom, float(change.turn)), width, height, "edge")
    return np.clip(out, 0, 255)


def inlaid(picture: np.ndarray, inner: np.ndarray, mask: np.ndarray, ratio: float = 1.0) -> np.ndarray:
    """uint8: `inner` where the mask [H, W] is 1, the picture where it is 0."""
    share = (ratio * mask)[..., None]
    return rounded(share * inner.astype(np.float32) + (1 - share) * picture.astype(np.float32))


def self_blended(picture: np.ndarray, points: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The face of the picture in the same picture, with the change on one side of the seam."""
    other = changed(picture, points, recipe.change)
    inner, outer = (other, picture) if recipe.inside else (picture, other)
    return inlaid(outer, inner, mask_of(points, *picture.shape[:2], recipe), recipe.ratio)


def plainly_changed(picture: np.ndarray, points: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The same change without a seam, as an honest editor makes it: a real."""
    return rounded(changed(picture, points, recipe.change))


def pasted(picture: np.ndarray, points: np.ndarray, donor: np.ndarray, donor_points: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Another person's face, warped to the landmarks and given the colours of this one: what face swaps without a network do."""
    anchors = list(ANCHORS)
    x, y = warp_of(points[anchors], donor_points[anchors], *picture.shape[:2])
    moved = sampled(donor.astype(np.float32), np.clip(x, 0, donor.shape[1] - 1), np.clip(y, 0, donor.shape[0] - 1))
    mask = mask_of(points, *picture.shape[:2], recipe)
    return inlaid(picture, recoloured(moved, picture, mask), mask)


def recoloured(picture: np.ndarray, like: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """float32: with the mean and the deviation per channel that `like` has where the mask is."""
    share = mask[..., None] / (mask.sum() + 1e-9)
    means = [(share * side).sum((0, 1)) for side in (picture, like)]
    spreads = [np.sqrt((share * (side - mean) ** 2).sum((0, 1))) for side, mean in zip((picture, like), means)]
    return np.clip((picture - means[0]) * np.clip(spreads[1] / (spreads[0] + 1e-6), 0.5, 2) + means[1], 0, 255).astype(np.float32)


def warp_of(here: np.ndarray, there: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y [height, width]: where in the other picture each pixel lies, by a thin-plate spline that takes `here` [N, 2] to `there` [N, 2].

    Evaluated on every fourth pixel and linear between them, which a smooth warp does not show.
    """
    scale = size_of(here)
    places, targets = here / scale, there.astype(float)
    count = len(places)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = thin_plate(places, places) + 1e-6 * np.eye(count)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :] = places
    system[count + 1 :, :count] = places.T
    solved = np.linalg.solve(system, np.concatenate([targets, np.zeros((3, 2))]))
    rows, columns = (np.linspace(0, side - 1, max(2, side // 4)) for side in (height, width))
    grid = np.stack(np.meshgrid(columns, rows), 2).reshape(-1, 2) / scale
    moved = thin_plate(grid, places) @ solved[:count] + solved[count] + grid @ solved[count + 1 :]
    full = spread(moved.reshape(len(rows), len(columns), 2), height, width)
    return full[..., 0], full[..., 1]


def thin_plate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = ((a[:, None] - b[None]) ** 2).sum(2)
    return squared * np.log(squared + 1e-12)


def in_frame(frame: np.ndarray, view: View, landmarks: np.ndarray, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """The frame with what `change` makes of a square around a face, at the frame's own resolution; `landmarks` [468, 2 or 3] in pixels of the frame."""
    left, top = round(view.x - view.width / 2), round(view.y - view.height / 2)
    right, bottom = left + round(view.width), top + round(view.height)
    # No wider than the frame: what lies outside cannot be put back.
    left, top, right, bottom = max(0, left), max(0, top), min(frame.shape[1], right), min(frame.shape[0], bottom)
    out = frame.copy()
    out[top:bottom, left:right] = change(frame[top:bottom, left:right], (landmarks[:, :2] - [left, top]).astype(np.float32))
    return out
