"""Measures a package on a dataset of one's own: `models/training/run evaluate PACKAGE --data MANIFEST|FOLDER`.

Writes results.json (all figures), scores.csv (every file) and three plots. Nothing is fitted on the data, and no threshold is moved.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from detectors import augment, calibration, datasets, metadata, metrics, plots, sources
from detectors.datasets import DatasetError, Item
from detectors.judged import NotJudged, Scorer
from detectors.pod import PodError, PodScorer
from detectors.reference import PackageError, ReferenceScorer, manifest_of

SEED = 20_263
CURVE_POINTS = 100
ENDINGS = {"image": datasets.IMAGES, "audio": datasets.SOUNDS, "video": datasets.VIDEOS}
ROBUSTNESS = ("AUC", "macro paired AUC", "EER", "ECE", "balanced accuracy", "balanced accuracy outside the abstain band", "coverage (answered share)")


@dataclass(frozen=True)
class Scored:
    """Files with a score, and for how many files there was none, by reason."""

    items: list[Item]
    scores: np.ndarray
    logits: np.ndarray
    left_out: Counter[str]

    @property
    def labels(self) -> np.ndarray:
        return np.array([item.label for item in self.items])

    def field(self, name: str) -> np.ndarray:
        return np.array([getattr(item, name) for item in self.items])


def main() -> None:
    parser = argparse.ArgumentParser(prog="run evaluate", description=__doc__)
    parser.add_argument("package", type=Path, help="folder with a model.yaml")
    parser.add_argument("--data", type=Path, required=True, help="CSV or TSV manifest, or a folder with real/ and fake/ (see detectors/datasets.py)")
    parser.add_argument("--split", help="only the files of this split; by default those of test where the manifest names splits, else all")
    parser.add_argument("--group", choices=("source", "speaker"), default="source", help="what the intervals draw, and inside what AUC is paired")
    parser.add_argument("--aggregate", choices=tuple(metrics.AGGREGATIONS), help="also one score for each group, class and generator, such as a video's frames")
    parser.add_argument("--robustness", action="store_true", help="the same files after each step of a grid of codecs, sizes and noise")
    parser.add_argument("--pod", help="URL of a running pod that serves the package under its folder's name: every family, and what clients get")
    parser.add_argument("--out", type=Path, help="folder for the results; by default .cache/evaluations/PACKAGE-DATA")
    parser.add_argument("--rounds", type=int, default=1000, help="of the bootstrap (default 1000)")
    parser.add_argument("--no-plots", action="store_true")
    options = parser.parse_args()
    try:
        run(options)
    except (DatasetError, PackageError, PodError) as error:
        sys.exit(f"run evaluate: {error}")


def run(options: argparse.Namespace) -> None:
    manifest = manifest_of(options.package)
    everything = datasets.load(options.data)
    items, tuning = chosen(everything, options.split, options.data)
    fitting = {item.path.suffix.lower() for item in everything} <= ENDINGS[manifest["modality"]]
    if not fitting:
        raise DatasetError(f"{options.data}: {manifest['name']} judges {manifest['modality']} files ({', '.join(sorted(ENDINGS[manifest['modality']]))}), others are listed")
    if options.group == "speaker" and any(not item.speaker for item in items):
        raise DatasetError(f"{options.data}: --group speaker needs every file's speaker")
    scorer = PodScorer(options.pod, options.package.resolve().name) if options.pod else ReferenceScorer(options.package)
    out = options.out or sources.CACHE / "evaluations" / f"{manifest['name']}-{options.data.stem}"
    out.mkdir(parents=True, exist_ok=True)

    low, high = manifest["thresholds"]["low"], manifest["thresholds"]["high"]
    wanted = metrics.standard(low, high)
    scored = score(scorer, items)
    groups = scored.field(options.group)
    results = {
        "package": {"name": manifest["name"], "version": manifest["version"], "thresholds": {"low": low, "high": high}},
        "data": described(options.data, items, scored),
        "scoredBy": scorer.how,
        "intervals": f"95 %, {options.rounds} bootstraps over {options.group}s",
        "figures": figures(wanted, scored.scores, scored.labels, groups, options.rounds),
        "byGenerator": by_generator(scored, groups, options.rounds),
        "metadataControl": control(scored, groups, options.rounds),
        **curves(scored),
    }
    if options.aggregate:
        results["aggregated"] = aggregated(scored, options, wanted)
    if tuning and not math.isnan(scored.logits[0]):
        results["calibrations"] = calibrations(score(scorer, tuning), scored)
    if options.robustness:
        results["robustness"] = robustness(scorer, manifest["modality"], items, {name: wanted[name] for name in ROBUSTNESS}, options)
    (out / "results.json").write_text(json.dumps(plain(results), indent=2) + "\n")
    write_scores(out / "scores.csv", scored, options.data)
    pictures = [] if options.no_plots else plots.drawn(out, f"{manifest['name']} {manifest['version']}", scored.scores, scored.labels, low, high)
    print(table(results))
    print(f"\nresults.json, scores.csv{' and ' + str(len(pictures)) + ' plots' if pictures else ''} in {out}")
    if not pictures and not options.no_plots:
        print("no plots: matplotlib is missing (Debian's python3-matplotlib)")


def chosen(items: list[Item], split: str | None, data: Path) -> tuple[list[Item], list[Item]]:
    """The files to measure, and those of the calibration split where a test is measured. Splits of a manifest must not leak."""
    split = split or ("test" if any(item.split for item in items) else None)
    if split is None:
        return items, []
    if all(item.split for item in items):
        datasets.refuse_leakage(items, by=("source", "speaker"))
    picked = [item for item in items if item.split == split]
    if not picked:
        raise DatasetError(f"{data}: no file belongs to the split {split}")
    return picked, [item for item in items if item.split == "calibration"] if split == "test" else []


def score(scorer: Scorer, items: Sequence[Item], path_of: Callable[[Item], Path] = lambda item: item.path) -> Scored:
    """DatasetError where not one file gets a score."""
    kept, scores, logits, left_out = [], [], [], Counter()
    for item in items:
        try:
            judged = scorer.judge(path_of(item))
        except NotJudged as reason:
            left_out[str(reason)] += 1
            continue
        kept.append(item)
        scores.append(judged.score)
        logits.append(judged.logit)
    if not kept:
        raise DatasetError(f"not one of {len(items)} files got a score: {dict(left_out)}")
    return Scored(kept, np.array(scores), np.array(logits), left_out)


def figures(wanted: dict[str, metrics.Metric], scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, rounds: int) -> dict[str, dict[str, float]]:
    found = metrics.bootstraps(wanted, scores, labels, groups, rounds)
    return {name: {"value": figure.value, "low": figure.low, "high": figure.high} for name, figure in found.items()}


def by_generator(scored: Scored, groups: np.ndarray, rounds: int) -> dict[str, dict]:
    """Each generator's fakes against all reals."""
    generators = scored.field("generator")
    out = {}
    for name in np.unique(generators[scored.labels == 1]):
        inside = (scored.labels == 0) | (generators == name)
        found = figures({"AUC": metrics.auc}, scored.scores[inside], scored.labels[inside], groups[inside], rounds)
        out[str(name)] = {**found["AUC"], "fakes": int((generators == name).sum()), "reals": int((scored.labels == 0).sum())}
    return out


