"""What a detector of faces is trained and measured on: crops, pictures and clips of real faces and of fakes made of them, after one chain for both.

A fake and its real pass the chain with the same draws, so that nothing but the fake tells them apart.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from detectors import face_fakes, image_fakes, views
from detectors.augment import grainy, h264, jpeg, resized
from detectors.face_media import MARGIN, RATE, SIDE, Track
from detectors.views import View, look, rounded, square_of

CROP = 112
"""Pixels of what the net sees."""
CROP_MARGIN = 0.3
"""Of the box's sides around what the net sees."""
KEPT = 120
"""Pixels of a training crop: the net's crop is cut out of it at a random place."""
EVERY = 2
"""Of the frames of a track one in so many: neighbours hardly differ."""
MODES = ("independent", "flicker", "smooth")
SEGMENT_SECONDS = 2.0
SEGMENT_EVERY = 4
"""As `EVERY`, of a segment."""
SEEN = ("self-blended",)
UNSEEN = ("swap", "autoencoder")
Rebuild = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Chain:
    """What happens to pictures of either class before they are uploaded: `scale` of the sides, `noise` in levels, then a codec at a level."""

    scale: float
    noise: float
    codec: str
    level: int

    @property
    def metadata(self) -> list[float]:
        return [self.scale, self.noise, float(self.codec == "h264"), float(self.codec == "jpeg"), float(self.level)]


def drawn_chain(rng: np.random.Generator, video: float) -> Chain:
    """`video` is the share of H.264."""
    scale = float(rng.uniform(0.6, 1.2)) if rng.random() < 0.5 else 1.0
    noise = float(rng.uniform(0.5, 4)) if rng.random() < 0.25 else 0.0
    if rng.random() < video:
        return Chain(scale, noise, "h264", int(rng.integers(17, 33)))
    if rng.random() < 0.85:
        return Chain(scale, noise, "jpeg", int(rng.integers(50, 97)))
    return Chain(scale, noise, "none", 0)


def published(frames: np.ndarray, chain: Chain, seed: int) -> np.ndarray:
    """uint8 [T, H, W, 3] after the chain, at its size."""
    rng = np.random.default_rng(seed)
    out = []
    for frame in frames:
        image = Image.fromarray(frame)
        if chain.scale != 1:
            image = resized(image, chain.scale, Image.Resampling.BILINEAR)
        if chain.noise:
            image = grainy(image, chain.noise, rng)
        out.append(np.asarray(jpeg(image, chain.level) if chain.codec == "jpeg" else image))
    made = np.stack(out)
    return h264(made, chain.level) if chain.codec == "h264" else made


@dataclass(frozen=True)
class Run:
    """A stretch of a track that is made into as many real and fake crops with one set of draws."""

    track: Track
    places: np.ndarray
    seed: int


def runs_of(tracks: Sequence[Track], per_person: int, seed: int) -> list[Run]:
    """Of every person about the same number of crops, at most 60 in a run."""
    out = []
    for track in tracks:
        places = np.arange(0, len(track.times), EVERY)
        left = per_person
        while left > 0:
            start = 0 if len(places) <= 60 else int(np.random.default_rng([seed, len(out)]).integers(0, len(places) - 60 + 1))
            chosen = places[start : start + min(60, left)]
            out.append(Run(track, chosen, seed * 10_000 + len(out)))
            left -= len(chosen)
    return out


