"""From a trained net to a package with all that the format offers: features and their Gaussian, an INT8 variant where it is worth it, a status by the gate, a card."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from importer.quantise import quantised

from detectors import metrics, package
from detectors.calibration import sigmoid
from detectors.package import Scored, digest

MOST_COST = 0.01
CALIBRATION_PARTS = 128
ROUNDS = 40


class Session:
    """A graph with a logit and features: a file's are the means over its parts, one part at a time, as the pod runs it on processors."""

    def __init__(self, path: Path, graph_input: str, threads: int = 2) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.graph_input = graph_input

    def row(self, parts: np.ndarray) -> np.ndarray:
        """[1 + D]: the logit, then the features."""
        found = [self.session.run(["logit", "features"], {self.graph_input: part[None]}) for part in parts]
        return np.array([[float(logit[0, 0]), *map(float, features[0])] for logit, features in found]).mean(0)

    def seconds(self, part: np.ndarray) -> float:
        started = time.perf_counter()
        self.session.run(["logit"], {self.graph_input: part[None]})
        return time.perf_counter() - started


@dataclass(frozen=True)
class Smaller:
    """An INT8 graph with its own calibration, and what it costs and saves."""

    file: str
    fit: dict
    auc_cost: float
    ece_cost: float
    times_as_fast: float
    refused: str

    @property
    def note(self) -> str:
        figures = f"AUC {-self.auc_cost:+.4f}, ECE {self.ece_cost:+.4f} on unseen speakers, {self.times_as_fast:.2f} times as fast"
        return f"INT8 left out ({self.refused}): {figures}" if self.refused else f"INT8 against FP32: {figures}"


def smaller(
    folder: Path, graph_input: str, batches: list[np.ndarray], kept: Sequence[str], score: Callable[[Session], tuple[Scored, Scored]], plain: tuple[Scored, Scored], fit: dict,
) -> Smaller:
    """Quantises `classifier.onnx`, and removes the result where it costs more than .01 of AUC or is no faster.

    `score` gives calibration and test by a session; the test tells the cost, the calibration split fits the variant's own scores.
    """
    path = folder / "classifier.onnx"
    file = quantised(path, batches, CALIBRATION_PARTS, kept)
    session = Session(folder / file, graph_input)
    calibration, test = score(session)
    own = package.calibrate(calibration)
    auc_cost = metrics.auc(plain[1].logits, plain[1].labels) - metrics.auc(test.logits, test.labels)
    ece_cost = ece_of(test, own) - ece_of(plain[1], fit)
    gain = speed_up(Session(path, graph_input, 1), Session(folder / file, graph_input, 1), batches[0][0])
    refused = f"costs more than {MOST_COST} AUC" if auc_cost > MOST_COST else "no faster" if gain < 1.05 else ""
    if refused:
        (folder / file).unlink()
    made = Smaller(file, own, auc_cost, ece_cost, gain, refused)
    print(f"  {made.note}", flush=True)
    return made


def ece_of(scored: Scored, fit: dict) -> float:
    return metrics.balanced_ece(sigmoid(fit["slope"] * scored.logits + fit["intercept"]), scored.labels)


def speed_up(one: Session, other: Session, part: np.ndarray) -> float:
    """How many times the other is as fast, by the fastest of many turns on one thread: what else the machine does only slows turns down."""
    for session in (one, other):
        session.seconds(part)
    turns = [(one.seconds(part), other.seconds(part)) for _ in range(ROUNDS)]
    return min(t for t, _ in turns) / min(t for _, t in turns)


def variant_entry(folder: Path, graph_input: str, made: Smaller, golden: dict[str, np.ndarray], fit: dict) -> dict:
    """Of `variants` in model.yaml; the tolerance is widened by what golden scores move."""
    scores = [[score_of(Session(folder / file, graph_input), parts, by) for parts in golden.values()] for file, by in (("classifier.onnx", fit), (made.file, made.fit))]
    moved = max(abs(a - b) for a, b in zip(*scores))
    return {
        "precision": "int8", "file": made.file, "sha256": digest(folder / made.file),
        "calibration": {"method": "platt", "slope": made.fit["slope"], "intercept": made.fit["intercept"]},
        "thresholds": {"low": made.fit["low"], "high": made.fit["high"]}, "goldenTolerance": round(package.GOLDEN_TOLERANCE + moved, 3),
    }


def score_of(session: Session, parts: np.ndarray, fit: dict) -> float:
    return float(sigmoid(fit["slope"] * session.row(parts)[0] + fit["intercept"]))


def abstention_rows(dataset: str, scored: Scored, outside: np.ndarray, fit: dict) -> list[dict]:
    """What the Gaussian would cost and save there: how much is outside, and how wrong the decided rest is with and without it."""
    scores = sigmoid(fit["slope"] * scored.logits + fit["intercept"])
    accuracy = metrics.answered_accuracy(fit["low"], fit["high"])
    found = [("out of distribution (share)", float(outside.mean()))]
    for name, mask in (("balanced accuracy outside the abstain band, all files", np.ones(len(outside), bool)), ("balanced accuracy outside the abstain band, files in distribution", ~outside)):
        found.append((name, accuracy(scores[mask], scored.labels[mask], scored.sources[mask]) if mask.any() else float("nan")))
    counts = {"positives": int((scored.labels == 1).sum()), "negatives": int((scored.labels == 0).sum())}
    return [{"dataset": f"{dataset}: known media", "metric": name, "value": round(value, 3), **counts} for name, value in found if value == value]


def card_text(head: dict, card: dict, rows: Sequence[dict], about: Sequence[str]) -> str:
    """README.md of a package: what model.yaml says, for people. Figures are those of the rows."""
    names = list(dict.fromkeys(row["dataset"] for row in rows if row["metric"] == "AUC"))
    by = {(row["dataset"], row["metric"]): row for row in rows}
    wanted = {"AUC": "AUC", "macro paired AUC": "AUC in pairs", "ECE": "ECE", "balanced accuracy outside the abstain band": "answered right", "coverage (answered share)": "answered", "metadata-only control AUC": "metadata alone"}

    def cell(row: dict | None) -> str:
        if row is None:
            return "-"
        return f"{row['value']:.3f}" + (f" [{row['low']:.3f}, {row['high']:.3f}]" if "low" in row else "")

    lines = [f"# {head['name']} {head['version']}: model card", "", f"**Status: {card['status']}.** {card['intendedUse']}", ""]
    for paragraph in about:
        lines += [paragraph, ""]
    lines += [f"**Trained on.** {card['trainingData']}", "", f"**Limits.** {card['limitations']}", ""]
    lines += ["**What it can tell**, 95 % intervals over sources; every row is in `evaluation.json`.", "", "| files | " + " | ".join(wanted.values()) + " | fakes + reals |", "|---" * (len(wanted) + 2) + "|"]
    for name in names:
        counts = by[name, "AUC"]
        lines.append(f"| {name} | " + " | ".join(cell(by.get((name, metric))) for metric in wanted) + f" | {counts['positives']} + {counts['negatives']} |")
    rest = [row for row in rows if row["dataset"] not in names]
    if rest:
        lines += ["", "| beside | figure | value |", "|---|---|---|"]
        lines += [f"| {row['dataset']} | {row['metric']} | {row['value']:,}{' (' + row['note'] + ')' if row.get('note') else ''} |" for row in rest]
    return "\n".join(lines) + "\n"


