"""Figures of a held-out evaluation, each with a bootstrap over sources (never over files of the same source)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def auc(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Area under the ROC curve; ties count one half. nan when a class is missing."""
    reals, fakes = np.sort(scores[labels == 0]), scores[labels == 1]
    if not len(reals) or not len(fakes):
        return float("nan")
    below = np.searchsorted(reals, fakes, "left") + np.searchsorted(reals, fakes, "right")
    return float(below.mean() / 2 / len(reals))


def macro_paired_auc(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Mean over sources of the AUC inside each source; sources with one class only do not count."""
    inside = [auc(scores[groups == g], labels[groups == g]) for g in np.unique(groups)]
    kept = [value for value in inside if not np.isnan(value)]
    return float(np.mean(kept)) if kept else float("nan")


def eer(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Equal error rate: where false alarms and misses meet."""
    cuts = np.unique(scores)
    misses = np.array([(scores[labels == 1] < c).mean() for c in cuts])
    alarms = np.array([(scores[labels == 0] >= c).mean() for c in cuts])
    at = np.argmin(np.abs(misses - alarms))
    return float((misses[at] + alarms[at]) / 2)


def ece(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, bins: int = 10) -> float:
    """Expected calibration error over ten equal bins, with the two classes weighed the same."""
    weight = np.where(labels == 1, 0.5 / max(1, (labels == 1).sum()), 0.5 / max(1, (labels == 0).sum()))
    index = np.minimum((scores * bins).astype(int), bins - 1)
    total = 0.0
    for b in range(bins):
        inside = index == b
        if weight[inside].sum() > 0:
            total += abs((weight * (labels - scores))[inside].sum())
    return float(total)


def answered_accuracy(low: float, high: float) -> Metric:
    """Balanced accuracy of the answers outside the abstain band; nan when a class got no answer."""

    def measure(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
        answered = (scores <= low) | (scores >= high)
        rates = [((scores >= high) == c)[answered & (labels == c)].mean() for c in (0, 1) if (answered & (labels == c)).any()]
        return float(np.mean(rates)) if len(rates) == 2 else float("nan")

    return measure


def coverage(low: float, high: float) -> Metric:
    """Share of the files that got an answer."""
    return lambda scores, labels, groups=None: float(((scores <= low) | (scores >= high)).mean())


def bootstrap(metric: Metric, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, rounds: int = 1000, seed: int = 7) -> tuple[float, float, float]:
    """(value, low, high): the metric and its 95 % interval, resampling whole sources."""
    scores, labels, groups = np.asarray(scores, float), np.asarray(labels), np.asarray(groups)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(rounds):
        drawn = rng.integers(0, len(members), len(members))
        index = np.concatenate([members[d] for d in drawn])
        renamed = np.concatenate([np.full(len(members[d]), i) for i, d in enumerate(drawn)])
        values.append(metric(scores[index], labels[index], renamed))
    kept = np.array([v for v in values if not np.isnan(v)])
    value = metric(scores, labels, groups)
    if not len(kept):
        return value, float("nan"), float("nan")
    return value, float(np.percentile(kept, 2.5)), float(np.percentile(kept, 97.5))


def control_scores(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, ridge: float = 1.0) -> np.ndarray:
    """Scores of a linear classifier on metadata alone: every second source is scored by a fit on the others.

    Scores are ranks inside each half, so that the two fits can be pooled.
    """
    features = np.asarray(features, float)
    features = (features - features.mean(0)) / (features.std(0) + 1e-9)
    design = np.hstack([features, np.ones((len(features), 1))])
    target = np.where(labels == 1, 1.0, -1.0)
    half = np.searchsorted(np.unique(groups), groups) % 2
    out = np.zeros(len(labels))
    for part in (0, 1):
        rest, own = half != part, half == part
        fit = np.linalg.solve(design[rest].T @ design[rest] + ridge * np.eye(design.shape[1]), design[rest].T @ target[rest])
        out[own] = ranks(design[own] @ fit)
    return out


def ranks(values: np.ndarray) -> np.ndarray:
    """0..1, ties share their mean rank."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2 / max(1, len(values))
