"""What a file says without its content. A detector is only as good as it is better than a linear classifier on these."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from detectors import datasets, sources


def of_image(path: Path) -> list[float]:
    """Bytes (log), width, height, bytes for a pixel, JPEG or PNG or another, mean of the JPEG's first quantisation table."""
    size = path.stat().st_size
    with Image.open(path) as image:
        tables = getattr(image, "quantization", None) or {}
        first = float(np.mean(tables[0])) if 0 in tables else 0.0
        return [np.log(size), image.width, image.height, size / (image.width * image.height), image.format == "JPEG", image.format == "PNG", first]


def of_sound(path: Path) -> list[float]:
    """Bytes (log), rate, channels, bit rate (log), length, then the decoded sound's level, loudness and share of silence."""
    probe = probed(path, "a:0")
    clip = sources.audio(path)
    return [*probe, *levels(clip)] if clip.size >= 320 else [*probe, 0.0, 0.0, 1.0]


def levels(clip: np.ndarray) -> list[float]:
    frames = np.abs(clip[: clip.size // 320 * 320].reshape(-1, 320)).max(1)
    return [float(np.abs(clip).max()), float(np.sqrt(np.mean(clip**2))), float((frames < frames.max() * 10 ** (-50 / 20)).mean())]


def of_video(path: Path) -> list[float]:
    return probed(path, "v:0")


def probed(path: Path, stream: str) -> list[float]:
    fields = "stream=sample_rate,channels,width,height,avg_frame_rate:format=duration,bit_rate,size"
    command = ["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", fields, "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    streams, container = (found.get("streams") or [{}])[0], found.get("format", {})
    frames, _, seconds = str(streams.get("avg_frame_rate", "0/1")).partition("/")
    rate = float(frames) / float(seconds) if float(seconds or 0) else 0.0
    numbers = [float(container.get(name) or 0) for name in ("size", "bit_rate", "duration")]
    numbers[:2] = np.log1p(numbers[:2]).tolist()
    return [*numbers, *(float(streams.get(name) or 0) for name in ("sample_rate", "channels", "width", "height")), rate]


READERS = {**dict.fromkeys(datasets.IMAGES, of_image), **dict.fromkeys(datasets.SOUNDS, of_sound), **dict.fromkeys(datasets.VIDEOS, of_video)}


def of_file(path: Path) -> list[float]:
    return [float(value) for value in READERS[path.suffix.lower()](path)]
