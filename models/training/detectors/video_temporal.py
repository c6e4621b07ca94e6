"""Trains, evaluates and packages `video-temporal-gru`: an encoder of frames and a head that sees how they follow each other."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from detectors import metrics, package, pod_tensors, trainer, video_command, video_golden, video_media, video_package
from detectors.trainer import Batch, Config, Task
from detectors.video_command import PIXELS, Texts
from detectors.video_media import Made
from detectors.video_nets import FrameEncoder, PairNet, TemporalHead

NAME = "video-temporal-gru"
SEED = 20_281
SIDE = 112
FRAMES = 36
SEQUENCE = 12
PAIRS = 24
SEQUENCES = 64
PIPELINE = {
    "type": "video-temporal", "sampling": {"mode": "uniform", "frames": FRAMES},
    "frame": {"width": SIDE, "height": SIDE, "fit": "cover", "interpolation": "area"}, "pixels": PIXELS,
    "sequence": SEQUENCE, "windows": 6, "rollingWindows": 3, "minFrames": 6,
}
GRAPHS = {"encoder": (("frames",), "features"), "classifier": (("features",), "logit")}
HEAD = {
    "name": NAME, "version": "0.1.0", "modality": "video",
    "description": "Watches a portrait video for faces that do not go on from frame to frame as the rest of the picture does.",
}
TRAINED = (
    "clips of {learning} people, and {stopping} more who decided when to stop (LivePortrait's examples, MIT; listed in "
    "models/training/media-sources.json), cut around the face, and fakes made of the same clips: the person's own face blended in anew in every frame (by one blend that jitters, or another one each time) and faces whose colours flicker. "
    "Both classes pass the same encoder; reals include pictures whose light changes as a whole. Calibrated on {calibration} other people, tested on {test} others."
)
CARD = {
    "intendedUse": "Shows the path from a video to a calibrated verdict with a timeline; a first hint on faces that flicker. Not evidence.",
    "limitations": "Learnt from {learning} people and from fakes made by rules. It knows portraits, of three seconds above all; what current face swaps and "
    "generators of whole videos do is not known to it, and cuts or flashing light may count against a real video.",
    "trainingData": TRAINED[0].upper() + TRAINED[1:],
}
TEXTS = Texts(
    "video-temporal",
    f"{FRAMES} frames of the video, whole, at {SIDE} x {SIDE} px. Each goes through a small encoder once: mean colours and fine detail of 7 x 7 places, "
    "and what a convolutional net learnt to say of them, after the picture's own mean colour and contrast are taken out. "
    f"A GRU follows {SEQUENCE} of them and "
    "what changed between neighbours. Trained with a penalty on scores that jump between neighbouring frames.",
    "Its full-size counterpart of this family is SigLIP-LSTM (105 M parameters, models/import).",
    TRAINED,
    [
        "Faces that were generated or swapped by neural networks: nothing of that kind was trained on or measured.",
        "Fakes that are the same in every frame: the head looks for change.",
        "Small faces: training shows faces of about two fifths of the picture's side.",
    ],
)


def clips_of(files: Sequence[Made]) -> list[np.ndarray]:
    """uint8 [T, 3, 112, 112] of each file, as the pod's encoder takes them."""
    return [given.tensors["encoder"] for given in pod_tensors.given([file.path for file in files], pipeline=PIPELINE)]


