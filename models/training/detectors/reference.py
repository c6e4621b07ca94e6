"""A finished package judged by onnxruntime behind the reference preprocessing: what the pod must come to, without the pod."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import yaml
from PIL import Image

from detectors import sound_reading, sources, windows
from detectors.calibration import calibrated
from detectors.judged import Judged, NotJudged

GRAPH = "classifier"
KERNELS = {
    "nearest": Image.Resampling.NEAREST, "linear": Image.Resampling.BILINEAR, "cubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}
Reader = Callable[[Path], np.ndarray]


class PackageError(ValueError):
    """A package that cannot be judged with here; the message says why and what can be done."""


def reader_of(pipeline: dict) -> Reader:
    """How the package's family makes a file into the items of a batch. PackageError for families that have no reference here."""
    match pipeline["type"]:
        case "image-residual":
            per_axis = round(pipeline["tiles"] ** 0.5)
            return lambda path: windows.tiles(sources.image(path), pipeline["crop"], per_axis, pipeline["minSide"])
        case "audio-spectrogram":
            expected = {
                "sampleRate": windows.SAMPLE_RATE, "windowSeconds": windows.WINDOW / windows.SAMPLE_RATE,
                "hopSeconds": windows.HOP / windows.SAMPLE_RATE, "minSeconds": windows.MIN_SECONDS, "maxSeconds": windows.MAX_SECONDS,
            }
            other = {name: pipeline[name] for name, value in expected.items() if pipeline[name] != value}
            if other:
                raise PackageError(f"windows.py cuts sound by {expected}; the package wants {other}: score it with --pod URL")
            return lambda path: windows.windows(sources.audio(path))
        case "audio-waveform" | "audio-features":
            if reason := sound_reading.unknown_here(pipeline):
                raise PackageError(f"{reason}: score it with --pod URL")
            return lambda path: sound_reading.items(sources.audio(path), pipeline)
        case "image-classifier":
            if pipeline["kernel"] not in KERNELS:
                raise PackageError(f"the kernel {pipeline['kernel']} has no reference here, only {', '.join(KERNELS)}: score it with --pod URL")
            return lambda path: whole(sources.image(path), pipeline)
    raise PackageError(f"the family {pipeline['type']} has no reference preprocessing here: score it with --pod URL")


def whole(pixels: np.ndarray, pipeline: dict) -> np.ndarray:
    """uint8 [H, W, 3] -> float32 [1, ...] as `image-classifier` wants it. Always decoded in full, whatever `decode` says.

    Pillow's filters are not libvips': golden scores tell whether that matters to the graph.
    """
    if min(pixels.shape[:2]) < pipeline["minSide"]:
        raise ValueError(f"the shorter side is {min(pixels.shape[:2])} px, at least {pipeline['minSide']} px are needed")
    image, kernel = Image.fromarray(pixels), KERNELS[pipeline["kernel"]]
    width, height = pipeline["size"]["width"], pipeline["size"]["height"]
    if pipeline["fit"] == "stretch":
        made = image.resize((width, height), kernel)
    else:
        pick = max if pipeline["fit"] == "cover-center" else min
        scale = pick(width / image.width, height / image.height)
        inner = image.resize([max(1, round(side * scale)) for side in image.size], kernel)
        made = Image.new("RGB", (width, height))
        made.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
    values = np.asarray(made, np.float32)[:, :, :: 1 if pipeline["channels"] == "rgb" else -1]
    values = (pipeline["scale"] * values - np.array(pipeline["mean"])) / np.array(pipeline["std"])
    return (values.transpose(2, 0, 1) if pipeline["layout"] == "nchw" else values)[None].astype(np.float32)


def logits_of(rows: np.ndarray, output: dict) -> np.ndarray:
    """[N, ...] of a graph -> [N], above zero where it is fake."""
    rows, index = rows.reshape(len(rows), -1).astype(float), output.get("index", 0)
    value = rows[:, index]
    match output["activation"]:
        case "softmax":
            value = value - np.logaddexp.reduce(np.delete(rows, index, 1), 1)
        case "none":
            kept = np.clip(value, 1e-7, 1 - 1e-7)
            value = np.log(kept / (1 - kept))
    return value if output["positive"] == "fake" else -value


class ReferenceScorer:
    """Opens a package after checking its graph's digest and reproducing its golden scores."""

    how = "onnxruntime behind the reference preprocessing"

    def __init__(self, folder: Path) -> None:
        self.manifest = manifest_of(folder)
        graph = self.manifest["graphs"][GRAPH]
        path = folder / graph["file"]
        if hashlib.sha256(path.read_bytes()).hexdigest() != graph["sha256"]:
            raise PackageError(f"{path} is not what model.yaml pins")
        self.read = reader_of(self.manifest["pipeline"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.graph = graph
        for golden in self.manifest["golden"]:
            score = self.judge(folder / golden["file"]).score
            if abs(score - golden["score"]) > golden["tolerance"]:
                raise PackageError(
                    f"{folder / golden['file']}: {score:.4f} here and {golden['score']} in model.yaml, more than {golden['tolerance']} apart, "
                    "so this is not the preprocessing that the package was made with: score it with --pod URL"
                )

    def judge(self, path: Path) -> Judged:
        """NotJudged where there is too little to judge or the file cannot be decoded."""
        try:
            batch = self.read(path)
        except (ValueError, OSError) as error:
            raise NotJudged(str(error).split("\n")[0]) from error
        except subprocess.CalledProcessError as error:
            raise NotJudged("ffmpeg cannot decode it") from error
        rows = self.session.run([self.graph["output"]], {self.graph["input"]: batch})[0]
        logit = float(logits_of(rows, self.manifest["output"]).mean())
        return Judged(float(calibrated(np.array([logit]), self.manifest["calibration"])[0]), logit)


def manifest_of(folder: Path) -> dict:
    path = folder / "model.yaml"
    if not path.is_file():
        raise PackageError(f"{folder}: is no package, it has no model.yaml")
    manifest = yaml.safe_load(path.read_text())
    if not isinstance(manifest, dict) or manifest.get("formatVersion") != 1:
        raise PackageError(f"{path}: is no manifest of format version 1")
    return manifest
