"""Figures of a held-out evaluation, each with a bootstrap over sources (never over files of the same source).

Scores are P(fake) in 0..1 unless a figure only ranks them; labels are 1 for fake and 0 for real. A figure that the data cannot
give (a class is missing, nothing was called fake) is nan, never a number that looks like one. numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
NAN = float("nan")


def checked(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three as arrays of one length. ValueError says which of them cannot be measured."""
    scores, labels, groups = np.asarray(scores, float), np.asarray(labels), np.asarray(groups)
    if not scores.ndim == labels.ndim == groups.ndim == 1 or not len(scores) == len(labels) == len(groups):
        raise ValueError(f"scores, labels and groups must be lists of one length, not of shapes {scores.shape}, {labels.shape} and {groups.shape}")
    if not len(scores):
        raise ValueError("there is nothing to measure: no file has a score")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 (real) or 1 (fake)")
    return scores, labels, groups


def auc(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Area under the ROC curve; ties count one half. nan when a class is missing."""
    reals, fakes = np.sort(scores[labels == 0]), scores[labels == 1]
    if not len(reals) or not len(fakes):
        return NAN
    below = np.searchsorted(reals, fakes, "left") + np.searchsorted(reals, fakes, "right")
    return float(below.mean() / 2 / len(reals))


def macro_paired_auc(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Mean over sources of the AUC inside each source; sources with one class only do not count."""
    inside = [auc(scores[groups == g], labels[groups == g]) for g in np.unique(groups)]
    kept = [value for value in inside if not np.isnan(value)]
    return float(np.mean(kept)) if kept else NAN


def roc(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(false positive rate, true positive rate, cut), from calling nothing fake to calling everything fake; a file is fake where score >= cut."""
    order = np.argsort(-scores, kind="stable")
    ordered, positive = scores[order], labels[order] == 1
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits, alarms = np.cumsum(positive)[ends], np.cumsum(~positive)[ends]
    rates = (np.concatenate([[0], counts]) / max(1, counts[-1]) for counts in (alarms, hits))
    return (*rates, np.concatenate([[np.inf], ordered[ends]]))


def average_precision(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Mean precision over the steps of recall, without interpolation; files of one score are one step. nan without fakes."""
    if not (labels == 1).any():
        return NAN
    alarms, hits, _ = roc(scores, labels)
    hits, alarms = hits[1:] * (labels == 1).sum(), alarms[1:] * (labels == 0).sum()
    return float(np.sum(np.diff(hits, prepend=0) * hits / (hits + alarms)) / hits[-1])


def eer(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Equal error rate: where false alarms and misses meet, at the nearest score. nan when a class is missing."""
    if not (labels == 1).any() or not (labels == 0).any():
        return NAN
    cuts = np.unique(scores)
    misses = np.searchsorted(np.sort(scores[labels == 1]), cuts, "left") / (labels == 1).sum()
    reals = (labels == 0).sum()
    alarms = (reals - np.searchsorted(np.sort(scores[labels == 0]), cuts, "left")) / reals
    at = np.argmin(np.abs(misses - alarms))
    return float((misses[at] + alarms[at]) / 2)


def fpr_at_tpr(wanted: float = 0.95) -> Metric:
    """The smallest share of reals called fake among the cuts that find at least `wanted` of the fakes."""

    def measure(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
        if not (labels == 1).any() or not (labels == 0).any():
            return NAN
        alarms, hits, _ = roc(scores, labels)
        return float(alarms[hits >= wanted - 1e-12].min())

    return measure


def tpr_at_fpr(allowed: float = 0.01) -> Metric:
    """The largest share of fakes found among the cuts that call at most `allowed` of the reals fake; with few reals, none of them."""

    def measure(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
        if not (labels == 1).any() or not (labels == 0).any():
            return NAN
        alarms, hits, _ = roc(scores, labels)
        return float(hits[alarms <= allowed + 1e-12].max())

    return measure


@dataclass(frozen=True)
class Counts:
    """Decisions at one cut: a file is called fake where score >= cut."""

    hits: int
    misses: int
    alarms: int
    passes: int

    @classmethod
    def at(cls, cut: float, scores: np.ndarray, labels: np.ndarray) -> "Counts":
        called, fake = scores >= cut, labels == 1
        return cls(int((called & fake).sum()), int((~called & fake).sum()), int((called & ~fake).sum()), int((~called & ~fake).sum()))


def share(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def decision(cut: float, figure: Callable[[Counts], float]) -> Metric:
    return lambda scores, labels, groups=None: figure(Counts.at(cut, scores, labels))


def accuracy(cut: float) -> Metric:
    return decision(cut, lambda c: share(c.hits + c.passes, c.hits + c.misses + c.alarms + c.passes))


def balanced_accuracy(cut: float) -> Metric:
    """Mean of the two classes' accuracies; nan when a class is missing."""
    return decision(cut, lambda c: (share(c.hits, c.hits + c.misses) + share(c.passes, c.passes + c.alarms)) / 2)


def precision(cut: float) -> Metric:
    """Share of fakes among what is called fake; nan when nothing is. It depends on how many of the files are fake."""
    return decision(cut, lambda c: share(c.hits, c.hits + c.alarms))


def recall(cut: float) -> Metric:
    """Share of the fakes that are called fake."""
    return decision(cut, lambda c: share(c.hits, c.hits + c.misses))


def f1(cut: float) -> Metric:
    return decision(cut, lambda c: share(2 * c.hits, 2 * c.hits + c.alarms + c.misses))


def answered_accuracy(low: float, high: float) -> Metric:
    """Balanced accuracy of the answers outside the abstain band; nan when a class got no answer."""

    def measure(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
        answered = (scores <= low) | (scores >= high)
        rates = [((scores >= high) == c)[answered & (labels == c)].mean() for c in (0, 1) if (answered & (labels == c)).any()]
        return float(np.mean(rates)) if len(rates) == 2 else NAN

    return measure


def coverage(low: float, high: float) -> Metric:
    """Share of the files that got an answer."""
    return lambda scores, labels, groups=None: float(((scores <= low) | (scores >= high)).mean())


@dataclass(frozen=True)
class Bin:
    """Scores of one part of 0..1: how many, their mean, and how many of the files were fake."""

    low: float
    high: float
    count: int
    score: float
    fakes: float


def reliability(scores: np.ndarray, labels: np.ndarray, bins: int = 15) -> list[Bin]:
    """The bins that hold files, in order. A score on an edge belongs to the upper bin, 1.0 to the last."""
    index = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        Bin(b / bins, (b + 1) / bins, int((index == b).sum()), float(scores[index == b].mean()), float(labels[index == b].mean()))
        for b in np.unique(index)
    ]


def ece(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, bins: int = 15) -> float:
    """Expected calibration error over equal bins: the mean distance of score and truth, files weighed the same."""
    return float(sum(b.count * abs(b.fakes - b.score) for b in reliability(scores, labels, bins)) / len(scores))


def mce(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, bins: int = 15) -> float:
    """Largest calibration error of any bin, however few files it holds: a noisy figure on small sets."""
    return max(abs(b.fakes - b.score) for b in reliability(scores, labels, bins))


def balanced_ece(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, bins: int = 10) -> float:
    """Expected calibration error with the two classes weighed the same, as the calibration is fitted. The cards' ECE."""
    weight = np.where(labels == 1, 0.5 / max(1, (labels == 1).sum()), 0.5 / max(1, (labels == 0).sum()))
    index = np.minimum((scores * bins).astype(int), bins - 1)
    total = 0.0
    for b in range(bins):
        inside = index == b
        if weight[inside].sum() > 0:
            total += abs((weight * (labels - scores))[inside].sum())
    return float(total)


def brier(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Mean squared distance of score and label; 0.25 is what a constant one half gets."""
    return float(np.mean((scores - labels) ** 2))


def risk_coverage(scores: np.ndarray, labels: np.ndarray, cut: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, risk): the share of wrong answers when only the k surest files are answered, k = 1..n.

    A file is surer the further its score lies from `cut`. Files as sure as each other share their mistakes evenly, so that
    their order does not matter.
    """
    confidence = np.abs(scores - cut)
    wrong = ((scores >= cut) != (labels == 1)).astype(float)
    _, level = np.unique(-confidence, return_inverse=True)
    shared = (np.bincount(level, wrong) / np.bincount(level))[np.sort(level)]
    answered = np.arange(1, len(scores) + 1)
    return answered / len(scores), np.cumsum(shared) / answered


def aurc(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Area under the risk-coverage curve: the mean risk over all coverages. Low where what is wrong is also unsure."""
    return float(risk_coverage(scores, labels)[1].mean())


def aggregate(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, how: str = "mean") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scores, labels, groups) with one entry for each group: its `mean`, `median`, `max` or `mean-logit` of the scores.

    For what is one thing to a user, such as the frames of a video. ValueError when a group holds both classes.
    """
    scores, labels, groups = checked(scores, labels, groups)
    if how not in AGGREGATIONS:
        raise ValueError(f"scores are aggregated by {', '.join(AGGREGATIONS)}, not by {how}")
    names = np.unique(groups)
    members = [groups == name for name in names]
    mixed = [str(name) for name, inside in zip(names, members) if len(np.unique(labels[inside])) > 1]
    if mixed:
        raise ValueError(f"{len(mixed)} groups hold reals and fakes, so they have no label of their own: {', '.join(mixed[:5])}")
    joined = [AGGREGATIONS[how](scores[inside]) for inside in members]
    return np.array(joined, float), np.array([labels[inside][0] for inside in members]), names


def mean_of_logits(scores: np.ndarray) -> float:
    kept = np.clip(scores, 1e-7, 1 - 1e-7)
    return float(1 / (1 + np.exp(-np.mean(np.log(kept / (1 - kept))))))


AGGREGATIONS: dict[str, Callable[[np.ndarray], float]] = {"mean": np.mean, "median": np.median, "max": np.max, "mean-logit": mean_of_logits}


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval; nan where there is none."""

    value: float
    low: float
    high: float


def bootstraps(
    metrics: Mapping[str, Metric], scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, rounds: int = 1000, seed: int = 7
) -> dict[str, Figure]:
    """Each metric with its 95 % interval, all from the same draws of whole groups. One group alone has no interval."""
    scores, labels, groups = checked(scores, labels, groups)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    rng = np.random.default_rng(seed)
    values: dict[str, list[float]] = {name: [] for name in metrics}
    for _ in range(rounds if len(members) > 1 else 0):
        drawn = rng.integers(0, len(members), len(members))
        index = np.concatenate([members[d] for d in drawn])
        renamed = np.concatenate([np.full(len(members[d]), i) for i, d in enumerate(drawn)])
        for name, metric in metrics.items():
            values[name].append(metric(scores[index], labels[index], renamed))
    return {name: Figure(metric(scores, labels, groups), *interval(values[name])) for name, metric in metrics.items()}


def interval(values: list[float]) -> tuple[float, float]:
    kept = np.array([value for value in values if not np.isnan(value)])
    return (float(np.percentile(kept, 2.5)), float(np.percentile(kept, 97.5))) if len(kept) else (NAN, NAN)


def bootstrap(metric: Metric, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, rounds: int = 1000, seed: int = 7) -> tuple[float, float, float]:
    """(value, low, high): the metric and its 95 % interval, resampling whole sources."""
    found = bootstraps({"metric": metric}, scores, labels, groups, rounds, seed)["metric"]
    return found.value, found.low, found.high


def standard(low: float, high: float) -> dict[str, Metric]:
    """What an evaluation reports of a package with these thresholds; decisions are taken at `high`."""
    return {
        "AUC": auc,
        "macro paired AUC": macro_paired_auc,
        "average precision": average_precision,
        "EER": eer,
        "FPR at 95 % TPR": fpr_at_tpr(0.95),
        "TPR at 1 % FPR": tpr_at_fpr(0.01),
        "accuracy": accuracy(high),
        "balanced accuracy": balanced_accuracy(high),
        "precision": precision(high),
        "recall": recall(high),
        "F1": f1(high),
        "ECE": ece,
        "MCE": mce,
        "Brier score": brier,
        "AURC": aurc,
        "balanced accuracy outside the abstain band": answered_accuracy(low, high),
        "coverage (answered share)": coverage(low, high),
    }


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
