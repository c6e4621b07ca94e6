"""Trains, evaluates and packages `video-frames-cnn`: every frame by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from detectors import package, pod_tensors, trainer, video_command, video_golden, video_media, video_package
from detectors.trainer import Batch, Config, Task
from detectors.video_command import PIXELS, Texts
from detectors.video_media import Made
from detectors.video_nets import FrameEncoder, FrameHead, FrameNet
from detectors.video_temporal import TRAINED, drawn_clips, encoder_of, features_of, ranked

NAME = "video-frames-cnn"
SEED = 20_311
SIDE = 112
FRAMES = 64
PIPELINE = {
    "type": "video-frames", "sampling": {"mode": "uniform", "frames": 16},
    "frame": {"width": SIDE, "height": SIDE, "fit": "cover", "interpolation": "area"}, "pixels": PIXELS,
    "keyframesOnly": False, "minFrames": 4, "aggregation": "mean-logit",
}
HEAD = {
    "name": NAME, "version": "0.1.0", "modality": "video",
    "description": "Looks at single frames of a portrait video for faces that were blended in.",
}
CARD = {
    "intendedUse": "Shows the path from a video to a calibrated verdict with a score for each frame; a first hint on faces that were blended in. Not evidence.",
    "limitations": "Learnt from {learning} people and from fakes made by rules, at a size at which seams are hardly to be seen. It knows portraits alone; what "
    "current face swaps and generators of whole videos do is not known to it.",
    "trainingData": TRAINED[0].upper() + TRAINED[1:],
}
TEXTS = Texts(
    "video-frames",
    f"Sixteen frames from the middles of equal parts of the video, whole, at {SIDE} x {SIDE} px, each by itself: the encoder of video-temporal-gru, as it "
    "was trained there, with a small head of its own. The video's logit is the mean.",
    "It has no full-size counterpart among the architectures of models/import; a SigLIP encoder alone has 93 M parameters.",
    TRAINED,
    [
        "Faces that were generated or swapped by neural networks: nothing of that kind was trained on or measured.",
        "What only shows over time: each frame stands for itself.",
        "Small faces: training shows faces of about two fifths of the picture's side.",
    ],
)


def frames_of(files: Sequence[Made]) -> list[np.ndarray]:
    """uint8 [T, 3, 112, 112] of each file, as the pod's graph takes them."""
    return [given.tensors["classifier"] for given in pod_tensors.given([file.path for file in files], pipeline=PIPELINE)]


def logits_of(files: Sequence[Made], session: video_package.Session) -> np.ndarray:
    return np.array([float(session(frames.astype(np.float32)).mean()) if len(frames) >= PIPELINE["minFrames"] else np.nan for frames in frames_of(files)])


def task_of(learning: Sequence[Made], stopping: Sequence[Made], encoder: FrameEncoder) -> Task:
    """Of the head alone, on features of single frames."""
    known, held = ([features[0] for features in features_of(frames_of(files), encoder)] for files in (learning, stopping))
    drawn, people = drawn_clips(learning), sorted({file.person for file in learning})

    def batch(step: int, rng: np.random.Generator) -> Batch:
        who = [video_command.drawn(people, rng) for _ in range(FRAMES // 2)]
        clips = [known[drawn(person, label, rng)] for label in (0, 1) for person in who]
        made = np.stack([clip[int(rng.integers(len(clip)))] for clip in clips])
        return {"features": torch.from_numpy(made), "labels": torch.from_numpy(np.repeat([0.0, 1.0], FRAMES // 2).astype(np.float32))}

    def loss(net: nn.Module, made: Batch) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(net(made["features"])[:, 0], made["labels"] * 0.94 + 0.03)

    torch.manual_seed(SEED)
    return Task(FrameHead(), batch, loss, lambda net: ranked([float(net(torch.from_numpy(part)).mean()) for part in held], stopping), "AUC")


def main() -> None:
    options = video_command.parser("video-frames", 600).parse_args()
    started = time.time()
    folder = video_command.folder_of(NAME, options)
    who = video_command.people(options)
    calibration = video_media.files(who.calibration, video_media.FACES_SEEN, video_media.REALS)
    test = video_media.files(who.test, {**video_media.FACES_SEEN, **video_media.faces_unseen(who.test)}, video_media.REALS)
    if not options.no_train:
        encoder = encoder_of(options)
        learning = video_media.files(who.learning, video_media.FACES_SEEN, video_media.REALS, 2)
        stopping = video_media.files(who.stopping, video_media.FACES_SEEN, video_media.REALS, 2)
        task = task_of(learning, stopping, encoder)
        config = Config(SEED, options.steps, 2e-3, weight_decay=1e-2, evaluate_every=100, patience=4, task={"name": NAME})
        print(f"training on {len(learning)} files, {time.time() - started:.0f} s", flush=True)
        outcome = trainer.train(task, config.for_debug() if options.debug else config, video_command.run_of(NAME, options))
        print(f"best of step {outcome.best_step}: {outcome.best}; ended at {outcome.last_step}, {time.time() - started:.0f} s", flush=True)
        net = FrameNet()
        net.encoder, net.head = encoder, task.net.cpu()
        example = frames_of(calibration[:1])[0][:8].astype(np.float32)
        video_package.export(video_package.Graph(net, {"frames": example}, "logit"), folder / "classifier.onnx")
    session = video_package.Session(folder / "classifier.onnx")
    fit = package.calibrate(video_command.judged(calibration, logits_of(calibration, session)))
    print(f"calibration: {fit}", flush=True)
    rows = video_command.evaluation(test, logits_of(test, session), fit, list(video_media.faces_unseen(who.test)))
    golden = video_golden.files(NAME, {"real": video_media.plain, "fake": video_media.FACES_SEEN["blend-independent"]})
    graphs = {"classifier": (("frames",), "logit")}
    video_command.finish(folder, HEAD, PIPELINE, graphs, fit, CARD, rows, TEXTS, video_command.parameters_of(FrameNet()), golden, who)
    print(f"done in {(time.time() - started) / 60:.1f} min", flush=True)


if __name__ == "__main__":
    main()
