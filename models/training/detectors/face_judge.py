"""How the families `image-faces` and `video-faces` come from frames to a logit: the pod's rules in Python, for calibration and evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from detectors.face_finder import FaceFinder
from detectors.views import square_crop

SMALLEST = 1e-12


def normalised(crops: np.ndarray, pixels: dict) -> np.ndarray:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W]."""
    values = (crops.astype(np.float32) / 255 - np.float32(pixels["mean"])) / np.float32(pixels["std"])
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)


def frame_logits(frames: Sequence[np.ndarray], pipeline: dict, finder: FaceFinder, parts: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Of each frame with a face to judge, in order: the highest logit of its largest faces. `parts` is the graph, [N, 3, H, W] to [N]."""
    crop, faces = pipeline["crop"], pipeline["faces"]
    crops, owners = [], []
    for index, frame in enumerate(frames):
        found = [face for face in finder.find(frame) if min(face.box[2:]) >= faces["minSide"]]
        for face in sorted(found, key=lambda face: -face.box[2] * face.box[3])[: faces["max"]]:
            crops.append(square_crop(frame, face.box, crop["margin"], crop["width"]))
            owners.append(index)
    if not crops:
        return np.zeros(0)
    logits = parts(normalised(np.stack(crops), pipeline["pixels"]))
    return np.array([logits[np.array(owners) == index].max() for index in sorted(set(owners))], float)


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
