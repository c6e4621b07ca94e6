"""What the commands of the detectors of videos share: options, figures over people, the gate, the card, golden files that the pod measures."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detectors import face_media, gate, metadata, package, pod_golden, sources, video_clips, video_package
from detectors.video_clips import Shot
from detectors.video_media import Made

STOPPING = ("d18", "s20", "s29")
"""People of the training split who are not learnt from: they decide when to stop."""
SHARE = "share of files with a score"
PIXELS = {"channels": "rgb", "layout": "nchw", "mean": [0, 0, 0], "std": [0.00392156862745098] * 3}
"""Graphs take 0..255: whole numbers stay whole, and the nets scale them."""


@dataclass(frozen=True)
class People:
    """The clips by what they are for."""

    learning: list[Shot]
    stopping: list[Shot]
    calibration: list[Shot]
    test: list[Shot]


@dataclass(frozen=True)
class Texts:
    """Of the card: what the detector looks at, what it is compared with, and what it cannot tell. The numbers come from the run."""

    command: str
    looks: str
    counterpart: str
    trained: str
    cannot: Sequence[str]


def parser(name: str, steps: int) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=f"run {name}")
    made.add_argument("--debug", action="store_true", help="a few steps into .cache/debug, to see that everything works")
    made.add_argument("--no-train", action="store_true", help="evaluate and package the graphs that are there")
    made.add_argument("--clips", type=Path, help="folder in which clips are looked for by their bytes before they are downloaded")
    made.add_argument("--steps", type=int, default=steps)
    return made


def folder_of(name: str, options: argparse.Namespace) -> Path:
    return (sources.CACHE / "debug" if options.debug else package.MODELS) / name


def run_of(name: str, options: argparse.Namespace) -> Path:
    """Folder of a training's log and checkpoints."""
    return (sources.CACHE / "debug" if options.debug else video_clips.FOLDER) / "runs" / name


def people(options: argparse.Namespace) -> People:
    try:
        training = video_clips.shots(options.clips, "train")
        made = People(
            [shot for shot in training if shot.person not in STOPPING], [shot for shot in training if shot.person in STOPPING],
            video_clips.shots(options.clips, "calibration"), video_clips.shots(options.clips, "test"),
        )
    except face_media.ClipsError as error:
        raise SystemExit(f"run: {error}") from error
    for name, shots in vars(made).items():
        print(f"{name}: {video_clips.listed(shots)}", flush=True)
    return made


def judged(files: Sequence[Made], logits: np.ndarray) -> package.Scored:
    """Files without a logit (nan) are left out."""
    kept = [index for index, logit in enumerate(logits) if np.isfinite(logit)]
    chosen = [files[index] for index in kept]
    return package.Scored(
        logits[kept], np.array([file.label for file in chosen]), np.array([file.person for file in chosen]),
        np.array([file.kind for file in chosen]), np.array([metadata.of_file(file.path) for file in chosen]),
    )


def evaluation(files: Sequence[Made], logits: np.ndarray, fit: dict, unseen: Sequence[str]) -> list[dict]:
    """Rows of people who were not trained on: all kinds of the training together, then each unseen one. Every row bootstraps over people."""
    scored = judged(files, logits)
    kinds = np.array([file.kind for file in files])
    known = "new people, kinds of fakes of the training"
    rows = package.rows(known, scored.pick(~np.isin(scored.generators, list(unseen))), fit, paired=True)
    rows.append(share_judged(known, logits[~np.isin(kinds, list(unseen))]))
    for kind in unseen:
        name = f"new people, {kind} (unseen kind)"
        rows += package.rows(name, scored.pick(np.isin(scored.generators, ["real", kind])), fit, paired=True) if kind in scored.generators else []
        rows.append(share_judged(name, logits[kinds == kind]))
    return rows


