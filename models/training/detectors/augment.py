"""What happens to media between its maker and an upload, one pure step each: training draws from these, robustness is measured with them.

Pictures are uint8 [H, W, 3] RGB, clips of frames [N, H, W, 3], sound float32 [T] at 16 kHz in -1..1. Whatever is random takes the
generator that draws it; codecs give the same bytes for the same input on the same ffmpeg.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy import signal

from detectors.windows import SAMPLE_RATE


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """The picture after one JPEG of that quality (1..95, Pillow's subsampling 4:2:0)."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


def resized(image: Image.Image, scale: float, method: Image.Resampling = Image.Resampling.BOX) -> Image.Image:
    """Both sides times `scale`, at least one pixel."""
    return image.resize([max(1, round(side * scale)) for side in image.size], method)


def blurred(image: Image.Image, radius: float) -> Image.Image:
    """Gaussian blur; `radius` is its standard deviation in pixels."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def grainy(image: Image.Image, deviation: float, rng: np.random.Generator) -> Image.Image:
    """Grey Gaussian noise of that standard deviation, in steps of 0..255."""
    noisy = np.asarray(image, np.float32) + rng.normal(0, deviation, (image.height, image.width, 1))
    return Image.fromarray(np.clip(noisy + 0.5, 0, 255).astype(np.uint8))


def h264(frames: np.ndarray, crf: int, rate: int = 25) -> np.ndarray:
    """The clip after x264 at that constant rate factor (0..51), 4:2:0 as players want it; odd sides lose their last row or column."""
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 [N, H, W, 3], not {frames.dtype} {frames.shape}")
    even = np.ascontiguousarray(frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2])
    count, height, width = even.shape[:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate)]
    with tempfile.TemporaryDirectory() as folder:
        coded = str(Path(folder) / "clip.mp4")
        ffmpeg([*raw, "-i", "-", "-c:v", "libx264", "-crf", str(crf), "-pix_fmt", "yuv420p", "-threads", "1", coded], even.tobytes())
        decoded = ffmpeg(["-i", coded, "-f", "rawvideo", "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-"])
    found = np.frombuffer(decoded, np.uint8).reshape(-1, height, width, 3)
    if len(found) != count:
        raise RuntimeError(f"the encoder gave {len(found)} frames for {count}")
    return found


# What ffmpeg writes, and what it has to be told to read it again.
CODECS: dict[str, tuple[list[str], list[str]]] = {
    "g722": (["-c:a", "g722", "-f", "g722"], ["-f", "g722"]),
    "mp3": (["-c:a", "libmp3lame", "-b:a", "48k", "-f", "mp3"], []),
    "opus": (["-c:a", "libopus", "-b:a", "24k", "-f", "ogg"], []),
    "vorbis": (["-c:a", "libvorbis", "-q:a", "2", "-f", "ogg"], []),
    "mp3-64k": (["-c:a", "libmp3lame", "-b:a", "64k", "-f", "mp3"], []),
    "opus-16k": (["-c:a", "libopus", "-b:a", "16k", "-f", "ogg"], []),
}


def to_int16(samples: np.ndarray) -> np.ndarray:
    return (np.clip(samples, -1, 1) * 32_767).round().astype(np.int16)


def transcoded(pool: np.ndarray, codec: str) -> np.ndarray:
    """int16 of any shape after one codec of `CODECS`, in one ffmpeg pass over all of it."""
    encode, read = CODECS[codec]
    with tempfile.TemporaryDirectory() as folder:
        coded = str(Path(folder) / "coded")
        ffmpeg(["-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1", "-i", "-", *encode, coded], pool.tobytes())
        sound = np.frombuffer(ffmpeg([*read, "-i", coded, "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "f32le", "-"]), np.float32)
    decoded = to_int16(sound)
    return np.pad(decoded, (0, max(0, pool.size - decoded.size)))[: pool.size].reshape(pool.shape)


def coded(samples: np.ndarray, codec: str) -> np.ndarray:
    return transcoded(to_int16(samples), codec).astype(np.float32) / 32_767


def low_passed(samples: np.ndarray, cut: float) -> np.ndarray:
    """Butterworth of sixth order; `cut` in Hz."""
    return signal.sosfilt(signal.butter(6, cut, fs=SAMPLE_RATE, output="sos"), samples)


def telephone(samples: np.ndarray) -> np.ndarray:
    """A narrow-band call: 300 to 3400 Hz by way of 8 kHz, as AMR carries it. Its speech model is not imitated."""
    narrow = signal.resample_poly(samples, 1, 2)
    narrow = signal.sosfilt(signal.butter(4, (300, 3400), "bandpass", fs=SAMPLE_RATE // 2, output="sos"), narrow)
    return signal.resample_poly(narrow, 2, 1)[: samples.size].astype(np.float32)


def with_noise(samples: np.ndarray, noise: np.ndarray, decibels: float) -> np.ndarray:
    """`noise` of unit power added that many dB below the sound."""
    level = np.sqrt(np.mean(samples**2)) * 10 ** (-decibels / 20)
    return samples + level * noise


def reverberant(samples: np.ndarray, seconds: float, rng: np.random.Generator, direct_decibels: float = 5.0) -> np.ndarray:
    """The sound in a made-up room: noise that falls by 60 dB in `seconds`, after the direct sound, which is `direct_decibels` above all of it."""
    length = round(seconds * SAMPLE_RATE)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[0] = 0
    tail *= 10 ** (-direct_decibels / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    wet = signal.fftconvolve(samples, tail)[: samples.size]
    return (wet * (np.abs(samples).max() / (np.abs(wet).max() + 1e-9))).astype(np.float32)


ImageStep = Callable[[np.ndarray, np.random.Generator], np.ndarray]
SoundStep = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def on_image(step: Callable[[Image.Image], Image.Image]) -> ImageStep:
    return lambda pixels, rng: np.asarray(step(Image.fromarray(pixels)))


# The grids of a robustness measurement. Every step is applied to both classes.
IMAGE_GRID: dict[str, ImageStep] = {
    **{f"JPEG {quality}": on_image(lambda image, quality=quality: jpeg(image, quality)) for quality in (95, 75, 50, 30)},
    **{f"resize {scale:g}": on_image(lambda image, scale=scale: resized(image, scale)) for scale in (0.5, 0.25)},
    "blur 1 px": on_image(lambda image: blurred(image, 1.0)),
}
SOUND_GRID: dict[str, SoundStep] = {
    "Opus 16 kbit/s": lambda samples, rng: coded(samples, "opus-16k"),
    "MP3 64 kbit/s": lambda samples, rng: coded(samples, "mp3-64k"),
    "8 kHz band-pass": lambda samples, rng: telephone(samples),
    "noise 10 dB": lambda samples, rng: with_noise(samples, rng.standard_normal(samples.size), 10).astype(np.float32),
    "reverberation 0.5 s": lambda samples, rng: reverberant(samples, 0.5, rng),
}


def ffmpeg(arguments: Sequence[str], data: bytes | None = None) -> bytes:
    """Standard output of ffmpeg; RuntimeError with its last words where it fails."""
    command = ["ffmpeg", "-v", "error", "-y", *([] if data is not None else ["-nostdin"]), *arguments]
    done = subprocess.run(command, input=data, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()[-400:]}")
    return done.stdout
