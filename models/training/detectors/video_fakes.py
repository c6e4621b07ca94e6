"""Fakes over time, made from real clips: faces that are blended in anew in every frame, come late or change their colour, and eyes that blink wrongly.

Every maker takes uint8 [T, H, W, 3] RGB frames and float32 [T, 468, 3] points of the mesh in pixels of them (no NaN), and gives frames of
that shape. What is outside of the face, or of the eyes, stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from detectors import face_fakes
from detectors.views import View

Maker = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]

# MediaPipe's face_mesh_connections.py: the outline of the face, and the lids from the outer to the inner corner, the person's own right eye first.
OUTLINE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
UPPER = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (263, 466, 388, 387, 386, 385, 384, 398, 362))
LOWER = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (263, 249, 390, 373, 374, 380, 381, 382, 362))
# As inference/faces/eyes.ts: p1 to p6 of Soukupova and Cech.
SIX = ((33, 160, 158, 133, 153, 144), (263, 387, 385, 362, 380, 373))


def polygon_mask(points: np.ndarray, shape: tuple[int, int], scale: float, blur: float) -> np.ndarray:
    """float32 [H, W], 0..1: the polygon, scaled around its middle, with an edge blurred by that many pixels."""
    middle = points.mean(0)
    drawn = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in middle + scale * (points - middle)], fill=255)
    return np.asarray(drawn.filter(ImageFilter.GaussianBlur(blur)), np.float32) / 255


def face_width(points: np.ndarray) -> float:
    return float(np.ptp(points[list(OUTLINE), 0]))


def steady(count: int, rng: np.random.Generator, width: int, keep: float) -> np.ndarray:
    """[count, width] of unit variance, where each step keeps that share of the one before: 0 is new every frame."""
    out = rng.standard_normal((count, width))
    for at in range(1, count):
        out[at] = keep * out[at - 1] + np.sqrt(1 - keep**2) * out[at]
    return out


def blended(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator, change: Callable[[np.ndarray, np.ndarray, int], np.ndarray]) -> np.ndarray:
    """`change(frame, points, index)` float32 0..255, inside the face, with the same soft edge in all frames."""
    scale, blur = float(rng.uniform(0.75, 0.98)), float(rng.uniform(0.01, 0.04))
    out = []
    for index, (frame, points) in enumerate(zip(frames, mesh[:, :, :2])):
        mask = polygon_mask(points[list(OUTLINE)], frame.shape[:2], scale, blur * face_width(points))[:, :, None]
        whole = frame.astype(np.float32)
        out.append(whole + mask * (change(whole, points, index) - whole))
    return np.clip(np.stack(out) + 0.5, 0, 255).astype(np.uint8)


def colour_flicker(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gain of each colour and the brightness of the face, new in every frame or every few."""
    count, strength, keep = len(frames), float(rng.uniform(0.02, 0.07)), float(rng.choice([0.0, 0.5, 0.8]))
    gains = 1 + strength * (0.6 * steady(count, rng, 3, keep) + 0.8 * steady(count, rng, 1, keep)) + rng.normal(0, 0.03, 3)
    return blended(frames, mesh, rng, lambda frame, points, index: frame * gains[index])