def crops_of(run: Run) -> np.ndarray:
    """uint8 [2, T, 120, 120, 3]: real and fake, after the same chain, cut alike."""
    rng = np.random.default_rng(run.seed)
    side = int(rng.integers(60, 101)) * 2
    chain = drawn_chain(rng, video=0.5)
    recipes = face_fakes.recipes_over(len(run.places), rng, str(rng.choice(MODES, p=[0.5, 0.25, 0.25])))
    edited = face_fakes.recipes_over(len(run.places), rng, "smooth") if rng.random() < 0.3 else None
    points = run.track.points
    pairs = [[], []]
    for k, place in enumerate(run.places):
        inside = Inside(run.track, int(place), side)
        face = points[place] * (side / SIDE)
        small = rounded(look(run.track.crops[place], View(SIDE / 2, SIDE / 2, SIDE, SIDE), side, side, "edge"))
        pairs[0].append(inside.changed(small, face, lambda picture, at: face_fakes.plainly_changed(picture, at, edited[k])) if edited else small)
        pairs[1].append(inside.changed(small, face, lambda picture, at: face_fakes.self_blended(picture, at, recipes[k])))
    cut = drawn_cut(rng)
    return np.stack([np.stack([cut(frame) for frame in published(np.stack(frames), chain, run.seed)]) for frames in pairs])


