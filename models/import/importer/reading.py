"""The reference preprocessing: media to what a graph takes. Golden scores hold the pod to it.

Faces are found by the pod alone, and frames of videos are chosen by it: `parts_of` knows the families whose rules are written here.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from importer.errors import ImportRefused

READ_HERE = ("image-classifier", "audio-waveform")
KERNELS = {"nearest": "NEAREST", "linear": "BILINEAR", "cubic": "BICUBIC", "lanczos3": "LANCZOS"}


def parts_of(path: Path, pipeline: dict[str, Any]) -> np.ndarray:
    """float32 [parts, ...] of one file. Raises ImportRefused where the file cannot be read."""
    if not path.is_file():
        raise ImportRefused(f"{path}: there is no such file")
    if pipeline["type"] == "image-classifier":
        return image(path, pipeline)
    if pipeline["type"] == "audio-waveform":
        samples = decoded(path, pipeline["sampleRate"])[: round(pipeline["maxSeconds"] * pipeline["sampleRate"])]
        if samples.size < pipeline["minSeconds"] * pipeline["sampleRate"]:
            raise ImportRefused(f"{path}: {samples.size / pipeline['sampleRate']:.2f} s of sound; a golden file needs {pipeline['minSeconds']} s at least")
        return windows(samples, pipeline["windowSamples"], round(pipeline["hopSeconds"] * pipeline["sampleRate"]), pipeline["shortSound"])
    raise ImportRefused(f"a golden file of {pipeline['type']} can only be read by the pod")


def image(path: Path, pipeline: dict[str, Any]) -> np.ndarray:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ImportRefused(f"{path}: not a whole image: {error}") from error
    size = (pipeline["size"]["width"], pipeline["size"]["height"])
    if picture.size != size:
        if pipeline["kernel"] not in KERNELS:
            raise ImportRefused(f"{path}: Pillow has no kernel {pipeline['kernel']}; use a golden image of exactly {size[0]} x {size[1]} px")
        kernel = Image.Resampling[KERNELS[pipeline["kernel"]]]
        resize = {"stretch": Image.Image.resize, "cover-center": ImageOps.fit, "contain-pad": ImageOps.pad}[pipeline["fit"]]
        picture = resize(picture, size, kernel)
    return normalised(np.asarray(picture), pipeline)[None]


def normalised(pixels: np.ndarray, pipeline: dict[str, Any]) -> np.ndarray:
    """uint8 [h, w, 3] RGB to float32 in the channels, layout and numbers that the graph takes."""
    ordered = pixels if pipeline["channels"] == "rgb" else pixels[:, :, ::-1]
    values = (ordered.astype(np.float64) * pipeline["scale"] - pipeline["mean"]) / pipeline["std"]
    return (values if pipeline["layout"] == "nhwc" else values.transpose(2, 0, 1)).astype(np.float32)


def decoded(path: Path, rate: int) -> np.ndarray:
    """float32 mono samples, by ffmpeg."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vn", "-ac", "1", "-ar", str(rate), "-f", "f32le", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout:
        raise ImportRefused(f"{path}: ffmpeg finds no whole sound: {done.stderr.decode(errors='replace').strip().splitlines()[-1:] or 'it is empty'}")
    return np.frombuffer(done.stdout, np.float32)


def windows(samples: np.ndarray, length: int, hop: int, short: str) -> np.ndarray:
    """float32 [n, length]: a window every `hop` samples, and one that ends where the sound ends; what is shorter is repeated or filled with zeros."""
    if samples.size < length:
        filled = np.tile(samples, -(-length // samples.size))[:length] if short == "repeat" else np.pad(samples, (0, length - samples.size))
        return filled[None].astype(np.float32)
    starts = [*range(0, samples.size - length, hop), samples.size - length]
    return np.stack([samples[start : start + length] for start in starts]).astype(np.float32)
