"""What the audio detectors have in common: natural utterances by split, scoring of pools and of neural speech that nobody here made, golden files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors import audio_data, audio_fakes, package, sources
from detectors.augment import to_int16
from detectors.windows import SAMPLE_RATE

SEED = 20_262
# float32 [T] at 16 kHz to a file's logit, followed by its features where the graph has some. ValueError where there is too little to judge.
Judge = Callable[[np.ndarray], Sequence[float]]
# The last numbers in the names of LibriSpeech (84-121123-0001) and LibriTTS (84_121123_000001_000000): reader, chapter, utterance.
READER = re.compile(r"(?:^|[^0-9])(\d+)(?:-\d+-\d{4}|_\d+_\d{6}_\d{6})(?:\.|$)")


@dataclass(frozen=True)
class Pool:
    """int16 [2, N, 48000] (clean, coded) with, for each utterance, its source and the name of what made it ('real' for nature)."""

    sound: np.ndarray
    sources: np.ndarray
    makers: np.ndarray


def natural(split: str, share: float) -> dict[str, np.ndarray]:
    out = {}
    for i, speaker in enumerate(audio_data.speakers()):
        if speaker.split == split and (share == 1 or i % 4 == 3 or speaker.most > 12):
            made = audio_data.utterances(speaker, max(1, round(speaker.most * share)), np.random.default_rng(SEED + i))
            if len(made):
                out[speaker.name] = made
    return out


def levelled(wave: np.ndarray) -> np.ndarray:
    return to_int16(wave * (0.8 / (np.abs(wave).max() + 1e-6)))


def score(judge: Judge, pool: Pool) -> package.Scored:
    """One file for each utterance: the coded copy, as an upload would be. A clip that the pod would not judge is left out."""
    kept, rows, rest = [], [], []
    for i, clip in enumerate(pool.sound[-1].astype(np.float32) / 32_768):
        try:
            rows.append(judge(clip))
        except ValueError:
            continue
        kept.append(i)
        rest.append(metadata(clip))
    if len(kept) < len(pool.makers):
        print(f"  {len(pool.makers) - len(kept)} clips hold too little sound after the codec and are left out", flush=True)
    makers, found = pool.makers[kept], np.array(rows, float)
    return package.Scored(found[:, 0], (makers != "real").astype(int), pool.sources[kept], makers, np.stack(rest), found[:, 1:])


def metadata(clip: np.ndarray) -> np.ndarray:
    """What a file says without its content: level, loudness, share of silence, length (s)."""
    frames = np.abs(clip[: clip.size // 320 * 320].reshape(-1, 320)).max(1)
    return np.array([np.abs(clip).max(), np.sqrt(np.mean(clip**2)), (frames < frames.max() * 10 ** (-50 / 20)).mean(), clip.size / SAMPLE_RATE])


def reader_of(name: str) -> str:
    """The reader of a LibriSpeech or LibriTTS recording by its name, or nothing."""
    found = READER.search(name)
    return found.group(1) if found else ""


def foreign(judge: Judge, folder: Path, trained_readers: Collection[str] = (), wanted: Callable[[str], bool] = lambda generator: True) -> package.Scored:
    """Neural and natural speech of a MANIFEST.tsv; nothing in it was trained on, and readers that were are left out. `wanted` chooses by generator."""
    lines = [line.split("\t") for line in (folder / "MANIFEST.tsv").read_text().splitlines()[1:]]
    found = []
    for path, label, modality, generator, pair, *_ in lines:
        if modality == "audio" and generator != "natural-digits-8kHz" and wanted(generator) and (reader_of(Path(path).name) or "nobody") not in trained_readers:
            clip = sources.audio(folder / path)
            if clip.size >= SAMPLE_RATE:
                found.append((judge(clip), int(label == "fake"), pair or Path(path).stem, generator, metadata(clip)))
    rows, *columns = (np.array(column) for column in zip(*found))
    return package.Scored(rows[:, 0].astype(float), *columns, rows[:, 1:].astype(float))


# What stands in a card, the natural side, the beginning of the fakes' names, and whether the two are the same utterances.
FOREIGN = (
    ("LibriTTS against UnivNet (neural vocoder)", {"natural"}, "vocoder:UnivNet", True),
    ("LibriSpeech against UnivNet (neural vocoder)", {"natural-LibriSpeech"}, "vocoder:UnivNet", False),
    ("LibriSpeech against WaveFake samples (neural vocoders)", {"natural-LibriSpeech"}, "vocoder:WaveFake", False),
    ("LibriSpeech against FastSpeech (neural speech engine)", {"natural-LibriSpeech"}, "tts:", False),
)


def foreign_rows(scored: package.Scored, fit: dict) -> list[dict]:
    """Evaluation rows by generator."""
    out = []
    for name, real, fake, paired in FOREIGN:
        mask = np.array([g in real if not l else g.startswith(fake) for g, l in zip(scored.generators, scored.labels)])
        out += package.rows(name, scored.pick(mask), fit, paired)
    return out


def golden_files() -> dict[str, Path]:
    """Public-domain LibriVox speech that was not trained on, and the same words through a vocoder that was not trained on."""
    scratch = sources.CACHE / "golden"
    scratch.mkdir(parents=True, exist_ok=True)
    reading = next(s for s in audio_data.speakers() if s.name == "librivox").files[0]
    natural_clip = sources.audio(reading)[: 3 * SAMPLE_RATE]
    fake_clip = audio_fakes.world(natural_clip, np.random.default_rng(1))
    out = {}
    for name, clip in (("real", natural_clip), ("fake", fake_clip)):
        out[name] = scratch / f"{name}.flac"
        sources.save_flac(clip, out[name])
    return out
