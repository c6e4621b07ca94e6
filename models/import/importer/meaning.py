"""From the values of a graph to a score, as inference/models/verdict.ts does it. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np

SMALLEST_PROBABILITY = 1e-7


def logit_of(row: np.ndarray, output: dict[str, Any]) -> float:
    """The logit of what the output calls positive; NaN where a probability is none."""
    row = row.astype(np.float64)
    index = output.get("index", 0)
    value = row[index]
    if output["activation"] == "sigmoid":
        return float(value)
    if output["activation"] == "softmax":
        others = np.delete(row, index)
        return float(value - others.max() - np.log(np.exp(others - others.max()).sum()))
    if not 0 <= value <= 1:
        return float("nan")
    kept = min(1 - SMALLEST_PROBABILITY, max(SMALLEST_PROBABILITY, float(value)))
    return float(np.log(kept / (1 - kept)))


def score_of(logit: float, output: dict[str, Any], calibration: dict[str, Any]) -> float:
    """P(fake), 0..1."""
    towards_fake = logit if output["positive"] == "fake" else -logit
    if calibration["method"] == "platt":
        towards_fake = calibration["slope"] * towards_fake + calibration["intercept"]
    elif calibration["method"] == "temperature":
        towards_fake /= calibration["temperature"]
    return float(1 / (1 + np.exp(-np.clip(towards_fake, -700, 700))))


def score_of_rows(rows: np.ndarray, output: dict[str, Any], calibration: dict[str, Any]) -> float:
    """Of all parts of a file: the score of their mean logit."""
    return score_of(float(np.mean([logit_of(row, output) for row in rows])), output, calibration)
