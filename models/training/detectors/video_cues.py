"""Trains, evaluates and packages the two detectors that follow a face: `video-blink-gru` and `video-colour-lstm`. Both judge windows of what the pod keeps."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from detectors import metrics, package, pod_tensors, trainer, video_command, video_golden, video_media, video_package
from detectors.trainer import Batch, Config, Task
from detectors.video_clips import Shot
from detectors.video_command import PIXELS, Texts
from detectors.video_fakes import Maker
from detectors.video_media import Made
from detectors.video_nets import ColourNet, EyeNet

WINDOWS = 32
TRAINED_ON = (
    "clips of {learning} people, and {stopping} more who decided when to stop (LivePortrait's examples, MIT; listed in "
    "models/training/media-sources.json), cut around the face, and fakes made of the same clips: KINDS. Both classes pass the same encoder; reals "
    "include pictures whose light changes as a whole. Calibrated on {calibration} other people, tested on {test} others."
)


@dataclass(frozen=True)
class Cue:
    """What differs between the two: names, net, how windows are changed for the training, which media, which fakes."""

    head: dict[str, str]
    pipeline: dict
    graph_input: str
    net: Callable[[], nn.Module]
    augmented: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    seen: Mapping[str, Maker]
    unseen: Mapping[str, Maker]
    length: int
    step: int
    rounds: int
    golden: Mapping[str, Maker]
    golden_seconds: float
    steps: int
    seed: int
    card: dict[str, str]
    texts: Texts

    def files(self, shots: Sequence[Shot], kinds: Mapping[str, Maker], rounds: int = 1) -> list[Made]:
        made = (video_media.files(shots, kinds, video_media.REALS, length=self.length, step=self.step, again=f"/{again}" if again else "") for again in range(rounds))
        return [file for round_ in made for file in round_]


def eyes_changed(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same mirror, shift, light and colour for all pictures of a window."""
    out = window.astype(np.float32)
    if rng.random() < 0.5:
        out = out[..., ::-1]
    out = np.roll(out, tuple(rng.integers(-3, 4, 2)), (2, 3))
    out = (out - 128) * float(rng.uniform(0.75, 1.25)) + 128 + float(rng.uniform(-25, 25)) + rng.normal(0, 8, (1, 3, 1, 1))
    return np.clip(out, 0, 255).astype(np.float32)