def self_blended(mode: str) -> Maker:
    """The person's own face blended into itself, by recipes that go on over the frames as `face_fakes.recipes_over` says."""

    def make(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        # What changes is the face: a changed outside would end where the part around the face does.
        recipes = [replace(recipe, inside=True) for recipe in face_fakes.recipes_over(len(frames), rng, mode)]
        return np.stack([around_face(frame, points, lambda part, own, recipe=recipe: face_fakes.self_blended(part, own, recipe)) for frame, points, recipe in zip(frames, mesh, recipes)])

    return make


def swapped(donor: np.ndarray, donor_mesh: np.ndarray) -> Maker:
    """Another person's face in every frame, warped to the one that is there and recoloured; the donor's frames go on as they do."""

    def make(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        recipes = face_fakes.recipes_over(len(frames), rng, "smooth")
        out = []
        for index, (frame, points, recipe) in enumerate(zip(frames, mesh, recipes)):
            other = index % len(donor)
            out.append(around_face(frame, points, lambda part, own: face_fakes.pasted(part, own, donor[other], donor_mesh[other, :, :2], recipe)))
        return np.stack(out)

    return make


def around_face(frame: np.ndarray, points: np.ndarray, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """What lies far from the face is not computed again."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    middle, side = (low + high) / 2, 1.5 * float((high - low).max())
    return face_fakes.in_frame(frame, View(float(middle[0]), float(middle[1]), side, side), points, change)


def late_face(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The face comes from some frames ago, put where the face is now, and is renewed every few frames only."""
    lag, hold = int(rng.integers(3, 9)), int(rng.integers(2, 6))

    def change(frame: np.ndarray, points: np.ndarray, index: int) -> np.ndarray:
        source = max(0, index // hold * hold - lag)
        return moved(frames[source], mesh[source, list(OUTLINE), :2], points[list(OUTLINE)])

    return blended(frames, mesh, rng, change)


def moved(frame: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """float32: the frame turned, scaled and shifted so that its points come to lie nearest to where the target's are."""
    (a, b), (x, y) = similarity(target, source)
    image = Image.fromarray(frame)
    return np.asarray(image.transform(image.size, Image.AFFINE, (a, -b, x, b, a, y), Image.BILINEAR), np.float32)


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """((a, b), (x, y)) of target = [[a, -b], [b, a]] source + (x, y), by least squares over points [N, 2]."""
    centres = source.mean(0), target.mean(0)
    from_, to = source - centres[0], target - centres[1]
    spread = (from_**2).sum()
    a, b = (from_ * to).sum() / spread, (from_[:, 0] * to[:, 1] - from_[:, 1] * to[:, 0]).sum() / spread
    x, y = centres[1] - np.array([[a, -b], [b, a]]) @ centres[0]
    return (float(a), float(b)), (float(x), float(y))


def colour_wander(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The colour of the skin goes its own way over a second or so, whatever the light does."""
    gains = 1 + float(rng.uniform(0.03, 0.08)) * steady(len(frames), rng, 3, 0.95)
    return blended(frames, mesh, rng, lambda frame, points, index: frame * gains[index])


def colour_patch(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A face of other colours that ends before its outline does, so that one face has two skins."""
    gains = 1 + rng.choice([-1, 1], 3) * rng.uniform(0.04, 0.12, 3)
    return blended(frames, mesh, rng, lambda frame, points, index: frame * gains)


def colour_transfer(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mean and contrast of each colour of the face become those of another skin, measured anew every few frames as converters do."""
    wanted, spread, hold = rng.uniform(70, 200, 1) + np.array([25, 0, -20]) + rng.normal(0, 8, 3), rng.uniform(0.85, 1.15, 3), int(rng.integers(1, 8))
    share = float(rng.uniform(0.25, 0.6))

    def change(frame: np.ndarray, points: np.ndarray, index: int) -> np.ndarray:
        measured = frames[index // hold * hold].astype(np.float32)
        mask = polygon_mask(mesh[index // hold * hold, list(OUTLINE), :2], frame.shape[:2], 0.9, 1)[:, :, None]
        mean = (measured * mask).sum((0, 1)) / (mask.sum() + 1e-6)
        return (1 - share) * frame + share * ((frame - mean) * spread + wanted)

    return blended(frames, mesh, rng, change)


def light_change(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """No fake: the whole picture changes its white balance and brightness, as cameras do, at once or slowly."""
    count = len(frames)
    gains = 1 + 0.05 * steady(count, rng, 3, 0.97) + 0.05 * steady(count, rng, 1, float(rng.choice([0.5, 0.9, 0.97])))
    return np.clip(frames * gains[:, None, None] + 0.5, 0, 255).astype(np.uint8)



def openness(points: np.ndarray) -> np.ndarray:
    """[..., 468, 3] -> [..., 2]: the eye aspect ratio of either eye, the person's own right one first."""
    def of(six: tuple[int, ...]) -> np.ndarray:
        p1, p2, p3, p4, p5, p6 = (points[..., index, :2] for index in six)
        return (np.linalg.norm(p2 - p6, axis=-1) + np.linalg.norm(p3 - p5, axis=-1)) / (2 * np.linalg.norm(p1 - p4, axis=-1))

    return np.stack([of(six) for six in SIX], -1)


def closed_runs(ears: np.ndarray, percentile: float = 80, share: float = 0.8, least: int = 2) -> list[tuple[int, int]]:
    """(first, last) of runs of frames whose mean ear lies below that share of the percentile, as the pod's adaptive threshold has it."""
    closed = ears < share * np.percentile(ears, percentile)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], closed, [0]])))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2) if end - first >= least]


def lids_lowered(frame: np.ndarray, points: np.ndarray, closure: tuple[float, float]) -> np.ndarray:
    """uint8: each upper lid brought down by that share (0..1) of the way to the lower one; the skin above it is stretched over the eye."""
    out = frame.astype(np.float32)
    for upper, lower, share in zip(UPPER, LOWER, closure):
        if share <= 0:
            continue
        above, below = (points[list(lid), :2] for lid in (upper, lower))
        above, below = above[np.argsort(above[:, 0])], below[np.argsort(below[:, 0])]
        width = float(np.ptp(above[:, 0]))
        left, right = int(max(0, above[0, 0] - 0.1 * width)), int(min(frame.shape[1], above[-1, 0] + 0.1 * width + 2))
        top, bottom = int(max(0, above[:, 1].min() - 0.5 * width)), int(min(frame.shape[0], below[:, 1].max() + 0.15 * width + 2))
        if right - left < 3 or bottom - top < 3:
            continue
        rows, columns = np.meshgrid(np.arange(top, bottom, dtype=np.float64), np.arange(left, right, dtype=np.float64), indexing="ij")
        lid, rim = np.interp(columns, above[:, 0], above[:, 1]), np.interp(columns, below[:, 0], below[:, 1])
        lowered, fold = lid + share * np.maximum(0, rim - lid), lid - 0.35 * width
        stretched = fold + (rows - fold) * (lid - fold) / np.maximum(lowered - fold, 1e-3)
        source = np.where((rows > fold) & (rows < lowered), stretched, rows)
        for channel in range(3):
            out[top:bottom, left:right, channel] = ndimage.map_coordinates(frame[:, :, channel].astype(np.float32), [source, columns], order=1, mode="nearest")
    return np.clip(out + 0.5, 0, 255).astype(np.uint8)


