"""The `ood` block of model.yaml: a Gaussian over a graph's features of known media, and how rare a distance is. The pod's definition is inference/models/ood.ts.

numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
DIGITS = 5


def fitted(
    features: np.ndarray, groups: np.ndarray, threshold: float = 0.99, abstain: bool = False, folds: int = 5, shrink: float = 0.1, names: Sequence[str] | None = None
) -> dict[str, object]:
    """An `ood` block (source graph) of features [N, D], one row a file; `groups` are the files' sources.

    The quantiles are distances of files to a Gaussian of other sources: a Gaussian is nearer to what it was fitted on than to what is like it.
    ValueError where there are too few files or sources for that.
    """
    features, groups = np.asarray(features, float), np.asarray(groups)
    if features.ndim != 2 or len(features) != len(groups):
        raise ValueError(f"features are [N, D] and groups [N], not of shapes {features.shape} and {groups.shape}")
    if not np.isfinite(features).all():
        raise ValueError("some features are not finite")
    sides = side_of(groups, folds)
    least = min((int((sides != side).sum()) for side in range(folds)), default=0)
    if len(np.unique(groups)) < folds or least < 2 * features.shape[1]:
        raise ValueError(f"{len(features)} files of {len(np.unique(groups))} sources are too few for a Gaussian of {features.shape[1]} features in {folds} folds")
    distances = np.zeros(len(features))
    for side in range(folds):
        own = sides == side
        distances[own] = np.sqrt(squared_distance(features[own], *gaussian(features[~own], shrink)))
    mean, precision = gaussian(features, shrink)
    return {
        "source": "graph", "features": list(names or (f"feature-{i}" for i in range(features.shape[1]))),
        "mean": rounded(mean), "precision": {"matrix": [rounded(row) for row in precision]}, "quantiles": quantiles(distances),
        "threshold": threshold, "abstain": abstain,
    }


def side_of(groups: np.ndarray, folds: int) -> np.ndarray:
    """[N]: the fold of each file; files of one source stay together."""
    return np.searchsorted(np.unique(groups), groups) % folds


def gaussian(features: np.ndarray, shrink: float) -> tuple[np.ndarray, np.ndarray]:
    """(mean, precision) with the covariance drawn towards its diagonal, so that it can be turned round with few files."""
    covariance = np.cov(features, rowvar=False).reshape(features.shape[1], -1)
    diagonal = np.diag(np.diag(covariance) + 1e-6)
    found = np.linalg.inv((1 - shrink) * covariance + shrink * diagonal)
    return features.mean(0), (found + found.T) / 2


def squared_distance(features: np.ndarray, mean: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """[N, D] -> [N], Mahalanobis."""
    apart = np.asarray(features, float) - mean
    return np.maximum(0, ((apart @ precision) * apart).sum(1))


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), DIGITS) for value in values]


def quantiles(distances: np.ndarray) -> list[dict[str, float]]:
    """Points (distance, share that is nearer) that rise; the last one is the farthest file, beyond which nothing was seen."""
    last = len(distances) / (len(distances) + 1)
    wanted = [(float(np.quantile(distances, share)), share) for share in SHARES if share < last] + [(float(distances.max()), last)]
    points: list[dict[str, float]] = []
    for distance, share in wanted:
        point = {"distance": round(distance, DIGITS), "share": round(share, DIGITS)}
        if point["distance"] > (points[-1]["distance"] if points else 0):
            points.append(point)
    return points


def typicality(features: np.ndarray, block: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(distance, share of known media that is nearer, whether it is outside) of features [N, D], as the pod has them."""
    distance = np.sqrt(squared_distance(features, np.array(block["mean"]), np.array(block["precision"]["matrix"])))
    places, shares = ([0.0, *(point[name] for point in block["quantiles"])] for name in ("distance", "share"))
    share = np.interp(distance, places, shares, right=1.0)
    return distance, share, share > block["threshold"]
