"""From logits to P(fake) and to the two thresholds, fitted on the calibration split alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detectors import metrics

METHODS = ("none", "temperature", "platt", "isotonic")
MOST_POINTS = 64


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


def class_weights(labels: np.ndarray) -> np.ndarray:
    """One half for each class, shared by its files. ValueError when a class is missing."""
    fakes, reals = int((labels == 1).sum()), int((labels == 0).sum())
    if not fakes or not reals:
        raise ValueError(f"calibration needs both classes; there are {reals} reals and {fakes} fakes")
    return np.where(labels == 1, 0.5 / fakes, 0.5 / reals)


def temperature(logits: np.ndarray, labels: np.ndarray, least: float = 0.05, most: float = 20.0) -> float:
    """The T of P(fake) = sigmoid(logit / T) with the smallest log-loss, classes weighed the same; golden section on log T.

    It moves no logit across zero: what is biased needs Platt's intercept.
    """
    logits, labels = np.asarray(logits, float), np.asarray(labels)
    weight, sign = class_weights(labels), np.where(labels == 1, 1.0, -1.0)

    def loss(log_t: float) -> float:
        return float((weight * np.logaddexp(0, -sign * logits / math.exp(log_t))).sum())

    low, high = math.log(least), math.log(most)
    ratio = (math.sqrt(5) - 1) / 2
    while high - low > 1e-6:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return math.exp((low + high) / 2)


def isotonic(logits: np.ndarray, labels: np.ndarray) -> list[tuple[float, float]]:
    """Points (logit, P(fake)) of the best rising step function, classes weighed the same, targets smoothed as in `platt`.

    Between points P is linear, outside them that of the nearest point; this is what `isotonic` in model.yaml means, so at most
    `MOST_POINTS` are kept. Pool adjacent violators; files of one logit are one. Steps make ties, so ranking may lose a little.
    """
    logits, labels = np.asarray(logits, float), np.asarray(labels)
    weight, fakes, reals = class_weights(labels), int((labels == 1).sum()), int((labels == 0).sum())
    target = np.where(labels == 1, (fakes + 1) / (fakes + 2), 1 / (reals + 2))
    places, at = np.unique(logits, return_inverse=True)
    weights = np.bincount(at, weight)
    values = np.bincount(at, weight * target) / weights
    blocks: list[list[float]] = []
    for place, value, mass in zip(places, values, weights):
        blocks.append([place, place, value, mass])
        while len(blocks) > 1 and blocks[-2][2] >= blocks[-1][2]:
            _, last, later, added = blocks.pop()
            first, _, earlier, held = blocks[-1]
            blocks[-1] = [first, last, (earlier * held + later * added) / (held + added), held + added]
    points = [(edge, value) for first, last, value, _ in blocks for edge in ([first] if first == last else [first, last])]
    if len(points) < 2:
        raise ValueError("isotonic calibration needs logits that differ; these are all the same")
    if len(points) > MOST_POINTS:
        points = [points[round(i * (len(points) - 1) / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]
    return points


def calibrated(logits: np.ndarray, fit: Mapping[str, object]) -> np.ndarray:
    """P(fake) by a `calibration` of model.yaml. ValueError for a method that it does not know."""
    logits = np.asarray(logits, float)
    match fit["method"]:
        case "none":
            return sigmoid(logits)
        case "platt":
            return sigmoid(fit["slope"] * logits + fit["intercept"])
        case "temperature":
            return sigmoid(logits / fit["temperature"])
        case "isotonic":
            places, values = zip(*((point["logit"], point["score"]) for point in fit["points"]))
            return np.interp(logits, places, values)
    raise ValueError(f"calibration {fit['method']!r} is not none, platt, temperature or isotonic")


def fitted(method: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """A `calibration` for model.yaml, fitted with the numbers that are written there."""
    match method:
        case "none":
            return {"method": method}
        case "platt":
            slope, intercept = platt(logits, labels)
            return {"method": method, "slope": round(slope, 5), "intercept": round(intercept, 5)}
        case "temperature":
            return {"method": method, "temperature": round(temperature(logits, labels), 5)}
        case "isotonic":
            # Rounding must not let two places fall together: the pod wants them to rise.
            points = {round(float(place), 6): round(float(value), 6) for place, value in isotonic(logits, labels)}
            return {"method": method, "points": [{"logit": place, "score": value} for place, value in points.items()]}
    raise ValueError(f"calibration {method!r} is not one of {', '.join(METHODS)}")


@dataclass(frozen=True)
class Comparison:
    """A method fitted on one split and measured on another; `before` is what the plain sigmoid has there."""

    method: str
    fit: dict[str, object]
    before: float
    ece: float
    balanced_ece: float
    brier: float
    auc: float


def compared(
    logits: np.ndarray, labels: np.ndarray, groups: np.ndarray,
    test_logits: np.ndarray, test_labels: np.ndarray, test_groups: np.ndarray,
) -> list[Comparison]:
    """Every method fitted on the first split and measured on the second. ValueError when the two share a group."""
    shared = sorted(set(np.asarray(groups).tolist()) & set(np.asarray(test_groups).tolist()))
    if shared:
        raise ValueError(f"{len(shared)} sources are in the calibration and in the test: {', '.join(map(str, shared[:5]))}")
    before = metrics.ece(sigmoid(np.asarray(test_logits, float)), test_labels)
    out = []
    for method in METHODS:
        fit = fitted(method, logits, labels)
        scores = calibrated(test_logits, fit)
        measured = (figure(scores, test_labels) for figure in (metrics.ece, metrics.balanced_ece, metrics.brier, metrics.auc))
        out.append(Comparison(method, fit, before, *measured))
    return out


def chosen(logits: np.ndarray, labels: np.ndarray, groups: np.ndarray, methods: Sequence[str] = METHODS, folds: int = 5) -> tuple[str, dict[str, float]]:
    """The method whose scores of sources that it was not fitted on have the lowest Brier score, classes weighed the same; and all of these.

    Sources are dealt to folds by turns. Of methods as good as each other, the first is taken. ValueError where a fold would leave a class out.
    """
    logits, labels, groups = np.asarray(logits, float), np.asarray(labels), np.asarray(groups)
    names = np.unique(groups)
    folds = min(folds, len(names))
    if folds < 2:
        raise ValueError("choosing a calibration needs two sources at least")
    fold = np.searchsorted(names, groups) % folds
    weight = class_weights(labels)
    errors = {}
    for method in methods:
        scores = np.empty(len(logits))
        for number in range(folds):
            rest, own = fold != number, fold == number
            scores[own] = calibrated(logits[own], fitted(method, logits[rest], labels[rest]))
        errors[method] = round(float((weight * (scores - labels) ** 2).sum()), 4)
    return min(methods, key=lambda method: errors[method]), errors