def eyes_from(frame: np.ndarray, points: np.ndarray, source: np.ndarray, source_points: np.ndarray, which: tuple[int, ...] = (0, 1)) -> np.ndarray:
    """uint8: the chosen eyes of the frame are those of another one, turned and scaled to their place, with soft edges."""
    out = frame.astype(np.float32)
    for eye in which:
        corners = [UPPER[eye][0], UPPER[eye][-1]]
        # Corners and brow stay where they are when an eye closes; the lids do not.
        anchors = [*corners, *((70, 63, 105, 66, 107), (300, 293, 334, 296, 336))[eye], 168, 6]
        patch = moved(source, source_points[anchors, :2], points[anchors, :2])
        ring = np.concatenate([points[list(UPPER[eye]), :2], points[list(LOWER[eye])[::-1], :2]])
        width = float(np.ptp(ring[:, 0]))
        middle = ring.mean(0)
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        oval = middle + width * np.stack([0.72 * np.cos(angle), 0.5 * np.sin(angle)], 1)
        mask = polygon_mask(oval, frame.shape[:2], 1, max(0.6, 0.08 * width))[:, :, None]
        out += mask * (patch - out)
    return np.clip(out + 0.5, 0, 255).astype(np.uint8)


def spread_runs(runs: list[tuple[int, int]], count: int, pad: int = 2) -> list[tuple[int, int, int]]:
    """(first, last, open): runs with the frames around them in which eyes begin to close, and the last frame before that they are open in."""
    return [(max(0, first - pad), min(count - 1, last + pad), max(0, first - pad - 1)) for first, last in runs]


def without_blinks(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where eyes close they are those of the last frame before, so that the person does not blink."""
    out = frames.copy()
    for first, last, before in spread_runs(closed_runs(openness(mesh).mean(1)), len(frames), 3):
        for at in range(first, last + 1):
            out[at] = eyes_from(frames[at], mesh[at], frames[before], mesh[before])
    return out


def drawn_blinks(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Real blinks are taken out; lids of open eyes are pulled down instead, when the person blinked and at random besides."""
    ears = openness(mesh)
    opened = without_blinks(frames, mesh, rng)
    runs = closed_runs(ears.mean(1))
    wanted = [(first, last) for first, last in runs if last - first < 20]
    at = int(rng.integers(8, 40))
    while at + 12 < len(frames):
        length = int(rng.integers(4, 9))
        if all(at > last + 6 or at + length < first - 6 for first, last in runs):
            wanted.append((at, at + length - 1))
        at += int(rng.integers(35, 100))
    standing = np.percentile(ears, 80, axis=0)
    out = opened
    for first, last in wanted:
        depth, length = float(rng.uniform(0.75, 1.0)), last - first + 3
        for index, at in enumerate(range(first - 1, last + 2)):
            if 0 <= at < len(frames):
                share = depth * np.sin(np.pi * (index + 0.7) / (length + 0.4)) ** 0.7
                points = mesh[at].copy()
                if first - 3 <= at <= last + 3 and any(f - 3 <= at <= l + 3 for f, l in runs):
                    points = opened_lids(points, standing)
                out[at] = lids_lowered(out[at], points, (share, share))
    return out


def opened_lids(points: np.ndarray, standing: np.ndarray) -> np.ndarray:
    """The points with lids as far apart as the person's open eyes have them: the mesh of a blink says where closed lids were."""
    out = points.copy()
    for eye, (upper, lower) in enumerate(zip(UPPER, LOWER)):
        now = openness(points)[eye]
        middle = (points[list(upper), :2] + points[list(lower), :2]) / 2
        growth = float(np.clip(standing[eye] / max(now, 0.03), 1, 6))
        out[list(upper), :2] = middle + growth * (points[list(upper), :2] - middle)
        out[list(lower), :2] = middle + growth * (points[list(lower), :2] - middle)
    return out


def stuttered_blinks(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The eyes of each blink come from its own frames in a wrong order, some of them twice: lids jump instead of closing and opening."""
    out = frames.copy()
    for first, last, _ in spread_runs(closed_runs(openness(mesh).mean(1)), len(frames), 1):
        order = rng.integers(first, last + 1, last - first + 1)
        for at, source in zip(range(first, last + 1), order):
            out[at] = eyes_from(frames[at], mesh[at], frames[source], mesh[source])
    return out


def one_eyed_blinks(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One eye stays as open as before while the other one closes."""
    out, eye = frames.copy(), int(rng.integers(2))
    for first, last, before in spread_runs(closed_runs(openness(mesh).mean(1)), len(frames)):
        for at in range(first, last + 1):
            out[at] = eyes_from(frames[at], mesh[at], frames[before], mesh[before], (eye,))
    return out
