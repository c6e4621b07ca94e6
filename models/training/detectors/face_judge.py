"""How the families `image-faces` and `video-faces` come from frames to a logit: the pod's rules in Python, for calibration and evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detectors.views import square_crop

if TYPE_CHECKING:
    from detectors.face_finder import FaceFinder

SMALLEST = 1e-12


def normalised(crops: np.ndarray, pixels: dict) -> np.ndarray:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W]."""
    values = (crops.astype(np.float32) / 255 - np.float32(pixels["mean"])) / np.float32(pixels["std"])
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)


@dataclass(frozen=True)
class Shown:
    """What a file shows the graph: `crops` uint8 [N, side, side, 3] of its faces, and the place of each one's frame [N]."""

    crops: np.ndarray
    owners: np.ndarray


def shown_in(frames: Sequence[np.ndarray], pipeline: dict, finder: FaceFinder) -> Shown:
    """The largest faces of each frame, as many and as large as the package judges."""
    crop, faces = pipeline["crop"], pipeline["faces"]
    crops, owners = [np.zeros((0, crop["height"], crop["width"], 3), np.uint8)], []
    for index, frame in enumerate(frames):
        found = [face for face in finder.find(frame) if min(face.box[2:]) >= faces["minSide"]]
        for face in sorted(found, key=lambda face: -face.box[2] * face.box[3])[: faces["max"]]:
            crops.append(square_crop(frame, face.box, crop["margin"], crop["width"])[None])
            owners.append(index)
    return Shown(np.concatenate(crops), np.array(owners, int))


def logit_of(shown: Shown, pipeline: dict, parts: Callable[[np.ndarray], np.ndarray]) -> float | None:
    """Of a file; None where no frame, or in a video fewer than the package asks for, shows a face. `parts` is the graph, [N, 3, H, W] to [N].

    A frame's logit is the highest of its faces, a picture's that of its one frame.
    """
    frames = np.unique(shown.owners)
    if len(frames) < pipeline.get("minFrames", 1):
        return None
    logits = parts(normalised(shown.crops, pipeline["pixels"]))
    highest = np.array([logits[shown.owners == frame].max() for frame in frames], float)
    return aggregated(highest, pipeline.get("aggregation", "mean-logit"))


def aggregated(logits: np.ndarray, rule: dict | str) -> float:
    """A video's logit of those of its frames, not empty, by the package's `aggregation`."""
    if rule == "mean-logit":
        return float(np.mean(logits))
    score = min(max(confident_mean(1 / (1 + np.exp(-np.asarray(logits, float))), rule), SMALLEST), 1 - SMALLEST)
    return math.log(score / (1 - score))


def confident_mean(scores: np.ndarray, rule: dict) -> float:
    """Of P(fake) of frames: the mean of the sure ones where there are enough of them, else of all."""
    fakes, reals = scores[scores > rule["high"]], scores[scores < rule["low"]]
    if len(fakes) > rule["fakeShare"] * len(scores) and len(fakes) > rule["fakeFrames"]:
        return float(fakes.mean())
    if len(reals) > rule["realShare"] * len(scores):
        return float(reals.mean())
    return float(scores.mean())
