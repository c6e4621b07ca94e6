"""Trains a small detector on a dataset of one's own: `models/training/run train image|audio --data MANIFEST|FOLDER --name NAME`.

Splits come from the manifest, or are drawn by source and speaker; whatever leaks is refused. A part of the training sources decides when to stop,
the calibration split makes scores of logits, and the test split is measured once. What comes out is a package that the pod serves.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from detectors import audio, audio_data, datasets, image, image_data, metadata, metrics, package, sources, trainer
from detectors.audio_net import SpectrogramNet
from detectors.augment import to_int16
from detectors.datasets import DatasetError, Item
from detectors.image_net import ResidualNet
from detectors.trainer import Batch, Config, ResumeError, Task
from detectors.windows import WINDOW, tiles, windows

SHARES = {"train": 0.7, "calibration": 0.15, "test": 0.15}
STOPPING_SHARE = 0.15
HALF = 16
LEAST_SIDE = 160
MOST_VALIDATED = 64


@dataclass(frozen=True)
class Family:
    """What differs between the modalities: the net, a training example of a file, all parts of a file, and what the package says of itself."""

    net: Callable[[], nn.Module]
    example: Callable[[Path, np.random.Generator], np.ndarray]
    parts: Callable[[Path], np.ndarray]
    graph_input: str
    pipeline: dict
    endings: set[str]


@lru_cache(64)
def picture(path: Path) -> np.ndarray:
    return sources.image(path)


@lru_cache(512)
def sound(path: Path) -> np.ndarray:
    return to_int16(audio_data.trim(sources.audio(path)))


def image_example(path: Path, rng: np.random.Generator) -> np.ndarray:
    """A square of the picture after the chain that every upload may have passed; float32 [3, 96, 96]."""
    pixels = picture(path)
    side = min(320, *pixels.shape[:2])
    if side < LEAST_SIDE:
        raise DatasetError(f"{path}: has {side} px on its shorter side, at least {LEAST_SIDE} px are needed to train on it")
    y, x = (int(rng.integers(0, length - side + 1)) for length in pixels.shape[:2])
    made = image_data.publish(pixels[y : y + side, x : x + side], rng, image.TRAIN_SIDE)
    return np.rot90(made, int(rng.integers(4))).transpose(2, 0, 1).astype(np.float32)


def sound_example(path: Path, rng: np.random.Generator) -> np.ndarray:
    """Two seconds after filters, noise and gain; float32 [32000]. Shorter sounds are repeated."""
    clip = sound(path)
    if clip.size < WINDOW // 2:
        raise DatasetError(f"{path}: holds less than a second of sound, too little to train on it")
    if clip.size < WINDOW:
        clip = np.resize(clip, WINDOW)
    return audio_data.disturbed(audio_data.crop(clip, int(rng.integers(0, clip.size - WINDOW + 1))), rng)


FAMILIES = {
    "image": Family(ResidualNet, image_example, lambda path: tiles(sources.image(path)), "pixels", image.PIPELINE, datasets.IMAGES),
    "audio": Family(SpectrogramNet, sound_example, lambda path: windows(sources.audio(path)), "samples", audio.PIPELINE, datasets.SOUNDS),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="run train", description=__doc__)
    parser.add_argument("modality", choices=tuple(FAMILIES))
    parser.add_argument("--data", type=Path, required=True, help="CSV or TSV manifest, or a folder with real/ and fake/ (see detectors/datasets.py)")
    parser.add_argument("--name", required=True, help="of the package: lower-case letters, digits and dashes")
    parser.add_argument("--hold-out", default="", help="generators that only the test sees, with commas")
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--out", type=Path, help="folder for the package; by default .cache/trained/NAME")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint of the same run")
    parser.add_argument("--debug", action="store_true", help="a few steps into .cache/debug, to see that everything works")
    options = parser.parse_args()
    try:
        run(options)
    except (DatasetError, ResumeError) as error:
        sys.exit(f"run train: {error}")


def run(options: argparse.Namespace) -> Path:
    """The folder of the package."""
    started, family = time.time(), FAMILIES[options.modality]
    held_out = [name for name in options.hold_out.split(",") if name]
    items = prepared(datasets.load(options.data), family, held_out, options.seed)
    folder = options.out or sources.CACHE / ("debug" if options.debug else "trained") / options.name
    learning, stopping = stopping_split([item for item in items if item.split == "train"], options.seed)
    # The files belong to the configuration: a resume on other data is another run.
    files = [[item.path.as_posix(), item.label, item.split] for item in items]
    config = Config(options.seed, options.steps, options.rate, task={"modality": options.modality, "heldOut": held_out, "files": files})
    config = config.for_debug() if options.debug else config
    device = trainer.device_of(options.device)
    task = task_of(family, learning, stopping, device)
    print(f"{len(learning)} files to learn from, {len(stopping)} to stop by; {config.steps} steps at most on {device.type}", flush=True)
    outcome = trainer.train(task, config, folder / "run", device, options.resume)
    print(f"best of step {outcome.best_step}: {outcome.best}; ended at step {outcome.last_step}{', early' if outcome.stopped_early else ''}", flush=True)
    wrap_up(options, family, task.net.cpu(), items, folder)
    print(f"done in {(time.time() - started) / 60:.1f} min; models/training/run evaluate {folder} --data ... measures it", flush=True)
    return folder


def prepared(items: list[Item], family: Family, held_out: Sequence[str], seed: int) -> list[Item]:
    """Split, without leaks, both classes in every split."""
    foreign = sorted({item.path.suffix.lower() for item in items} - family.endings)
    if foreign:
        raise DatasetError(f"the data hold {', '.join(foreign)}; this family takes {', '.join(sorted(family.endings))}")
    if not any(item.split for item in items):
        items = datasets.divided(items, SHARES, seed)
    if held_out:
        items = datasets.without_generators(items, held_out)
    datasets.refuse_leakage(items, by=("source", "speaker"))
    for split in datasets.SPLITS:
        for name, label in datasets.LABELS.items():
            if not any(item.split == split and item.label == label for item in items):
                raise DatasetError(f"the split {split} has no {name} files")
    return items


def stopping_split(items: list[Item], seed: int) -> tuple[list[Item], list[Item]]:
    """Training files and those of other sources that decide when to stop. DatasetError where either lacks a class."""
    parted = datasets.divided(items, {"train": 1 - STOPPING_SHARE, "calibration": STOPPING_SHARE}, seed, slack=0.5)
    learning, stopping = ([item for item in parted if item.split == split] for split in ("train", "calibration"))
    if any(len({item.label for item in part}) < 2 for part in (learning, stopping)):
        raise DatasetError("too few training sources: those to learn from and those to stop by need reals and fakes each")
    return learning, stopping


def task_of(family: Family, learning: list[Item], stopping: list[Item], device: torch.device) -> Task:
    """Batches of as many reals as fakes, sources and generators drawn evenly; loss with smoothed labels; the AUC of held-out sources decides."""
    reals = grouped([item for item in learning if item.label == 0], "source")
    fakes = grouped([item for item in learning if item.label == 1], "generator")
    chosen = [stopping[i] for i in np.unique(np.linspace(0, len(stopping) - 1, min(len(stopping), MOST_VALIDATED)).round().astype(int))]
    chosen = chosen if len({item.label for item in chosen}) == 2 else stopping

    def batch(step: int, rng: np.random.Generator) -> Batch:
        picked = [drawn(reals, rng) for _ in range(HALF)] + [drawn(fakes, rng) for _ in range(HALF)]
        inputs = np.stack([family.example(item.path, rng) for item in picked])
        return {"inputs": torch.from_numpy(inputs), "labels": torch.tensor([float(item.label) for item in picked])}

    def loss(net: nn.Module, made: Batch) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(net(made["inputs"])[:, 0].float(), made["labels"] * 0.94 + 0.03)

    def validate(net: nn.Module) -> dict[str, float]:
        judged = judged_by(lambda parts: net(torch.from_numpy(parts).to(device))[:, 0].float().mean().item(), family, chosen)
        return {"AUC": metrics.auc(judged[0], np.array([item.label for item in judged[1]])), "files": len(judged[1])}

    torch.manual_seed(0)
    return Task(family.net(), batch, loss, validate, "AUC")


def grouped(items: Sequence[Item], field: str) -> list[list[Item]]:
    names = sorted({getattr(item, field) for item in items})
    return [[item for item in items if getattr(item, field) == name] for name in names]


def drawn(groups: list[list[Item]], rng: np.random.Generator) -> Item:
    group = groups[int(rng.integers(len(groups)))]
    return group[int(rng.integers(len(group)))]


def judged_by(logit_of: Callable[[np.ndarray], float], family: Family, items: Sequence[Item]) -> tuple[np.ndarray, list[Item]]:
    """Logits and the files that hold enough to have one."""
    logits, kept = [], []
    for item in items:
        try:
            parts = family.parts(item.path)
        except ValueError:
            continue
        logits.append(logit_of(parts))
        kept.append(item)
    return np.array(logits), kept


def wrap_up(options: argparse.Namespace, family: Family, net: nn.Module, items: list[Item], folder: Path) -> None:
    """Exports, calibrates on the calibration split, measures the test split and writes the package."""
    test = [item for item in items if item.split == "test"]
    example = next(parts for parts in map(family.parts, (item.path for item in test)) if len(parts))
    session = package.export(net, folder / "classifier.onnx", family.graph_input, example)

    def scored(split: str) -> package.Scored:
        logits, kept = judged_by(session.logit, family, [item for item in items if item.split == split])
        columns = (np.array([getattr(item, field) for item in kept]) for field in ("label", "source", "generator"))
        return package.Scored(logits, *columns, np.array([metadata.of_file(item.path) for item in kept]))

    fit = package.calibrate(scored("calibration"))
    rows = package.rows("test split, held-out generators" if options.hold_out else "test split, generators of the training", scored("test"), fit, paired=True)
    golden = {name: next(item.path for item in test if item.label == label) for name, label in datasets.LABELS.items()}
    head = {"name": options.name, "version": "0.1.0", "modality": options.modality, "description": f"A small {options.modality} detector trained on {options.data.name}."}
    package.write(folder, head, family.pipeline, family.graph_input, fit, golden, family.parts, CARD | {"trainingData": f"{options.data.name}: {len(items)} files"}, rows)


CARD = {
    "license": "not stated", "status": "demonstration", "intendedUse": "Not stated by whoever trained it.",
    "limitations": "Not studied. What it was not trained on it may not see.", "trainingData": "",
}

if __name__ == "__main__":
    main()
