"""From a graph of images to its package: calibration, figures, what media it knows, an INT8 variant where that is worth it, golden files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from importer.quantise import quantised

from detectors import calibration, image_statistics, int8, metrics, ood, package, sources
from detectors.calibration import calibrated
from detectors.image_pool import SEEN, Judge, Pool, Upload, score

RANGES = 64
# Uploads of the tests are cut off the grid of their JPEG, those of clients are not: how blocky a file is would tell the two apart and nothing else.
KNOWN_BY = ("log_noise", "spectrum_slope", "saturated_share")


@dataclass(frozen=True)
class Family:
    """What a trainer knows of its package; `read` makes the pixels of a file into a batch, `kept` are weights that INT8 leaves as they are."""

    head: dict
    card: dict
    pipeline: dict
    read: Callable[[np.ndarray], np.ndarray]
    methods: tuple[str, ...] = calibration.METHODS
    graph: Mapping[str, object] = field(default_factory=dict)
    kept: Collection[str] = ()

    def judge(self, path: Path) -> Judge:
        session = package.Session(path, "pixels")
        return lambda pixels: session.logit(self.read(pixels))


def finish(family: Family, pool: Pool, folder: Path, extra: Path | None) -> None:
    """Completes the package around `classifier.onnx`. The calibration is chosen and fitted on its split; the tests choose nothing but whether INT8 is shipped."""
    judge = family.judge(folder / "classifier.onnx")
    known = score(judge, pool.uploads("calibration", SEEN))
    method, errors = calibration.chosen(known.logits, known.labels, known.sources, family.methods)
    fit = package.calibrate(known, method)
    print(f"calibration: {fit}; Brier scores on sources left out: {errors}", flush=True)
    tests = pool.tests(extra)
    scored = {name: score(judge, made) for name, made in tests.items()}
    media = known_media(pool.uploads("train", SEEN))
    rows = []
    for name, made in tests.items():
        rows += package.rows(name, scored[name], fit, paired=False) + outside_rows(name, made, scored[name], media)
    golden = pool.golden_files()
    variant, smaller = int8_variant(family, pool, folder, fit, tests, scored, golden)
    graph = {**family.graph, **({"variants": [variant]} if variant else {})}
    package.write(
        folder, family.head, family.pipeline, "pixels", fit, golden, lambda path: family.read(sources.image(path)), family.card, rows + smaller,
        graph=graph, beside={"ood": media},
    )


def known_media(uploads: list[Upload]) -> dict[str, object]:
    """The `ood` block, by statistics that the pod takes of every image. It warns: what is unlike the training is not wrong for that."""
    features = statistics(uploads)
    block = ood.fitted(features, np.array([upload.source for upload in uploads]), names=KNOWN_BY)
    return {**block, "source": "input"}


def statistics(uploads: list[Upload]) -> np.ndarray:
    columns = [image_statistics.NAMES.index(name) for name in KNOWN_BY]
    return np.stack([image_statistics.statistics(upload.pixels)[columns] for upload in uploads])


def outside_rows(name: str, uploads: list[Upload], scored: package.Scored, media: dict) -> list[dict]:
    outside = ood.typicality(statistics(uploads), media)[2].astype(float)
    shares = {"reals": 0, "fakes": 1}
    return [package.row(name, f"out of distribution (share of the {words})", share_of(label), outside, scored) for words, label in shares.items()]


def share_of(label: int) -> metrics.Metric:
    """Of one class; nan where a draw has none of it."""
    return lambda values, labels, groups=None: float(values[labels == label].mean()) if (labels == label).any() else metrics.NAN


def int8_variant(
    family: Family, pool: Pool, folder: Path, fit: dict, tests: dict[str, list[Upload]], plain: dict[str, package.Scored], golden: dict[str, Path],
) -> tuple[dict | None, list[dict]]:
    """The variant for model.yaml and its rows; neither where it costs too much, and then its graph is removed."""
    learnt = pool.uploads("train", SEEN)
    batches = [family.read(learnt[i].pixels) for i in np.linspace(0, len(learnt) - 1, min(len(learnt), RANGES)).round().astype(int)]
    path = folder / quantised(folder / "classifier.onnx", batches, RANGES, family.kept)
    judge, full = family.judge(path), family.judge(folder / "classifier.onnx")
    scored = {name: score(judge, made) for name, made in tests.items()}
    costs = {name: int8.cost_of(plain[name].logits, scored[name].logits, plain[name].labels, fit) for name in tests}
    moved = max(abs(probability(full, source, fit) - probability(judge, source, fit)) for source in golden.values())
    for name, cost in costs.items():
        print(f"  INT8, {name}: AUC {-cost.auc:+.4f}, ECE {cost.ece:+.4f}, scores move by {cost.mean:.4f} on average and by {cost.furthest:.3f} at most", flush=True)
    why = int8.refusal(costs, moved)
    print(f"  INT8: {path.stat().st_size} bytes, golden scores move by {moved:.4f}: {'left out, ' + why if why else 'shipped'}", flush=True)
    if why:
        path.unlink()
        return None, []
    rows = []
    for name, one in scored.items():
        scores, cost = calibrated(one.logits, fit), costs[name]
        note = f"FP32 has {{}}; scores move by {cost.mean:.4f} on average, by {cost.furthest:.3f} at most"
        for label, metric in (("AUC", metrics.auc), ("ECE", metrics.balanced_ece)):
            before = metric(calibrated(plain[name].logits, fit), plain[name].labels)
            rows.append(package.row(f"{name}, INT8", label, metric, scores, one) | {"note": note.format(f"{before:.3f}")})
    tolerance = round(package.GOLDEN_TOLERANCE + moved, 3)
    return {"precision": "int8", "file": path.name, "sha256": package.digest(path), "goldenTolerance": tolerance}, rows


def probability(judge: Judge, source: Path, fit: dict) -> float:
    return float(calibrated(judge(sources.image(source)), fit))