def share_judged(dataset: str, logits: np.ndarray) -> dict:
    """Of the files that are named, reals among them or not: the others got reasons instead of a score."""
    return {"dataset": dataset, "metric": SHARE, "value": round(float(np.isfinite(logits).mean()), 3), "note": f"{len(logits)} files"}


def finish(
    folder: Path, head: dict, pipeline: dict, graphs: dict[str, tuple[Sequence[str], str]], fit: dict, card: dict, rows: list[dict],
    texts: Texts, parameters: int, golden: Mapping[str, Path], who: People,
) -> None:
    """Manifest, golden files as the pod measures them, and the card in prose. Texts may name {learning}, {stopping}, {calibration} and {test}: how many people."""
    counts = {name: len(shots) for name, shots in vars(who).items()}
    card = {name: text.format(**counts) for name, text in card.items()}
    texts = replace(texts, trained=texts.trained.format(**counts))
    rows = [row for row in rows if "value" in row]
    # No fake was made by anyone else.
    card = {"license": "Apache-2.0", "status": gate.status_of(rows, foreign=()), **card}
    shutil.rmtree(folder / "golden", ignore_errors=True)
    video_package.write(folder, head, pipeline, graphs, fit, card, rows)
    try:
        pod_golden.measure(folder, list(golden.values()), package.GOLDEN_TOLERANCE)
    except pod_golden.GoldenError as error:
        raise SystemExit(f"{folder.name}: {error}") from error
    (folder / "README.md").write_text(prose(folder, head, card, texts, fit, rows, parameters))


def prose(folder: Path, head: dict, card: dict, texts: Texts, fit: dict, rows: Sequence[dict], parameters: int) -> str:
    size = sum(path.stat().st_size for path in folder.glob("*.onnx"))
    datasets = list(dict.fromkeys(row["dataset"] for row in rows if row["metric"] == "AUC"))
    columns = ("AUC", "macro paired AUC", "balanced accuracy outside the abstain band", "coverage (answered share)", "metadata-only control AUC")
    table = ["| fakes | AUC | AUC inside each person | answered right | answered | metadata alone, AUC | fakes + reals |", "|---|---|---|---|---|---|---|"]
    for dataset in datasets:
        found = {row["metric"]: row for row in rows if row["dataset"] == dataset}
        counts = f"{found['AUC']['positives']} + {found['AUC']['negatives']}"
        table.append(f"| {dataset} | {' | '.join(shown(found.get(column)) for column in columns)} | {counts} |")
    shares = [f"{row['dataset'].removeprefix('new people, ')} {row['value']:.2f} of {row['note']}" for row in rows if row["metric"] == SHARE]
    return "\n".join([
        f"# {head['name']} {head['version']}: model card", "",
        f"**Status: {card['status']}.** It shows the path from an upload to a calibrated verdict. Do not base a decision about a person on it.", "",
        f"**What it looks at.** {texts.looks}", "",
        f"**Size.** {parameters / 1000:.0f} k parameters, {size / 1e6:.2f} MB of ONNX. {texts.counterpart}", "",
        f"**Trained on** {texts.trained}", "",
        f"**What it can tell** (95 % intervals over people, of whom there are few; every row is in `evaluation.json`). Thresholds: {fit['low']} and {fit['high']}.", "",
        *table, "",
        f"Share of the test files that get a score: {'; '.join(shares)}.", "",
        "**What it cannot tell**", "", *[f"- {line}" for line in texts.cannot], "",
        f"**Made by** `models/training/run {texts.command}`, which wrote this file with its figures.", "",
    ])


def shown(row: Mapping[str, object] | None) -> str:
    if row is None:
        return "–"
    interval = f" [{row['low']:.2f}, {row['high']:.2f}]" if "low" in row else ""
    return f"{row['value']:.2f}{interval}"


def parameters_of(*nets: object) -> int:
    return sum(parameter.numel() for net in nets for parameter in net.parameters())


def drawn(names: Sequence[str], rng: np.random.Generator) -> str:
    return names[int(rng.integers(len(names)))]


