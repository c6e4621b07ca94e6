"""Weights of an ensemble: logistic regression on the calibrated logits of its models, on files that none of them was trained or calibrated on.

    models/training/run fusion SCORES.csv --name NAME [--output FILE] [--l2 1.0] [--folds 5] [--min-models 1]

SCORES.csv has a row per file: `label` (1 or fake, 0 or real), `group` (what must not be on both sides of a split: source, speaker, identity) and a
column per model with its calibrated score, 0..1; an empty field is a model without an answer. The output is one entry of the pod's FUSION.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors import calibration, metrics

# As the pod keeps scores away from 0 and 1: inference/pipelines/fusion/fuse.ts.
SMALLEST_PROBABILITY = 1e-6
LABELS = {"1": 1, "fake": 1, "0": 0, "real": 0}


@dataclass(frozen=True)
class Scores:
    models: list[str]
    # [files, models], nan where a model gave none.
    scores: np.ndarray
    labels: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Fit:
    intercept: float
    # Of each model: what its logit is multiplied by, and what is added where it has none.
    weights: np.ndarray
    missing: np.ndarray


def read_scores(path: Path) -> Scores:
    """Raises ValueError, one line with the row, for anything that is not a table of scores."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        names = [name for name in reader.fieldnames or [] if name not in ("label", "group", "file")]
        if not {"label", "group"} <= set(reader.fieldnames or []) or len(names) < 2:
            raise ValueError(f"{path}: the first line must name label, group and at least two models")
        rows = list(reader)
    for number, row in enumerate(rows, 2):
        if (row["label"] or "").strip().lower() not in LABELS:
            raise ValueError(f"{path}, line {number}: label is {row['label']!r}, not 0, 1, real or fake")
        if not (row["group"] or "").strip():
            raise ValueError(f"{path}, line {number}: group is empty; files without one cannot be split honestly")
    scores = np.array([[_score(row[name], f"{path}, line {number}, {name}") for name in names] for number, row in enumerate(rows, 2)])
    labels = np.array([LABELS[row["label"].strip().lower()] for row in rows])
    if len(set(labels.tolist())) < 2:
        raise ValueError(f"{path}: has files of one class only")
    return Scores(names, scores.reshape(len(rows), len(names)), labels, np.array([row["group"].strip() for row in rows]))


def _score(text: str | None, where: str) -> float:
    if text is None or not text.strip():
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"{where}: {text!r} is no score between 0 and 1")
    return value


def logits_of(scores: np.ndarray) -> np.ndarray:
    """Log odds; nan stays nan."""
    kept = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return np.log(kept / (1 - kept))


def design_of(scores: np.ndarray) -> np.ndarray:
    """[files, 1 + 2 * models]: one, the logits with 0 for none, and whether there is none."""
    absent = np.isnan(scores)
    return np.column_stack([np.ones(len(scores)), np.where(absent, 0, logits_of(np.where(absent, 0.5, scores))), absent])


def fit(scores: np.ndarray, labels: np.ndarray, l2: float = 1.0, rounds: int = 100) -> Fit:
    """Newton on the log-loss, classes weighed the same, with `l2 / 2 * |w|^2` on everything but the intercept.

    The penalty draws the weights to 1 / models, an average that is calibrated already, and the stand-ins of missing models to 0.
    """
    count = scores.shape[1]
    design = design_of(scores)
    prior = np.concatenate([[0.0], np.full(count, 1 / count), np.zeros(count)])
    penalty = np.concatenate([[1e-6], np.full(2 * count, l2)])
    share = len(labels) / 2
    weight = np.where(labels == 1, share / max(1, labels.sum()), share / max(1, (1 - labels).sum()))

    def loss(theta: np.ndarray) -> float:
        margin = np.where(labels == 1, 1, -1) * (design @ theta)
        return float(weight @ np.logaddexp(0, -margin) + penalty @ (theta - prior) ** 2 / 2)

    theta = prior.copy()
    for _ in range(rounds):
        p = calibration.sigmoid(design @ theta)
        gradient = design.T @ (weight * (p - labels)) + penalty * (theta - prior)
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while loss(theta - size * step) > loss(theta) and size > 1e-6:
            size /= 2
        theta = theta - size * step
        if np.abs(step).max() < 1e-9:
            break
    return Fit(float(theta[0]), theta[1 : 1 + count], theta[1 + count :])


