"""Golden files that may be published: a still portrait in the public domain that is panned and zoomed over, and fakes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from detectors import face_media, pod_tensors, sources, video_clips
from detectors.video_clips import RATE, Shot
from detectors.video_fakes import Maker

SIDE = 256
FOLDER = sources.CACHE / "golden"
AROUND = (110, 10, 220)
"""x, y and side of the square around the face of the portrait, in its pixels."""


def moving(seconds: float = 3.0) -> Shot:
    """The portrait as a camera sees it that does not stand still, with the grain of a sensor."""
    picture, rng = Image.fromarray(face_media.astronaut()), np.random.default_rng(0)
    left, top, side = AROUND
    frames = []
    for index in range(round(seconds * RATE)):
        time = index / RATE
        wide = side * (1 - 0.08 * np.sin(0.9 * time) ** 2)
        x, y = left + 6 * np.sin(1.3 * time) + (side - wide) / 2, top + 5 * np.sin(0.8 * time + 1) + (side - wide) / 2
        seen = picture.transform((SIDE, SIDE), Image.EXTENT, (x, y, x + wide, y + wide), Image.BICUBIC)
        frames.append(np.clip(np.asarray(seen, np.float32) + rng.normal(0, 1.5, (SIDE, SIDE, 1)) + 0.5, 0, 255).astype(np.uint8))
    stacked = np.stack(frames)
    path = video_clips.encoded(FOLDER / f"portrait-{seconds:g}.mp4", stacked, 12)
    mesh = pod_tensors.given([path], mesh={"rate": RATE})[0].tensors["mesh"]
    return Shot("astronaut", "test", stacked, mesh.reshape(len(mesh), -1, 3))


def files(name: str, makers: dict[str, Maker], seconds: float = 3.0, sounds: dict[str, np.ndarray] | None = None, crf: int = 24) -> dict[str, Path]:
    """One file for each maker, under its name."""
    shot = moving(seconds)
    mesh = video_clips.filled(shot.mesh)
    made = {}
    for label, maker in makers.items():
        frames = maker(shot.frames, mesh, np.random.default_rng(3))
        made[label] = video_clips.encoded(FOLDER / name / f"{label}.mp4", frames, crf, (sounds or {}).get(label))
    return made
