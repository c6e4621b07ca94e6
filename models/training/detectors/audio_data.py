"""Voices, their split by speaker, and the chain that both classes pass on their way to the detector."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import signal

from detectors import sources
from detectors.augment import low_passed, to_int16, transcoded, with_noise
from detectors.windows import SAMPLE_RATE, WINDOW, trim

UTTERANCE = 3 * SAMPLE_RATE

# A language is one speaker or a few in the two KDE packages; it goes to one split in both, so no speaker is on two sides.
TEST_LANGUAGES = {"da", "de", "uk", "nl", "sl", "hu"}
CALIBRATION_LANGUAGES = {"fr", "cs", "lt", "gl", "nds", "he"}
CODECS = ("g722", "mp3", "opus", "vorbis")


@dataclass(frozen=True)
class Speaker:
    name: str
    split: str
    files: tuple[Path, ...]
    most: int


def speakers() -> list[Speaker]:
    """Every natural voice, in a fixed order."""
    media = sources.fetch()
    found = []
    for name, code, split in (
        ("asterisk-en", "en", "train"), ("asterisk-es", "es", "train"), ("asterisk-it", "it", "train"),
        ("asterisk-fr", "fr", "calibration"), ("asterisk-ru", "ru", "test"),
    ):
        files = sorted((media / f"asterisk-core-sounds-{code}-g722").rglob("*.g722"))
        found.append(Speaker(name, split, tuple(f for f in files if "silence" not in str(f)), 60))
    found.append(Speaker("menardi-it", "train", tuple(sorted((media / "asterisk-prompt-it-menardi-wav").rglob("*.wav"))), 40))
    found.append(Speaker("festvox-ru", "train", tuple(sorted((media / "festvox-ru").rglob("*.wav"))), 60))
    found.append(Speaker("librivox", "test", tuple(sorted((media / "pocketsphinx-testdata").rglob("librivox/*.wav"))), 5))
    for package, inner in (("klettres-data", "usr/share/klettres"), ("ktuberling-data", "usr/share/ktuberling/sounds")):
        for folder in sorted((media / package / inner).iterdir()):
            files = sorted(f for f in folder.rglob("*") if f.suffix in {".ogg", ".wav", ".opus"})
            language = folder.name.split("_")[0].split("@")[0]
            split = "test" if language in TEST_LANGUAGES else "calibration" if language in CALIBRATION_LANGUAGES else "train"
            if len(files) >= 12:
                found.append(Speaker(f"{package.split('-')[0]}-{folder.name}", split, tuple(files), 12))
    return found


def read(path: Path) -> np.ndarray:
    options = ["-f", "g722"] if path.suffix == ".g722" else []
    return trim(sources.audio(path, *options))


def utterances(speaker: Speaker, most: int, rng: np.random.Generator) -> np.ndarray:
    """int16 [N, 48000]: the speaker's clips joined by short cross-fades and cut into three seconds."""
    order = rng.permutation(len(speaker.files))
    out: list[np.ndarray] = []
    joined = np.zeros(0, np.float32)
    for clip in in_order(speaker.files, order):
        if len(out) >= most:
            break
        if clip.size < SAMPLE_RATE // 4 or np.abs(clip).max() < 0.01:
            continue
        joined = crossfade(joined, clip / np.abs(clip).max() * 0.8)
        while joined.size >= UTTERANCE and len(out) < most:
            out.append(joined[:UTTERANCE])
            joined = joined[UTTERANCE:]
    return to_int16(np.stack(out)) if out else np.zeros((0, UTTERANCE), np.int16)


def in_order(files: tuple[Path, ...], order: np.ndarray, ahead: int = 12) -> Iterator[np.ndarray]:
    """Clips in the given order; a few are decoded ahead of their use."""
    with ThreadPoolExecutor(4) as pool:
        for i in range(0, len(order), ahead):
            yield from pool.map(lambda index: read(files[index]), order[i : i + ahead])


def crossfade(left: np.ndarray, right: np.ndarray, length: int = 160) -> np.ndarray:
    if left.size < length or right.size < length:
        return np.concatenate([left, right])
    ramp = np.linspace(0, 1, length, dtype=np.float32)
    return np.concatenate([left[:-length], left[-length:] * (1 - ramp) + right[:length] * ramp, right[length:]])


def with_codecs(pool: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[2, N, T]: the pool as it is, and each utterance after a random codec."""
    coded = pool.copy()
    chosen = rng.integers(0, len(CODECS), len(pool))
    for i, codec in enumerate(CODECS):
        if (chosen == i).any():
            coded[chosen == i] = transcoded(pool[chosen == i], codec)
    return np.stack([pool, coded])


def disturbed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Low-pass, tilt, noise and gain at the same odds for both classes; float32 [32000] at a peak of 0.95."""
    out = samples.astype(np.float32) / 32_768
    if rng.random() < 0.5:
        cut = float(rng.uniform(3_200, 7_800))
        out = low_passed(out, cut)
    if rng.random() < 0.3:
        tilt = float(rng.uniform(-0.6, 0.6))
        out = signal.lfilter([1, tilt], [1], out)
    if rng.random() < 0.6:
        decibels = float(rng.uniform(15, 65))
        noise = rng.standard_normal(out.size)
        if rng.random() < 0.5:
            noise = signal.lfilter([1], [1, -0.9], noise) * 0.44
        out = with_noise(out, noise, decibels)
    return (out * (0.95 / (np.abs(out).max() + 1e-6))).astype(np.float32)


def crop(utterance: np.ndarray, at: int) -> np.ndarray:
    return utterance[at : at + WINDOW]