def apply(found: Fit, scores: np.ndarray) -> np.ndarray:
    """Fused scores, 0..1, as the pod computes them."""
    return calibration.sigmoid(design_of(scores) @ np.concatenate([[found.intercept], found.weights, found.missing]))


def folds_of(groups: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """A fold for every file; a group is in one fold only. Large groups are dealt first, so that the folds are about as large."""
    names, counts = np.unique(groups, return_counts=True)
    if len(names) < folds:
        raise ValueError(f"there are {len(names)} groups, and {folds} folds need as many")
    order = np.lexsort([np.random.default_rng(seed).permutation(len(names)), -counts])
    sizes, fold = np.zeros(folds), {}
    for at in order:
        smallest = int(np.argmin(sizes))
        fold[names[at]] = smallest
        sizes[smallest] += counts[at]
    return np.array([fold[group] for group in groups])


def held_out(table: Scores, l2: float, folds: int) -> np.ndarray:
    """The fused score of every file by weights that were fitted without its group."""
    fold = folds_of(table.groups, folds)
    scores = np.empty(len(table.labels))
    for one in range(folds):
        inside = fold == one
        if len(set(table.labels[~inside].tolist())) < 2:
            raise ValueError(f"without fold {one + 1} of {folds} there are files of one class only; use fewer folds or more groups")
        scores[inside] = apply(fit(table.scores[~inside], table.labels[~inside], l2), table.scores[inside])
    return scores


def entry_of(name: str, table: Scores, found: Fit, limits: tuple[float, float], min_models: int) -> str:
    """YAML of one ensemble in FUSION."""
    numbers = lambda values: "".join(f"      {model}: {value:.6g}\n" for model, value in zip(table.models, values, strict=True))
    return (
        f"fusion:\n  - name: {name}\n    models: [{', '.join(table.models)}]\n    method: logistic\n    intercept: {found.intercept:.6g}\n"
        f"    weights:\n{numbers(found.weights)}    missing:\n{numbers(found.missing)}"
        f"    thresholds: {{ low: {limits[0]}, high: {limits[1]} }}\n    minModels: {min_models}\n"
    )


def report(table: Scores, fused: np.ndarray) -> list[str]:
    """Figures of the held-out fusion beside those of every model on the files that it answered."""
    lines = [f"# {len(table.labels)} files, {len(np.unique(table.groups))} groups; every figure is of files whose group was not fitted on"]
    for name, scores in [("fusion", fused), *zip(table.models, table.scores.T, strict=True)]:
        answered = ~np.isnan(scores)
        if len(set(table.labels[answered].tolist())) < 2:
            lines.append(f"# {name}: no figures, it answered {answered.sum()} files and not of both classes")
            continue
        auc = metrics.auc(scores[answered], table.labels[answered])
        ece = metrics.ece(scores[answered], table.labels[answered])
        lines.append(f"# {name}: AUC {auc:.3f}, ECE {ece:.3f}, {answered.sum()} answers")
    return lines


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run fusion", description="Fits the weights of an ensemble.")
    parser.add_argument("scores", type=Path)
    parser.add_argument("--name", required=True, help="of the ensemble")
    parser.add_argument("--output", type=Path, help="file for the YAML; by default standard output")
    parser.add_argument("--l2", type=float, default=1.0)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--min-models", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        table = read_scores(options.scores)
        fused = held_out(table, options.l2, options.folds)
    except (OSError, ValueError) as error:
        print(f"fusion: {error}", file=sys.stderr)
        return 2
    found = fit(table.scores, table.labels, options.l2)
    limits = calibration.thresholds(fused, table.labels)
    text = "\n".join([*report(table, fused), entry_of(options.name, table, found, limits, options.min_models)])
    if options.output is None:
        print(text, end="")
    else:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
