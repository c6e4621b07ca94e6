"""Trains, evaluates and packages `image-faces-net` and `video-faces-net`: one net of faces in two families."""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import nn
from torch.nn import functional as F

from detectors import face_cards, face_fakes, face_pool, metrics, package, sources, trainer, views
from detectors.face_finder import FaceFinder
from detectors.face_judge import Shown, logit_of, normalised, shown_in
from detectors.face_media import ClipsError, Track, astronaut, clips, fetch, frames_of, seen_in, track_of
from detectors.face_net import FaceNet
from detectors.face_pool import CROP, CROP_MARGIN, KEPT, SEEN, UNSEEN, Job, Pool, Rebuild, jobs_of
from detectors.trainer import Batch, Config, Task

SEED = 20_264
PAIRS = 16
PER_PERSON = 900
STOPPING = {"d18", "s20"}
"""Persons of the training split who decide when to stop, and whom the net does not learn from."""
INPUT = "faces"
PIXELS = {"channels": "rgb", "layout": "nchw", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
FACES = {
    "faces": {"max": 4, "minSide": 48},
    "crop": {"width": CROP, "height": CROP, "margin": CROP_MARGIN, "fit": "square"},
    "pixels": PIXELS,
}
CONFIDENT = {"method": "confident", "high": 0.8, "fakeShare": 0.4, "fakeFrames": 4, "low": 0.2, "realShare": 0.9}
IMAGE = {"type": "image-faces", **FACES}
VIDEO = {
    "type": "video-faces", "sampling": {"mode": "uniform", "frames": 16}, "maxFrameSide": 960, **FACES, "minFrames": 4, "aggregation": CONFIDENT,
}
PIPELINES = {"image": IMAGE, "video": VIDEO}


def main() -> None:
    parser = argparse.ArgumentParser(prog="run faces", description=__doc__)
    parser.add_argument("--debug", action="store_true", help="a few steps and persons into .cache/debug, to see that everything works")
    parser.add_argument("--steps", type=int, default=2_500)
    parser.add_argument("--clips", type=Path, help="folder in which the clips are looked for by their bytes before they are downloaded")
    parser.add_argument("--extra-media", type=Path, help="folder with MANIFEST.tsv: evaluated on, never trained on")
    parser.add_argument("--no-train", action="store_true", help="evaluate and package the classifier.onnx that is there")
    options = parser.parse_args()
    try:
        run(options)
    except ClipsError as error:
        raise SystemExit(f"run faces: {error}") from error


def run(options: argparse.Namespace) -> None:
    started = time.time()
    torch.set_num_threads(2)
    listed = clips()
    paths = fetch(listed, options.clips)
    tracks = [track_of(clip, paths[clip.name]) for clip in listed]
    root = sources.CACHE / "debug" if options.debug else package.MODELS
    folders = {"image": root / "image-faces-net", "video": root / "video-faces-net"}
    learning = [track for track in tracks if track.split == "train"]
    cache_folder = sources.CACHE / ("debug/faces" if options.debug else "faces")
    if not options.no_train:
        per_person = 60 if options.debug else PER_PERSON
        pool = face_pool.pool(learning, per_person, SEED, cache_folder)
        print(f"{len(learning)} persons, {len(pool.persons)} pairs of crops, {time.time() - started:.0f} s", flush=True)
        session = trained(pool, options, cache_folder, folders["image"] / "classifier.onnx")
        folders["video"].mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folders["image"] / "classifier.onnx", folders["video"] / "classifier.onnx")
    else:
        session = package.Session(folders["image"] / "classifier.onnx", INPUT)
    rebuild = face_pool.autoencoder(learning, 20 if options.debug else 600, SEED, cache_folder)

    still = seen_in(astronaut()[None], "astronaut", FaceFinder())
    judge = Judge(session, rebuild, lambda name: astronaut()[None] if name == still.name else frames_of(paths[name]), cache_folder)
    for modality, pipeline in PIPELINES.items():
        most = 2 if options.debug else {"image": 16, "video": 4}[modality]
        measured = judge.split([track for track in tracks if track.split == "calibration"], SEEN, modality, most, 1)
        fit = package.calibrate(measured)
        print(f"{modality} calibration: {fit}", flush=True)
        persons = [track for track in tracks if track.split == "test"] + [still] * (modality == "image")
        test = judge.split(persons, SEEN + UNSEEN, modality, most, 2)
        kinds = {"seen kind of fake": SEEN, **{f"{kind}, an unseen kind of fake": (kind,) for kind in UNSEEN}}
        rows = [
            row for name, makers in kinds.items()
            for row in package.rows(f"unseen persons, {name}", test.pick(np.isin(test.generators, ["real", *makers])), fit, paired=False)
        ]
        foreign = foreign_rows(judge, options.extra_media, modality, fit) if options.extra_media else []
        face_cards.write(folders[modality], modality, pipeline, INPUT, fit, rows, foreign, partial(judge.score, modality=modality, fit=fit))
    print(f"done in {(time.time() - started) / 60:.1f} min", flush=True)