def control(scored: Scored, groups: np.ndarray, rounds: int) -> dict[str, float]:
    """AUC of a linear classifier on metadata alone; far from one half means that the data give the answer away without being looked at."""
    if len(np.unique(groups)) < 4:
        return {"value": math.nan, "low": math.nan, "high": math.nan}
    features = np.array([metadata.of_file(item.path) for item in scored.items])
    guessed = metrics.control_scores(features, scored.labels, groups)
    return figures({"AUC": metrics.auc}, guessed, scored.labels, groups, rounds)["AUC"]


def curves(scored: Scored) -> dict:
    covered, risk = metrics.risk_coverage(scored.scores, scored.labels)
    alarms, hits, _ = metrics.roc(scored.scores, scored.labels)
    return {
        "reliability": [bin.__dict__ for bin in metrics.reliability(scored.scores, scored.labels)],
        "riskCoverage": [{"coverage": covered[i], "risk": risk[i]} for i in thinned(len(covered))],
        "roc": [{"fpr": alarms[i], "tpr": hits[i]} for i in thinned(len(alarms))],
    }


def thinned(count: int) -> Iterable[int]:
    return np.unique(np.linspace(0, count - 1, min(count, CURVE_POINTS)).round().astype(int))


def aggregated(scored: Scored, options: argparse.Namespace, wanted: dict[str, metrics.Metric]) -> dict:
    """One score for each group's reals and for its fakes by each generator."""
    groups = scored.field(options.group)
    keys = np.array(["\0".join(parts) for parts in zip(groups, scored.labels.astype(str), scored.field("generator"))])
    scores, labels, names = metrics.aggregate(scored.scores, scored.labels, keys, options.aggregate)
    origins = np.array([name.split("\0")[0] for name in names])
    return {"by": options.group, "how": options.aggregate, "units": len(names), "figures": figures(wanted, scores, labels, origins, options.rounds)}


def calibrations(tuning: Scored, test: Scored) -> list[dict]:
    """What each method, fitted on the calibration split, would give on the test."""
    found = calibration.compared(tuning.logits, tuning.labels, tuning.field("source"), test.logits, test.labels, test.field("source"))
    return [entry.__dict__ for entry in found]


