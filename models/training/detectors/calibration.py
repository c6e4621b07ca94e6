"""From logits to P(fake) and to the two thresholds, fitted on the calibration split alone."""

from __future__ import annotations

import math

import numpy as np


def sigmoid(x: np.ndarray | float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def platt(logits: np.ndarray, labels: np.ndarray, ridge: float = 1e-3, rounds: int = 200) -> tuple[float, float]:
    """Slope and intercept of P(fake) = sigmoid(slope * logit + intercept); Newton on the log-loss, in short steps.

    Classes weigh the same, targets are smoothed as Platt proposed, and `ridge` keeps separable data finite.
    """
    logits, labels = np.asarray(logits, float), np.asarray(labels, float)
    fakes, reals = labels.sum(), (1 - labels).sum()
    target = np.where(labels == 1, (fakes + 1) / (fakes + 2), 1 / (reals + 2))
    weight = np.where(labels == 1, 0.5 / fakes, 0.5 / reals)
    design = np.stack([logits, np.ones_like(logits)], 1)
    theta = np.array([1.0, 0.0])
    for _ in range(rounds):
        p = sigmoid(design @ theta)
        gradient = design.T @ (weight * (p - target)) + ridge * (theta - [1.0, 0.0])
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + ridge * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step * min(1, 0.3 / (np.linalg.norm(step) + 1e-12))
    return float(theta[0]), float(theta[1])


def thresholds(scores: np.ndarray, labels: np.ndarray, error: float = 0.05, margin: float = 0.02) -> tuple[float, float]:
    """(low, high): at most `error` of the reals score >= high, at most `error` of the fakes score <= low.

    Where the classes separate so well that the two cross, they change places: scores between the classes get no answer.
    """
    scores, labels = np.asarray(scores, float), np.asarray(labels)
    reals, fakes = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])
    high = reals[min(len(reals) - 1, math.ceil(len(reals) * (1 - error)) - 1)] + 1e-4
    low = fakes[max(0, math.floor(len(fakes) * error) - 1 if len(fakes) * error >= 1 else 0)] - 1e-4
    low, high = min(low, high), max(low, high)
    if high - low < margin:
        middle = (low + high) / 2
        low, high = middle - margin / 2, middle + margin / 2
    return round(float(np.clip(low, 0.01, 0.97)), 4), round(float(np.clip(high, 0.03, 0.99)), 4)
