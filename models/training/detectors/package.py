"""Writes a model package: ONNX graph, golden files measured by onnxruntime, calibration, card. Format: docs/design/model-package.md."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import yaml
from torch import nn

from detectors import metrics
from detectors.calibration import calibrated, fitted, thresholds

MODELS = Path(__file__).resolve().parent.parent.parent
OPSET = 17
PARITY = 1e-3
GOLDEN_TOLERANCE = 0.02


@dataclass(frozen=True)
class Scored:
    """Held-out files: logits, labels (1 fake), source of each file, generator of each file, metadata, features of the graph where it gives some."""

    logits: np.ndarray
    labels: np.ndarray
    sources: np.ndarray
    generators: np.ndarray
    metadata: np.ndarray
    features: np.ndarray | None = None

    def pick(self, mask: np.ndarray) -> "Scored":
        features = None if self.features is None else self.features[mask]
        return Scored(self.logits[mask], self.labels[mask], self.sources[mask], self.generators[mask], self.metadata[mask], features)


class Session:
    """The exported graph in onnxruntime; a file's logit is the mean over its parts."""

    def __init__(self, path: Path, graph_input: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.graph_input = graph_input

    def parts(self, batch: np.ndarray) -> np.ndarray:
        return self.session.run(["logit"], {self.graph_input: batch})[0][:, 0]

    def logit(self, batch: np.ndarray) -> float:
        return float(self.parts(batch).mean())


def export(net: nn.Module, path: Path, graph_input: str, example: np.ndarray, outputs: Sequence[str] = ("logit",)) -> Session:
    """Exports in evaluation mode and refuses a graph whose outputs, the logit first, differ from PyTorch's on real input."""
    net.eval()
    batch = torch.from_numpy(example)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        net, batch, str(path), opset_version=OPSET, input_names=[graph_input], output_names=list(outputs),
        dynamic_axes={name: {0: "n"} for name in (graph_input, *outputs)}, training=torch.onnx.TrainingMode.EVAL,
    )
    session = Session(path, graph_input)
    with torch.no_grad():
        given = net(batch)
    expected = [item.numpy() for item in ((given,) if torch.is_tensor(given) else given)]
    found = session.session.run(list(outputs), {graph_input: example})
    apart = max(float(np.abs(one - other).max()) for one, other in zip(expected, found, strict=True))
    print(f"  {path.name}: {path.stat().st_size} bytes, outputs differ from PyTorch's by at most {apart:.1e}", flush=True)
    if not apart <= PARITY:
        raise SystemExit(f"{path.name}: outputs differ by {apart}, more than {PARITY}")
    return session


def calibrate(scored: Scored, method: str = "platt") -> dict:
    """A `calibration` of model.yaml and, beside its numbers, the two thresholds."""
    calibration = fitted(method, scored.logits, scored.labels)
    low, high = thresholds(calibrated(scored.logits, calibration), scored.labels)
    return {**calibration, "low": low, "high": high}


def calibration_of(fit: dict) -> dict:
    return {name: value for name, value in fit.items() if name not in ("low", "high")}


def rows(dataset: str, scored: Scored, fit: dict, paired: bool) -> list[dict]:
    """Evaluation rows of one dataset, each with n and the 95 % bootstrap interval over sources."""
    scores = calibrated(scored.logits, fit)
    wanted: list[tuple[str, metrics.Metric]] = [("AUC", metrics.auc)]
    if paired:
        wanted.append(("macro paired AUC", metrics.macro_paired_auc))
    wanted += [
        ("EER", metrics.eer),
        ("ECE", metrics.balanced_ece),
        ("balanced accuracy outside the abstain band", metrics.answered_accuracy(fit["low"], fit["high"])),
        ("coverage (answered share)", metrics.coverage(fit["low"], fit["high"])),
    ]
    out = [row(dataset, name, metric, scores, scored) for name, metric in wanted]
    if scored.metadata.shape[1]:
        control = metrics.control_scores(scored.metadata, scored.labels, scored.sources)
        out.append(row(dataset, "metadata-only control AUC", metrics.auc, control, scored))
    return out


def row(dataset: str, name: str, metric: metrics.Metric, scores: np.ndarray, scored: Scored) -> dict:
    value, low, high = metrics.bootstrap(metric, scores, scored.labels, scored.sources)
    made = {"dataset": dataset, "metric": name, "value": value, "low": low, "high": high}
    made = {key: round(item, 3) if isinstance(item, float) else item for key, item in made.items()}
    made |= {"positives": int((scored.labels == 1).sum()), "negatives": int((scored.labels == 0).sum())}
    made["note"] = f"{len(np.unique(scored.sources))} sources"
    made = {key: item for key, item in made.items() if not (isinstance(item, float) and math.isnan(item))}
    if "value" in made:
        print(f"  {dataset:44s} {name:44s} {made['value']:.3f} [{made.get('low', float('nan')):.3f}, {made.get('high', float('nan')):.3f}]"
              f" n={made['positives']}+{made['negatives']}", flush=True)
    return made


def verdict(score: float, fit: dict) -> str:
    return "AUTHENTIC" if score <= fit["low"] else "DEEPFAKE" if score >= fit["high"] else "SUSPICIOUS"


def write(
    folder: Path, head: dict, pipeline: dict, graph_input: str, fit: dict, golden: dict[str, Path],
    read: Callable[[Path], np.ndarray], card: dict, evaluation: list[dict], graph: dict | None = None, beside: dict | None = None,
) -> None:
    """Completes the package around `classifier.onnx`: golden files are copied in and scored as the pod will score them.

    `graph` is what the manifest says of the classifier beside its file and ends, `beside` what it says between thresholds and golden files.
    """
    session = Session(folder / "classifier.onnx", graph_input)
    shutil.rmtree(folder / "golden", ignore_errors=True)
    (folder / "golden").mkdir()
    entries = []
    for name, source in golden.items():
        target = folder / "golden" / f"{name}{source.suffix}"
        shutil.copyfile(source, target)
        score = float(calibrated(session.logit(read(target)), fit))
        print(f"  golden {target.name}: score {score:.3f} {verdict(score, fit)}", flush=True)
        entries.append({"file": f"golden/{target.name}", "sha256": digest(target), "score": round(score, 5), "tolerance": GOLDEN_TOLERANCE})
    evaluation = [entry for entry in evaluation if "value" in entry]
    manifest = {
        "formatVersion": 1, **head, "pipeline": pipeline,
        "graphs": {"classifier": {"file": "classifier.onnx", "sha256": digest(folder / "classifier.onnx"), "input": graph_input, "output": "logit", **(graph or {})}},
        "output": {"positive": "fake", "activation": "sigmoid"},
        "calibration": calibration_of(fit),
        "thresholds": {"low": fit["low"], "high": fit["high"]},
        **(beside or {}),
        "golden": entries,
        "card": {**card, "evaluation": evaluation},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120))
    (folder / "evaluation.json").write_text(json.dumps({"name": head["name"], "version": head["version"], "rows": evaluation}, indent=2) + "\n")
    print(f"wrote {folder.name}: sha256:{digest(folder / 'model.yaml')}", flush=True)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def judge(folder: Path, batch: np.ndarray) -> tuple[float, str]:
    """(score, verdict) of one file's parts by a finished package."""
    manifest = yaml.safe_load((folder / "model.yaml").read_text())
    fit = {**manifest["calibration"], **manifest["thresholds"]}
    session = Session(folder / "classifier.onnx", manifest["graphs"]["classifier"]["input"])
    score = float(calibrated(session.logit(batch), fit))
    return score, verdict(score, fit)