def robustness(scorer: Scorer, modality: str, items: Sequence[Item], wanted: dict[str, metrics.Metric], options: argparse.Namespace) -> list[dict]:
    """The same files after each step; both classes take it. Files that are too little afterwards are counted and left out."""
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for name, spoil in steps(modality).items():
            rng = np.random.default_rng(SEED)
            try:
                scored = score(scorer, items, lambda item: spoil(item.path, Path(folder), rng))
            except DatasetError as error:
                out.append({"step": name, "judged": 0, "leftOut": str(error)})
                continue
            found = figures(wanted, scored.scores, scored.labels, scored.field(options.group), options.rounds)
            out.append({"step": name, "judged": len(scored.items), "leftOut": dict(scored.left_out), "figures": found})
            print(f"  {name}: AUC {found['AUC']['value']:.3f}, {len(scored.items)} of {len(items)} judged", flush=True)
    return out


def steps(modality: str) -> dict[str, Callable[[Path, Path, np.random.Generator], Path]]:
    """What each step of the grid makes of a file: the path of another file in the folder, without loss beyond the step's own."""

    def picture(step: augment.ImageStep) -> Callable[[Path, Path, np.random.Generator], Path]:
        def spoil(path: Path, folder: Path, rng: np.random.Generator) -> Path:
            Image.fromarray(step(sources.image(path), rng)).save(folder / "step.png", compress_level=1)
            return folder / "step.png"

        return spoil

    def sound(step: augment.SoundStep) -> Callable[[Path, Path, np.random.Generator], Path]:
        def spoil(path: Path, folder: Path, rng: np.random.Generator) -> Path:
            made = step(sources.audio(path), rng)
            sources.save_flac(made / max(1.0, float(np.abs(made).max())), folder / "step.flac")
            return folder / "step.flac"

        return spoil

    def video(crf: int) -> Callable[[Path, Path, np.random.Generator], Path]:
        def spoil(path: Path, folder: Path, rng: np.random.Generator) -> Path:
            augment.ffmpeg(["-i", str(path), "-c:v", "libx264", "-crf", str(crf), "-pix_fmt", "yuv420p", "-c:a", "copy", str(folder / "step.mp4")])
            return folder / "step.mp4"

        return spoil

    match modality:
        case "image":
            return {name: picture(step) for name, step in augment.IMAGE_GRID.items()}
        case "audio":
            return {name: sound(step) for name, step in augment.SOUND_GRID.items()}
    return {f"H.264 crf {crf}": video(crf) for crf in (23, 35, 40)}


def described(data: Path, items: Sequence[Item], scored: Scored) -> dict:
    """What was measured. Only names: nothing of where it lies on this machine."""
    return {
        "name": data.name, "files": len(items), "judged": len(scored.items), "leftOut": dict(scored.left_out),
        "reals": int((scored.labels == 0).sum()), "fakes": int((scored.labels == 1).sum()), "sources": len({item.source for item in items}),
        "speakers": len({item.speaker for item in items} - {""}), "generators": sorted({item.generator for item in items} - {""}),
    }


def write_scores(path: Path, scored: Scored, data: Path) -> None:
    base = data if data.is_dir() else data.parent
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["path", "label", "source", "speaker", "generator", "score", "logit"])
        for item, value, logit in zip(scored.items, scored.scores, scored.logits):
            label = "fake" if item.label else "real"
            rows.writerow([item.path.relative_to(base), label, item.source, item.speaker, item.generator, f"{value:.6f}", "" if math.isnan(logit) else f"{logit:.6f}"])


def plain(value: object) -> object:
    """For JSON: no numpy, six digits, null for what is no number."""
    match value:
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case bool() | np.bool_():
            return bool(value)
        case int() | np.integer():
            return int(value)
        case float() | np.floating():
            return round(float(value), 6) if math.isfinite(value) else None
    return value


def table(results: dict) -> str:
    data = results["data"]
    lines = [f"{results['package']['name']} {results['package']['version']} on {data['name']}: {data['judged']} of {data['files']} files judged "
             f"({data['reals']} reals, {data['fakes']} fakes, {data['sources']} sources), by {results['scoredBy']}"]
    rows = {**results["figures"], **{f"AUC, {name}": found for name, found in results["byGenerator"].items()}, "metadata-only control AUC": results["metadataControl"]}
    lines += [f"  {name:46s} {figure(found)}" for name, found in rows.items()]
    for entry in results.get("calibrations", []):
        lines.append(f"  calibration {entry['method']:12s} ECE {entry['before']:.3f} before, {entry['ece']:.3f} after")
    return "\n".join(lines)


def figure(found: dict[str, float]) -> str:
    if math.isnan(found["value"]):
        return "not to be had from these files"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]" if not math.isnan(found["low"]) else f"{found['value']:.3f}"


if __name__ == "__main__":
    main()
