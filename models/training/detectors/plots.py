"""The three pictures of an evaluation. Without matplotlib (Debian's python3-matplotlib) there are none, and the caller says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detectors import metrics

try:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
except ImportError:
    pyplot = None


def drawn(folder: Path, title: str, scores: np.ndarray, labels: np.ndarray, low: float, high: float, endings: tuple[str, ...] = ("svg", "png")) -> list[Path]:
    """Writes reliability, roc and risk-coverage into the folder; nothing where matplotlib is missing. The same data give the same SVG."""
    if pyplot is None:
        return []
    written = []
    for name, draw in (("reliability", reliability), ("roc", roc), ("risk-coverage", risk_coverage)):
        with matplotlib.rc_context({"svg.hashsalt": title, "font.size": 9}):
            figure, axes = pyplot.subplots(figsize=(4, 3.6), layout="constrained")
            draw(axes, scores, labels, low, high)
            axes.set_title(title)
            axes.grid(alpha=0.25)
            for ending in endings:
                written.append(folder / f"{name}.{ending}")
                figure.savefig(written[-1], dpi=120, metadata={"Date": None} if ending == "svg" else None)
            pyplot.close(figure)
    return written


def reliability(axes, scores: np.ndarray, labels: np.ndarray, low: float, high: float) -> None:
    bins = metrics.reliability(scores, labels)
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    axes.plot([b.score for b in bins], [b.fakes for b in bins], "-", color="C0", linewidth=1)
    axes.scatter([b.score for b in bins], [b.fakes for b in bins], [10 + 150 * b.count / len(scores) for b in bins], color="C0")
    for cut in (low, high):
        axes.axvline(cut, color="C1", linewidth=1)
    axes.set(xlabel="score, P(fake); thresholds in orange", ylabel="share of fakes", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def roc(axes, scores: np.ndarray, labels: np.ndarray, low: float, high: float) -> None:
    alarms, hits, cuts = metrics.roc(scores, labels)
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    axes.plot(alarms, hits, drawstyle="steps-post")
    at = int(np.flatnonzero(cuts >= high)[-1])
    axes.plot(alarms[at], hits[at], "o", color="C1")
    axes.set(xlabel="reals called fake; at the threshold in orange", ylabel="fakes found", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def risk_coverage(axes, scores: np.ndarray, labels: np.ndarray, low: float, high: float) -> None:
    covered, risk = metrics.risk_coverage(scores, labels)
    axes.plot(covered, risk)
    axes.axvline(metrics.coverage(low, high)(scores, labels), color="C1", linewidth=1)
    axes.set(xlabel="share answered, surest first; by the thresholds in orange", ylabel="share of wrong answers", xlim=(-0.02, 1.02), ylim=(0, None))
