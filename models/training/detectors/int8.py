"""What an INT8 variant of a graph costs, and whether it is worth shipping. numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detectors import metrics
from detectors.calibration import calibrated

MOST_AUC_LOST = 0.01
MOST_SCORE_MOVED = 0.08


@dataclass(frozen=True)
class Cost:
    """What smaller numbers cost on one set: AUC lost, ECE gained (classes weighed the same), and how far the furthest and the mean score move."""

    auc: float
    ece: float
    furthest: float
    mean: float


def cost_of(plain: np.ndarray, smaller: np.ndarray, labels: np.ndarray, calibration: Mapping[str, object]) -> Cost:
    """Of two graphs' logits of the same files. ValueError where one is not finite."""
    before, after = (calibrated(logits, calibration) for logits in (plain, smaller))
    if not np.isfinite(before).all() or not np.isfinite(after).all():
        raise ValueError("a graph answered with a value that is not finite")
    moved = np.abs(before - after)
    lost = metrics.auc(before, labels) - metrics.auc(after, labels)
    return Cost(lost, metrics.balanced_ece(after, labels) - metrics.balanced_ece(before, labels), float(moved.max()), float(moved.mean()))


def refusal(costs: Mapping[str, Cost], golden_moved: float) -> str | None:
    """Why the smaller graph is not worth shipping, in words; None where it is."""
    for name, cost in costs.items():
        if not cost.auc <= MOST_AUC_LOST:
            return f"{name}: the AUC falls by {cost.auc:.3f}, more than {MOST_AUC_LOST}"
    if not golden_moved <= MOST_SCORE_MOVED:
        return f"the score of a golden file moves by {golden_moved:.3f}, more than {MOST_SCORE_MOVED}"
    return None