def trained(pool: Pool, options: argparse.Namespace, folder: Path, target: Path) -> package.Session:
    config = Config(SEED, options.steps, evaluate_every=250, patience=6, task={"pairs": PAIRS, "perPerson": len(pool.persons), "stopping": sorted(STOPPING)})
    config = config.for_debug() if options.debug else config
    torch.manual_seed(SEED)
    task = task_of(pool)
    print(f"training {sum(p.numel() for p in task.net.parameters())} parameters for {config.steps} steps", flush=True)
    outcome = trainer.train(task, config, folder / "run")
    print(f"best of step {outcome.best_step}: AUC {outcome.best.get('AUC', float('nan')):.3f} on self-blended faces of {len(STOPPING)} persons not learnt from", flush=True)
    example = normalised(centre(np.asarray(pool.crops[:, :: max(1, len(pool.persons) // 8)]).reshape(-1, KEPT, KEPT, 3)), PIXELS)
    return package.export(task.net, target, INPUT, example)


def task_of(pool: Pool) -> Task:
    """Batches of pairs, persons drawn evenly; the AUC on crops of the stopping persons decides."""
    stopping = np.isin(pool.persons, sorted(STOPPING))
    by_person = [np.flatnonzero(pool.persons == person) for person in np.unique(pool.persons[~stopping])]
    held = np.flatnonzero(stopping)
    held = held[:: max(1, len(held) // 300)]
    validation = normalised(centre(np.asarray(pool.crops[:, held]).reshape(-1, KEPT, KEPT, 3)), PIXELS)

    def batch(step: int, rng: np.random.Generator) -> Batch:
        picked = [int(rng.choice(by_person[int(rng.integers(len(by_person)))])) for _ in range(PAIRS)]
        cut = np.stack([randomly_cut(pool.crops[label, index], rng) for label in (0, 1) for index in picked])
        labels = torch.tensor([0.0] * PAIRS + [1.0] * PAIRS)
        return {"inputs": torch.from_numpy(normalised(cut, PIXELS)), "labels": labels}

    def loss(net: nn.Module, made: Batch) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(net(made["inputs"])[:, 0].float(), made["labels"] * 0.94 + 0.03)

    def validate(net: nn.Module) -> dict[str, float]:
        logits = np.concatenate([net(torch.from_numpy(part))[:, 0].numpy() for part in np.array_split(validation, max(1, len(validation) // 64))])
        labels = np.repeat([0, 1], len(held))
        found = {"AUC": metrics.auc(logits, labels), "files": float(len(labels))}
        print(f"  AUC {found['AUC']:.3f}", flush=True)
        return found

    return Task(FaceNet(), batch, loss, validate, "AUC")


def randomly_cut(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At a random place, in half of the cases mirrored, brighter or darker."""
    y, x = rng.integers(0, KEPT - CROP + 1, 2)
    out = crop[y : y + CROP, x : x + CROP]
    out = out[:, ::-1] if rng.random() < 0.5 else out
    if rng.random() < 0.5:
        out = np.clip(out.astype(np.float32) * rng.uniform(0.8, 1.2) + rng.uniform(-15, 15), 0, 255).astype(np.uint8)
    return out


def centre(crops: np.ndarray) -> np.ndarray:
    edge = (KEPT - CROP) // 2
    return crops[:, edge : edge + CROP, edge : edge + CROP]


class Judge:
    """Judges what a client would upload as the pod does: faces are looked for in the whole picture."""

    def __init__(self, session: package.Session, rebuild: Rebuild, frames: Callable[[str], np.ndarray], kept: Path) -> None:
        """`frames` gives those of a person's clip; what uploads show is kept in the folder, so that another net is judged in seconds."""
        self.session, self.rebuild, self.kept = session, rebuild, kept
        self.frames = lru_cache(2)(frames)
        self.finder = FaceFinder()

    def score(self, path: Path, modality: str, fit: dict) -> float:
        """Of a file; nan where there is no face to judge."""
        logit = self.logit(path, modality)
        return float("nan") if logit is None else float(package.sigmoid(fit["slope"] * logit + fit["intercept"]))

    def logit(self, path: Path, modality: str) -> float | None:
        return logit_of(shown_in(sampled_frames(path), PIPELINES[modality], self.finder), PIPELINES[modality], self.session.parts)

    def split(self, tracks: Sequence[Track], kinds: Sequence[str], modality: str, most: int, seed: int) -> package.Scored:
        """Every real and fake of the tracks' segments that shows a face."""
        jobs = jobs_of(tracks, SEED + seed, modality == "video", most)
        found = []
        for kind in ("real", *kinds):
            for job, shown, metadata in zip(jobs, *self.gathered(jobs, kind, modality)):
                logit = logit_of(shown, PIPELINES[modality], self.session.parts)
                if logit is not None:
                    found.append((logit, int(kind != "real"), job.track.name, kind, metadata))
        print(f"  {modality}: {len(jobs) * (len(kinds) + 1)} files of {len(tracks)} persons, {len(found)} show a face to judge", flush=True)
        return package.Scored(*(np.array(column) for column in zip(*found)))

    def gathered(self, jobs: Sequence[Job], kind: str, modality: str) -> tuple[list[Shown], np.ndarray]:
        """What each job's upload shows, and its metadata; from the cache where the same uploads were made before."""
        file = self.kept / f"shown-{modality}-{kind}-{self.key(jobs, kind, modality)}.npz"
        if not file.exists():
            with ThreadPoolExecutor(2) as threads:
                made = list(threads.map(partial(self.shown, kind=kind, modality=modality), jobs))
            shown = [faces for faces, _ in made]
            np.savez(
                file, crops=np.concatenate([faces.crops for faces in shown]), owners=np.concatenate([faces.owners for faces in shown]),
                counts=[len(faces.owners) for faces in shown], metadata=[facts for _, facts in made],
            )
        with np.load(file) as kept:
            ends = np.cumsum(kept["counts"])[:-1]
            parts = zip(np.split(kept["crops"], ends), np.split(kept["owners"], ends))
            return [Shown(crops, owners) for crops, owners in parts], kept["metadata"]

    def shown(self, job: Job, kind: str, modality: str) -> tuple[Shown, list[float]]:
        upload = face_pool.upload(job, self.frames(job.track.name), kind, self.rebuild, modality == "video")
        return shown_in(upload.frames, PIPELINES[modality], self.finder), upload.chain.metadata

    def key(self, jobs: Sequence[Job], kind: str, modality: str) -> str:
        """Of all that decides what the uploads show."""
        code = [inspect.getsource(made) for made in (face_fakes, views, face_pool.upload, face_pool.maker, face_pool.drawn_chain, face_pool.published, face_pool.remade)]
        network = self.rebuild(np.full((1, 128, 128, 3), 90, np.uint8)).tobytes().hex() if kind == "autoencoder" else ""
        stretches = [(job.track.name, job.track.boxes.tobytes().hex(), job.donor.name, job.places.tolist(), job.seed) for job in jobs]
        return hashlib.sha256(json.dumps([PIPELINES[modality], stretches, network, *code]).encode()).hexdigest()[:16]


def foreign_rows(judge: Judge, folder: Path, modality: str, fit: dict) -> list[dict]:
    """What others published as swapped faces and as reals, as it is: tiny sets, so that figures say little."""
    name, wanted = {
        "image": ("MesoNet's examples (Deepfakes autoencoder)", {"Deepfakes-autoencoder", "frame"}),
        "video": ("GHOST swaps of one clip, and other clips", {"GHOST-swap", "natural"}),
    }[modality]
    judged = []
    for line in (folder / "MANIFEST.tsv").read_text().splitlines()[1:]:
        path, label, kind, generator, pair, *_ = line.split("\t")
        if kind != modality or generator not in wanted:
            continue
        logit = judge.logit(folder / path, modality)
        if logit is not None:
            score = float(package.sigmoid(fit["slope"] * logit + fit["intercept"]))
            print(f"  {label} {path}: score {score:.3f} {package.verdict(score, fit)}", flush=True)
            judged.append((logit, int(label == "fake"), pair or path, generator))
    if len({label for _, label, *_ in judged}) < 2:
        return []
    columns = [np.array(column) for column in zip(*judged)]
    scored = package.Scored(*columns, np.zeros((len(judged), 0)))
    return package.rows(name, scored, fit, paired=False)


def sampled_frames(path: Path) -> list[np.ndarray]:
    """A picture, or frames of a clip spread over it."""
    count = VIDEO["sampling"]["frames"]
    if path.suffix in {".webp", ".jpg", ".png"}:
        with Image.open(path) as opened:
            frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(opened)]
    else:
        frames = list(frames_of(path))
    return [frames[int((k + 0.5) * len(frames) / count)] for k in range(count)] if len(frames) > count else frames


if __name__ == "__main__":
    main()