def colours_changed(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All histograms moved by up to two bins, as another light moves them, and some noise in the counts."""
    out = np.roll(window.astype(np.float32), tuple(rng.integers(-2, 3, 2)), (1, 2))
    if rng.random() < 0.5:
        out = out[::-1]
    return np.clip(out * rng.normal(1, 0.05, out.shape), 0, 255).astype(np.float32)


def stuttered_twice(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A portrait has no blinks of its own: they are drawn, then put out of order where they were drawn."""
    drawn = video_media.EYES_SEEN["drawn-lids"](frames, mesh, rng)
    order = np.arange(len(drawn))
    for start in range(0, len(order) - 5, 5):
        order[start : start + 5] = start + rng.integers(0, 5, 5)
    return drawn[order]


EYE_KINDS = "blinks whose lids are pulled down over open eyes, and blinks whose frames are in a wrong order"
COLOUR_KINDS = "faces whose colours flicker, wander over seconds, or end before the face does"
BLINK = Cue(
    head={
        "name": "video-blink-gru", "version": "0.1.0", "modality": "video",
        "description": "Looks at the eyes of a video's main face while they blink for lids that do not move as lids do.",
    },
    pipeline={
        "type": "video-eye-blink", "sampling": {"mode": "fps", "rate": 25, "maxFrames": 300}, "maxFrameSide": 640, "minFaceSide": 64,
        "blinks": {"threshold": {"mode": "adaptive", "percentile": 80, "share": 0.8}, "minFrames": 2}, "eyes": {"size": 48, "margin": 6},
        "pixels": PIXELS, "sequence": 5, "stride": 1, "maxWindows": 32, "aggregation": "mean-logit",
    },
    graph_input="eyes", net=EyeNet, augmented=eyes_changed, seen=video_media.EYES_SEEN, unseen=video_media.EYES_UNSEEN,
    length=300, step=1, rounds=3, golden={"real": video_media.EYES_SEEN["drawn-lids"], "fake": stuttered_twice}, golden_seconds=6.0,
    steps=500, seed=20_291,
    card={
        "intendedUse": "Shows the path from a video to a calibrated verdict on blinks, with their rate and length beside it. Not evidence.",
        "limitations": "Learnt from the blinks of {learning} people and from fakes made by rules. A person who does not blink gets no verdict. Looks "
        "downwards, glasses, small faces and fewer than 25 frames a second were hardly seen in training.",
        "trainingData": "Clips" + TRAINED_ON.replace("KINDS", EYE_KINDS)[5:],
    },
    texts=Texts(
        "video-eye-blink",
        "Both eyes of the main face, at 48 x 48 px, in the frames in which they are closed further than a share of the person's own openness. A small "
        "convolutional net sees each picture, a GRU five of them in a row.",
        "Its full-size counterpart of this family is Xception-LSTM (22 M parameters, models/import).",
        TRAINED_ON.replace("KINDS", EYE_KINDS),
        [
            "Whether a person blinks too seldom: without blinks the pod gives no verdict, and says `too_few_blinks` and the blinks per minute.",
            "Eyes that a neural network drew: nothing of that kind was trained on or measured.",
            "The two golden files show a still portrait whose lids were pulled down by rule: both are made, whatever their names say.",
        ],
    ),
)
COLOUR = Cue(
    head={
        "name": "video-colour-lstm", "version": "0.1.0", "modality": "video",
        "description": "Follows the colours of a video's main face for skin that does not go with the light.",
    },
    pipeline={
        "type": "video-colour-cues", "sampling": {"mode": "uniform", "frames": 50}, "maxFrameSide": 640, "minFaceSide": 48, "margin": 20, "bins": 32,
        "sequence": 24, "stride": 2, "maxWindows": 12, "rollingWindows": 3, "aggregation": "mean-logit",
    },
    graph_input="histograms", net=ColourNet, augmented=colours_changed, seen=video_media.COLOURS_SEEN, unseen=video_media.COLOURS_UNSEEN,
    length=100, step=2, rounds=1, golden={"real": video_media.plain, "fake": video_media.COLOURS_SEEN["colour-flicker"]}, golden_seconds=3.0,
    steps=900, seed=20_301,
    card={
        "intendedUse": "Shows the path from a video to a calibrated verdict on the colours of a face over time. Not evidence.",
        "limitations": "Learnt from {learning} people and from fakes made by rules. Make-up, coloured light on the face alone and skins unlike those of the "
        "training may count against a real video; a fake whose colours fit passes.",
        "trainingData": "Clips" + TRAINED_ON.replace("KINDS", COLOUR_KINDS)[5:],
    },
    texts=Texts(
        "video-colour-cues",
        "Histograms of the chromaticity of the main face and 20 px around it, 32 x 32 bins, in 50 frames. An LSTM follows 24 of them, reduced to 28 "
        "numbers each, and what changed between neighbours.",
        "Its full-size counterpart of this family is color-cues-lstm (0.28 M parameters, models/import).",
        TRAINED_ON.replace("KINDS", COLOUR_KINDS),
        [
            "Fakes whose colours fit the rest of the picture, which is what a good swap sees to.",
            "Faces that were generated or swapped by neural networks: nothing of that kind was trained on or measured.",
        ],
    ),
)
CUES = {"video-eye-blink": BLINK, "video-colour-cues": COLOUR}


def windows_of(cue: Cue, files: Sequence[Made]) -> list[np.ndarray]:
    """[n, T, ...] of each file as the pod's graph takes them, n = 0 for a file without a verdict."""
    none = np.zeros((0, 1), np.float32)
    return [given.tensors.get("classifier", none) for given in pod_tensors.given([file.path for file in files], pipeline=cue.pipeline)]


def logits_of(windows: Sequence[np.ndarray], run: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The mean logit of a file's windows; nan for a file without any."""
    return np.array([float(run(part.astype(np.float32)).mean()) if len(part) else np.nan for part in windows])


def task_of(cue: Cue, learning: Sequence[Made], stopping: Sequence[Made]) -> Task:
    known, held = windows_of(cue, learning), windows_of(cue, stopping)
    pools: dict[tuple[str, str], list[int]] = {}
    for index, file in enumerate(learning):
        if len(known[index]):
            pools.setdefault((file.kind, file.person), []).append(index)
    kinds = sorted({kind for kind, _ in pools if kind != "real"})
    people = {kind: sorted(person for name, person in pools if name == kind) for kind in ("real", *kinds)}
    print(f"  {sum(map(len, known))} windows to learn from, of {len(people['real'])} people with real ones; {sum(map(len, held))} to stop by", flush=True)

    def one(kind: str, rng: np.random.Generator) -> np.ndarray:
        windows = known[video_command.drawn(pools[kind, video_command.drawn(people[kind], rng)], rng)]
        return cue.augmented(windows[int(rng.integers(len(windows)))], rng)

    def batch(step: int, rng: np.random.Generator) -> Batch:
        made = [one("real", rng) for _ in range(WINDOWS // 2)] + [one(video_command.drawn(kinds, rng), rng) for _ in range(WINDOWS // 2)]
        return {"windows": torch.from_numpy(np.stack(made)), "labels": torch.from_numpy(np.repeat([0.0, 1.0], WINDOWS // 2).astype(np.float32))}

    def loss(net: nn.Module, made: Batch) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(net(made["windows"])[:, 0], made["labels"] * 0.94 + 0.03)

    def validate(net: nn.Module) -> dict[str, float]:
        logits = logits_of(held, lambda part: net(torch.from_numpy(part)).numpy())
        kept = np.isfinite(logits)
        labels = np.array([file.label for file in stopping])
        return {"AUC": metrics.auc(logits[kept], labels[kept])}

    torch.manual_seed(cue.seed)
    return Task(cue.net(), batch, loss, validate, "AUC")


def main(argv: Sequence[str] | None = None) -> None:
    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument("cue", choices=tuple(CUES))
    known, rest = chosen.parse_known_args(argv)
    cue = CUES[known.cue]
    options = video_command.parser(known.cue, cue.steps).parse_args(rest)
    started, name = time.time(), cue.head["name"]
    folder = video_command.folder_of(name, options)
    who = video_command.people(options)
    calibration = cue.files(who.calibration, cue.seen)
    test = cue.files(who.test, {**cue.seen, **cue.unseen})
    net = cue.net()
    if not options.no_train:
        learning, stopping = cue.files(who.learning, cue.seen, cue.rounds), cue.files(who.stopping, cue.seen, cue.rounds)
        task = task_of(cue, learning, stopping)
        config = Config(cue.seed, options.steps, 2e-3, weight_decay=1e-2, evaluate_every=100, patience=4, task={"name": name})
        print(f"training on {len(learning)} files, {time.time() - started:.0f} s", flush=True)
        outcome = trainer.train(task, config.for_debug() if options.debug else config, video_command.run_of(name, options))
        print(f"best of step {outcome.best_step}: {outcome.best}; ended at {outcome.last_step}, {time.time() - started:.0f} s", flush=True)
        net = task.net.cpu().eval()
        example = next(part for part in windows_of(cue, calibration) if len(part) > 1)[:4].astype(np.float32)
        video_package.export(video_package.Graph(net, {cue.graph_input: example}, "logit"), folder / "classifier.onnx")
    session = video_package.Session(folder / "classifier.onnx")
    fit = package.calibrate(video_command.judged(calibration, logits_of(windows_of(cue, calibration), session)))
    print(f"calibration: {fit}", flush=True)
    rows = video_command.evaluation(test, logits_of(windows_of(cue, test), session), fit, list(cue.unseen))
    golden = video_golden.files(name, dict(cue.golden), cue.golden_seconds)
    graphs = {"classifier": ((cue.graph_input,), "logit")}
    video_command.finish(folder, cue.head, cue.pipeline, graphs, fit, cue.card, rows, cue.texts, video_command.parameters_of(net), golden, who)
    print(f"done in {(time.time() - started) / 60:.1f} min", flush=True)


if __name__ == "__main__":
    main()
