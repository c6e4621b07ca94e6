"""What every Python server of the benchmark does before the graph: the usual recipe of a Pillow stack."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SIDE = 224
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def normalised(rgb: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] to float32 [1, 3, H, W]."""
    return np.ascontiguousarray(((rgb.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)[None])


def pixels_of(media: bytes, draft: bool) -> np.ndarray:
    """float32 [1, 3, 224, 224]; `draft` lets the JPEG decoder halve the picture while it decodes, as tuned servers do."""
    with Image.open(io.BytesIO(media)) as image:
        if draft:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
        resized = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return normalised(np.asarray(resized))


def probability(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))