def loss_of(steps: torch.Tensor, labels: torch.Tensor, consistency: float) -> torch.Tensor:
    """Of logits [n, T] and labels [n]: cross entropy of what the head says of each clip, and the penalty on steps between neighbours."""
    said = steps[:, steps.shape[1] // 4 :].mean(1)
    loss = F.binary_cross_entropy_with_logits(said, labels * 0.94 + 0.03)
    if consistency > 0:
        tracks = torch.arange(len(steps)).repeat_interleave(steps.shape[1])
        loss = loss + consistency * trainer.temporal_consistency(steps.flatten(), tracks)
    return loss


def augmented(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same mirror, shift, light and colour for all frames, which say nothing of what follows what."""
    out = clip.astype(np.float32)
    if rng.random() < 0.5:
        out = out[..., ::-1]
    out = np.roll(out, tuple(rng.integers(-6, 7, 2)), (2, 3))
    out = (out - 128) * float(rng.uniform(0.8, 1.2)) + 128 + float(rng.uniform(-20, 20)) + rng.normal(0, 6, (1, 3, 1, 1))
    return np.clip(out, 0, 255).astype(np.float32)


def chosen_frames(count: int, rng: np.random.Generator) -> np.ndarray:
    """SEQUENCE frames in order, one to three apart; the first stands for what a short clip lacks."""
    stride = int(rng.integers(1, 4))
    while stride > 1 and (SEQUENCE - 1) * stride >= count:
        stride -= 1
    start = int(rng.integers(0, max(1, count - (SEQUENCE - 1) * stride)))
    places = start + stride * np.arange(SEQUENCE)
    return np.where(places < count, places, 0)


def drawn_clips(files: Sequence[Made]) -> Callable[[str, int, np.random.Generator], int]:
    """A function that draws a file of a person and a label, kinds of fakes evenly."""
    pools: dict[tuple[str, int], dict[str, list[int]]] = {}
    for index, file in enumerate(files):
        pools.setdefault((file.person, file.label), {}).setdefault(file.kind, []).append(index)

    def drawn(person: str, label: int, rng: np.random.Generator) -> int:
        kinds = pools[person, label]
        return video_command.drawn(kinds[video_command.drawn(sorted(kinds), rng)], rng)

    return drawn


def encoder_task(learning: Sequence[Made], clips: Sequence[np.ndarray], stopping: Sequence[Made], held: Sequence[np.ndarray]) -> Task:
    """Pairs of frames, one to three apart, of the same people real and fake."""
    drawn, people = drawn_clips(learning), sorted({file.person for file in learning})

    def one(person: str, label: int, rng: np.random.Generator) -> np.ndarray:
        clip = clips[drawn(person, label, rng)]
        apart = int(rng.integers(1, 4))
        at = int(rng.integers(0, len(clip) - apart))
        return augmented(clip[[at, at + apart]], rng)

    def batch(step: int, rng: np.random.Generator) -> Batch:
        who = [video_command.drawn(people, rng) for _ in range(PAIRS // 2)]
        made = np.stack([one(person, label, rng) for label in (0, 1) for person in who])
        return {"pairs": torch.from_numpy(made), "labels": torch.from_numpy(np.repeat([0.0, 1.0], PAIRS // 2).astype(np.float32))}

    def loss(net: nn.Module, made: Batch) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(net(made["pairs"])[:, 0], made["labels"] * 0.94 + 0.03)

    def validate(net: nn.Module) -> dict[str, float]:
        places = np.stack([whole(FRAMES)[:-1:2], whole(FRAMES)[:-1:2] + 1], 1)
        return ranked([float(net(torch.from_numpy(clip[np.minimum(places, len(clip) - 1)].astype(np.float32))).mean()) for clip in held], stopping)

    torch.manual_seed(SEED)
    return Task(PairNet(), batch, loss, validate, "AUC")


def head_task(learning: Sequence[Made], features: Sequence[np.ndarray], stopping: Sequence[Made], held: Sequence[np.ndarray], consistency: float) -> Task:
    """Sequences of features; those of mirrored frames are drawn as often."""
    drawn, people = drawn_clips(learning), sorted({file.person for file in learning})

    def one(person: str, label: int, rng: np.random.Generator) -> np.ndarray:
        chosen = features[drawn(person, label, rng)][int(rng.integers(2))]
        return chosen[chosen_frames(len(chosen), rng)]

    def batch(step: int, rng: np.random.Generator) -> Batch:
        who = [video_command.drawn(people, rng) for _ in range(SEQUENCES // 2)]
        made = np.stack([one(person, label, rng) for label in (0, 1) for person in who])
        return {"features": torch.from_numpy(made), "labels": torch.from_numpy(np.repeat([0.0, 1.0], SEQUENCES // 2).astype(np.float32))}

    def validate(net: nn.Module) -> dict[str, float]:
        return ranked([float(net(torch.from_numpy(clip[0][whole(len(clip[0]))][None]))) for clip in held], stopping)

    torch.manual_seed(SEED + 1)
    return Task(TemporalHead(), batch, lambda net, made: loss_of(net.steps(made["features"]), made["labels"], consistency), validate, "AUC")


def ranked(logits: Sequence[float], files: Sequence[Made]) -> dict[str, float]:
    return {"AUC": metrics.macro_paired_auc(np.array(logits), np.array([file.label for file in files]), np.array([file.person for file in files]))}


def features_of(clips: Sequence[np.ndarray], encoder: nn.Module) -> list[np.ndarray]:
    """float32 [2, T, 392] of each clip: as it is, and mirrored."""
    out = []
    with torch.no_grad():
        for clip in clips:
            frames = torch.from_numpy(clip.astype(np.float32))
            out.append(np.stack([encoder(frames).numpy(), encoder(frames.flip(3)).numpy()]))
    return out


def whole(count: int) -> np.ndarray:
    """As the pod's `clipIndices`: spread over all frames, or filled up with the first."""
    if count >= SEQUENCE:
        return np.linspace(0, count - 1, SEQUENCE, dtype=int)
    return np.where(np.arange(SEQUENCE) < count, np.arange(SEQUENCE), 0)


def logits_of(files: Sequence[Made], encoder: video_package.Session, head: video_package.Session) -> np.ndarray:
    """Of the whole clip, which is the verdict; nan for a clip of too few frames."""
    out = []
    for clip in clips_of(files):
        if len(clip) < PIPELINE["minFrames"]:
            out.append(np.nan)
            continue
        features = encoder(clip.astype(np.float32))
        out.append(float(head(features[whole(len(clip))][None])[0, 0]))
    return np.array(out)


def encoder_of(options: argparse.Namespace) -> FrameEncoder:
    """The encoder that the last training left. SystemExit where there was none."""
    kept = video_command.run_of(f"{NAME}-encoder", options) / "best.pt"
    if not kept.exists():
        raise SystemExit(f"{kept}: is not there; models/training/run video-temporal makes it")
    net = PairNet()
    net.load_state_dict(torch.load(kept)["net"])
    return net.encoder.eval()


def trained(options: argparse.Namespace, learning: Sequence[Made], stopping: Sequence[Made], folder: Path, started: float) -> None:
    """Leaves both graphs in the folder: first the encoder, then the head on what it says of all frames."""
    configs = [
        Config(SEED, options.steps, 2e-3, weight_decay=1e-2, evaluate_every=60, patience=4, task={"name": f"{NAME}-encoder"}),
        Config(SEED + 1, 600, 2e-3, weight_decay=1e-2, evaluate_every=50, patience=5, task={"name": f"{NAME}-head", "consistency": options.consistency}),
    ]
    configs = [config.for_debug() if options.debug else config for config in configs]
    clips, held = clips_of(learning), clips_of(stopping)
    print(f"training on {len(clips)} files, {time.time() - started:.0f} s", flush=True)
    task = encoder_task(learning, clips, stopping, held)
    outcome = trainer.train(task, configs[0], video_command.run_of(f"{NAME}-encoder", options))
    print(f"encoder: best of step {outcome.best_step}: {outcome.best}; ended at {outcome.last_step}, {time.time() - started:.0f} s", flush=True)
    encoder = task.net.cpu().eval().encoder
    features, held_features = features_of(clips, encoder), features_of(held, encoder)
    task = head_task(learning, features, stopping, held_features, options.consistency)
    outcome = trainer.train(task, configs[1], video_command.run_of(f"{NAME}-head", options))
    print(f"head: best of step {outcome.best_step}: {outcome.best}; ended at {outcome.last_step}, {time.time() - started:.0f} s", flush=True)
    windows = np.stack([held_features[0][0][start : start + SEQUENCE] for start in (0, 8, 16)])
    video_package.export(video_package.Graph(encoder, {"frames": held[0][:8].astype(np.float32)}, "features"), folder / "encoder.onnx")
    video_package.export(video_package.Graph(task.net.cpu(), {"features": windows}, "logit"), folder / "classifier.onnx")


def main() -> None:
    parser = video_command.parser("video-temporal", 240)
    parser.add_argument("--consistency", type=float, default=0.02, help="weight of the penalty on scores that jump between neighbouring frames; 0 leaves it out")
    options = parser.parse_args()
    started = time.time()
    folder = video_command.folder_of(NAME, options)
    who = video_command.people(options)
    calibration = video_media.files(who.calibration, video_media.FACES_SEEN, video_media.REALS)
    test = video_media.files(who.test, {**video_media.FACES_SEEN, **video_media.faces_unseen(who.test)}, video_media.REALS)
    if not options.no_train:
        learning = video_media.files(who.learning, video_media.FACES_SEEN, video_media.REALS, 2)
        stopping = video_media.files(who.stopping, video_media.FACES_SEEN, video_media.REALS, 2)
        trained(options, learning, stopping, folder, started)
    sessions = video_package.Session(folder / "encoder.onnx"), video_package.Session(folder / "classifier.onnx")
    fit = package.calibrate(video_command.judged(calibration, logits_of(calibration, *sessions)))
    print(f"calibration: {fit}", flush=True)
    unseen = list(video_media.faces_unseen(who.test))
    rows = video_command.evaluation(test, logits_of(test, *sessions), fit, unseen)
    golden = video_golden.files(NAME, {"real": video_media.plain, "fake": video_media.FACES_SEEN["blend-flicker"]})
    video_command.finish(folder, HEAD, PIPELINE, GRAPHS, fit, CARD, rows, TEXTS, video_command.parameters_of(FrameEncoder(), TemporalHead()), golden, who)
    print(f"done in {(time.time() - started) / 60:.1f} min", flush=True)


if __name__ == "__main__":
    main()