class Inside:
    """What of a crop of that side lies in the frame: nothing else is changed, and beyond it stays black."""

    def __init__(self, track: Track, place: int, side: int) -> None:
        view, (height, width) = square_of(track.boxes[place], MARGIN), track.size
        scale = side / view.width
        left, top = ((middle - view.width / 2) * scale for middle in (view.x, view.y))
        self.left, self.top = max(0, round(-left)), max(0, round(-top))
        self.right, self.bottom = min(side, round(width * scale - left)), min(side, round(height * scale - top))

    def changed(self, crop: np.ndarray, points: np.ndarray, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        out = crop.copy()
        seen = (slice(self.top, self.bottom), slice(self.left, self.right))
        out[seen] = change(crop[seen], points - np.float32([self.left, self.top]))
        return out


def drawn_cut(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Cuts what the net sees out of a square picture of a face with `MARGIN`: as the pod does, from a box that is a little off."""
    share = (1 + 2 * CROP_MARGIN) / (1 + 2 * MARGIN) * KEPT / CROP * float(rng.uniform(0.92, 1.06))
    off = rng.uniform(-0.03, 0.03, 2)

    def cut(picture: np.ndarray) -> np.ndarray:
        side = picture.shape[0]
        view = View(side * (0.5 + off[0]), side * (0.5 + off[1]), side * share, side * share)
        return rounded(look(picture, view, KEPT, KEPT, "black"))

    return cut


@dataclass(frozen=True)
class Pool:
    """Training crops: uint8 [2, N, 120, 120, 3] (real, fake), and each pair's person [N]."""

    crops: np.ndarray
    persons: np.ndarray


def pool(tracks: Sequence[Track], per_person: int, seed: int, kept: Path) -> Pool:
    """From the cache where the same tracks, settings and code have made it before."""
    code = [inspect.getsource(made) for made in (face_fakes, views, runs_of, crops_of, Inside, drawn_cut, drawn_chain, published)]
    settings = [per_person, seed, *code, *((track.name, track.boxes.tobytes().hex()) for track in tracks)]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    file = kept / f"pool-{key}.npy"
    runs = runs_of(tracks, per_person, seed)
    persons = np.array([run.track.name for run in runs for _ in run.places])
    if not file.exists():
        kept.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as workers:
            made = np.concatenate(list(workers.map(crops_of, runs)), 1)
        np.save(file.with_suffix(".part.npy"), made)
        file.with_suffix(".part.npy").replace(file)
    return Pool(np.load(file, mmap_mode="r"), persons)


@dataclass(frozen=True)
class Upload:
    """A picture (T = 1) or clip as a client would have it: uint8 [T, H, W, 3], 1 for fake, its person, its maker, its chain."""

    frames: np.ndarray
    label: int
    person: str
    maker: str
    chain: Chain


@dataclass(frozen=True)
class Job:
    """A stretch of a track that is made into one real and one fake by each maker."""

    track: Track
    donor: Track
    places: np.ndarray
    seed: int


def jobs_of(tracks: Sequence[Track], seed: int, video: bool, most: int) -> list[Job]:
    """Of each person at most `most` segments of `SEGMENT_SECONDS`, or single frames. The donor is the next person of the same split."""
    out = []
    for number, track in enumerate(tracks):
        for places in segments(track, video, most):
            out.append(Job(track, tracks[(number + 1) % len(tracks)], places, seed * 10_000 + len(out)))
    return out


def upload(job: Job, frames: np.ndarray, kind: str, rebuild: Rebuild, video: bool) -> Upload:
    """The real, or the fake of that kind; `frames` are those of the whole track's clip."""
    track = job.track
    chain = drawn_chain(np.random.default_rng(job.seed), video=1.0 if video else 0.0)
    changed = maker(kind, job, rebuild, video)
    made = []
    for k, place in enumerate(job.places):
        frame, view = frames[track.frames[place]], square_of(track.boxes[place], MARGIN)
        made.append(face_fakes.in_frame(frame, view, track.landmarks[place], lambda crop, at, k=k: changed(k, crop, at)))
    return Upload(published(np.stack(made), chain, job.seed), int(kind != "real"), track.name, kind, chain)


def segments(track: Track, video: bool, most: int) -> list[np.ndarray]:
    """Places of a track: single ones spread over it, or stretches of `SEGMENT_SECONDS`, one in `SEGMENT_EVERY`, that overlap by half at most."""
    length = round(SEGMENT_SECONDS * RATE) if video else 1
    count = min(most, 2 * len(track.times) // length - 1)
    starts = np.linspace(0, len(track.times) - length, count).astype(int)
    return [np.arange(start, start + length, SEGMENT_EVERY) for start in starts]


def maker(kind: str, job: Job, rebuild: Rebuild, video: bool) -> Callable[[int, np.ndarray, np.ndarray], np.ndarray]:
    """(place in the stretch, crop, landmarks in it) to the crop of that kind."""
    rng, count = np.random.default_rng([job.seed, 1]), len(job.places)
    recipes = face_fakes.recipes_over(count, rng, str(rng.choice(["flicker", "smooth"])) if video else "independent")
    whole = [replace(recipe, hull="face", grown=min(recipe.grown, 0.0), softness=max(recipe.softness, 0.05)) for recipe in recipes]
    match kind:
        case "real":
            return lambda k, crop, at: crop
        case "self-blended":
            return lambda k, crop, at: face_fakes.self_blended(crop, at, recipes[k])
        case "swap":
            donor = job.donor
            first = int(rng.integers(0, max(1, len(donor.times) - SEGMENT_EVERY * count)))
            others = np.minimum(first + SEGMENT_EVERY * np.arange(count), len(donor.times) - 1)
            points = donor.points[others]
            return lambda k, crop, at: face_fakes.pasted(crop, at, np.asarray(donor.crops[others[k]]), points[k], whole[k])
        case "autoencoder":
            return lambda k, crop, at: face_fakes.inlaid(crop, remade(crop, rebuild), face_fakes.mask_of(at, *crop.shape[:2], whole[k]))
    raise ValueError(f"no maker of fakes is called {kind!r}")


def remade(crop: np.ndarray, rebuild: Rebuild) -> np.ndarray:
    """The crop at 128 x 128 px through the network and back at its own size, as networks of a fixed size leave it."""
    height, width = crop.shape[:2]
    small = rounded(look(crop, View(width / 2, height / 2, width, height), 128, 128, "edge"))
    return look(rebuild(small[None])[0], View(64, 64, 128, 128), width, height, "edge")


def autoencoder(tracks: Sequence[Track], steps: int, seed: int, kept: Path) -> Rebuild:
    """A small autoencoder of faces at 128 x 128 px, trained on the given persons alone."""
    crops = np.concatenate([track.crops[:: 2 * EVERY] for track in tracks])
    small = np.stack([np.asarray(Image.fromarray(crop).resize((128, 128), Image.Resampling.BOX)) for crop in crops])
    net = image_fakes.trained("eightfold", small, steps, seed, kept)

    def rebuild(pictures: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            made = net(torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255))
        return (made.clamp(0, 1) * 255).round().byte().numpy().transpose(0, 2, 3, 1)

    return rebuild
