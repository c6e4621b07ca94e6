"""Natural utterances beside fakes of the very same utterances, for detectors that learn from pairs: who speaks, what remakes it, what wears it down.

What is made lies in the cache under the hash of all that decides it, so that several detectors learn from the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import zlib
from collections.abc import Collection, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import signal

from detectors import audio_data, audio_fakes, audio_pool, audio_vocoders, sources
from detectors.audio_data import UTTERANCE, Speaker
from detectors.audio_pool import SEED, Pool, levelled, reader_of
from detectors.augment import CODECS, low_passed, reverberant, telephone, to_int16, transcoded, with_noise
from detectors.windows import SAMPLE_RATE

# Of what is held out, WORLD, the nearest codec and HTS are those of audio-spectrogram-cnn, so that figures can be laid side by side.
SEEN = ("griffin-lim", "lpc-vocoder", "full-griffin-lim", "phase-drift", "phase-vocoder", "images", "coarse-residual", "neural-transposed", "neural-source-filter")
UNSEEN = ("world", "neural-nearest", "neural-spectral", "sinusoids-and-noise")
ENGINES_SEEN = audio_fakes.ENGINES_TRAINED
ENGINES_UNSEEN = (audio_fakes.ENGINE_HELD_OUT,)
CODEC_KINDS = ("neural-transposed", "neural-nearest")
#: Of the training voices, one in seven is not learnt from: it says when to stop.
STOPPING = 7
MOST_OF_A_READER = 4
HIGH_BAND_ALONE = 0.25


@dataclass(frozen=True)
class Pairs(Pool):
    """A pool that also knows which natural utterance each clip is of; -1 for engines, which read sentences of their own."""

    pairs: np.ndarray

    def only(self, mask: np.ndarray) -> "Pairs":
        return Pairs(self.sound[:, mask], self.sources[mask], self.makers[mask], self.pairs[mask])


def speaker_of(path: Path) -> str:
    """Who speaks in a file of one's own: LibriSpeech's reader, FSDD's speaker (`3_jackson_12.wav`), else the folder's name."""
    if reader := reader_of(path.name):
        return f"reader-{reader}"
    digits = re.search(r"(?:^|_)\d_([a-z]+)_\d+\.wav$", path.name)
    return f"digits-{digits.group(1)}" if digits else path.parent.name


def is_for_training(speaker: str) -> bool:
    """Half of the speakers of extra recordings; the other half stays for evaluation."""
    return zlib.crc32(speaker.encode()) % 2 == 0


def extra_speakers(folders: Iterable[Path]) -> list[Speaker]:
    """Speakers of one's own recordings that are learnt from. ValueError for a folder without sound."""
    files: dict[str, list[Path]] = {}
    for folder in folders:
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".flac", ".wav", ".ogg", ".mp3"})
        if not found:
            raise ValueError(f"{folder}: holds no recordings (.flac, .wav, .ogg, .mp3)")
        for path in found:
            files.setdefault(speaker_of(path), []).append(path)
    return [Speaker(name, "train", tuple(paths), MOST_OF_A_READER) for name, paths in sorted(files.items()) if is_for_training(name)]


def voices_of(split: str, share: float) -> dict[str, np.ndarray]:
    """int16 [N, 48000] of each speaker, from the cache where they have been decoded before."""
    key = hashlib.sha256((sources.ROOT / "media-sources.json").read_bytes() + Path(audio_data.__file__).read_bytes()).hexdigest()[:16]
    path = sources.CACHE / "audio" / f"voices-{split}-{share:g}-{key}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path.with_suffix(".part.npz"), **audio_pool.natural(split, share))
        path.with_suffix(".part.npz").replace(path)
    with np.load(path) as found:
        return {name: found[name] for name in found.files}


def extra_voices(speakers: Iterable[Speaker]) -> dict[str, np.ndarray]:
    """As `voices_of`, of one's own recordings."""
    made = {s.name: audio_data.utterances(s, s.most, np.random.default_rng([SEED, zlib.crc32(s.name.encode())])) for s in speakers}
    return {name: clips for name, clips in made.items() if len(clips)}


def split_for_stopping(pool: Pairs) -> tuple[Pairs, Pairs]:
    """(learnt from, stopped by): by voice, and by sentence of an engine."""
    held = np.array([zlib.crc32(str(name).encode()) % STOPPING == 0 for name in pool.sources])
    return pool.only(~held), pool.only(held)


class Makers:
    """What remakes an utterance: rules, and networks that are trained on natural utterances of the training split."""

    def __init__(self, kinds: Collection[str], everything: np.ndarray, steps: int) -> None:
        self.nets = {}
        for i, kind in enumerate((*CODEC_KINDS, *audio_vocoders.NEURAL)):
            if kind in kinds:
                self.nets[kind] = self.net(kind, everything, steps, SEED + 50 + i)

    @staticmethod
    def net(kind: str, everything: np.ndarray, steps: int, seed: int) -> torch.nn.Module:
        """From the cache where the same utterances and code have made it before."""
        code = b"".join(Path(module.__file__).read_bytes() for module in (audio_fakes, audio_vocoders))
        key = hashlib.sha256(repr((kind, steps, seed)).encode() + code + everything.tobytes()).hexdigest()[:16]
        path = sources.CACHE / "audio" / f"{kind}-{key}.pt"
        made = audio_vocoders.NEURAL[kind]() if kind in audio_vocoders.NEURAL else audio_fakes.Codec(kind)
        if path.exists():
            made.load_state_dict(torch.load(path))
            return made.eval()
        train = audio_vocoders.train_vocoder if kind in audio_vocoders.NEURAL else audio_fakes.train_codec
        made = train(kind, everything, steps, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(made.state_dict(), path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
        return made

    def remade(self, kind: str, wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if kind not in self.nets:
            return audio_vocoders.BY_RULE[kind](wave, rng)
        return audio_fakes.recoded(self.nets[kind], wave, rng) if kind in CODEC_KINDS else audio_vocoders.vocoded(self.nets[kind], wave, rng)


def one_remade(job: tuple[str, np.ndarray, list[int], bool]) -> np.ndarray:
    """By rule, in a process of its own; the numbers seed it."""
    kind, clip, numbers, partly = job
    return finished(audio_vocoders.BY_RULE[kind](clip.astype(np.float32) / 32_768, np.random.default_rng(numbers)), clip, numbers, partly)


def finished(fake: np.ndarray, clip: np.ndarray, numbers: list[int], partly: bool) -> np.ndarray:
    """Some fakes are fake above a cut alone."""
    rng = np.random.default_rng([*numbers, 1])
    if partly and rng.random() < HIGH_BAND_ALONE:
        fake = audio_vocoders.high_band(fake, clip.astype(np.float32) / 32_768, rng)
    return levelled(fake)


def pairs_of(voices: dict[str, np.ndarray], makers: Makers, kinds: tuple[str, ...], each: int, engines: tuple[str, ...], spoken: int, salt: int, copies: int) -> Pairs:
    """Each natural utterance with `each` of the kinds of fakes of it, and `spoken` sentences by each engine; clean, and `copies` times after a codec.

    The kinds take turns, so that there are as many fakes of each. A natural utterance and its fakes go through the same codecs.
    """
    naturals = [(name, clip) for name, clips in voices.items() for clip in clips]
    jobs = [(kinds[(i * each + turn) % len(kinds)], clip, [SEED, salt, i, turn], salt == 1) for i, (_, clip) in enumerate(naturals) for turn in range(each)]
    by_rule = [job for job in jobs if job[0] not in makers.nets]
    with ProcessPoolExecutor(2) as processes:
        ruled = iter(list(processes.map(one_remade, by_rule, chunksize=16)))
    fakes = []
    for kind, clip, numbers, partly in jobs:
        if kind in makers.nets:
            torch.manual_seed(numbers[2])
            made = makers.remade(kind, clip.astype(np.float32) / 32_768, np.random.default_rng(numbers))
            fakes.append(finished(made, clip, numbers, partly))
        else:
            fakes.append(next(ruled))
    sound, origins, names, pairs = [], [], [], []
    for i, (name, clip) in enumerate(naturals):
        group = [levelled(clip.astype(np.float32) / 32_768), *fakes[i * each : (i + 1) * each]]
        sound += group
        origins += [name] * len(group)
        names += ["real", *(job[0] for job in jobs[i * each : (i + 1) * each])]
        pairs += [i] * len(group)
    for engine in engines:
        rng = np.random.default_rng([SEED, salt, zlib.crc32(engine.encode())])
        for i, clip in enumerate(audio_fakes.spoken(engine, max(1, spoken), rng)):
            sound.append(levelled(np.resize(clip, UTTERANCE) if clip.size < UTTERANCE else clip[:UTTERANCE]))
            origins.append(f"{engine}-{i}")
            names.append(engine)
            pairs.append(-1)
    clean, of_pair = np.stack(sound), np.array(pairs)
    return Pairs(np.stack([clean, *(coded(clean, of_pair, salt, copy) for copy in range(copies))]), np.array(origins), np.array(names), of_pair)


def coded(clean: np.ndarray, pairs: np.ndarray, salt: int, copy: int) -> np.ndarray:
    """Every utterance after one codec, or a telephone; those of a pair after the same."""
    names = (*CODECS, "telephone")
    rng = np.random.default_rng([SEED, salt, 77, copy])
    of_pair = rng.integers(0, len(names), pairs.max(initial=-1) + 1)
    chosen = np.where(pairs >= 0, of_pair[pairs] if len(of_pair) else 0, rng.integers(0, len(names), len(pairs)))
    out = clean.copy()
    for i, name in enumerate(names):
        which = chosen == i
        if which.any():
            out[which] = np.stack([to_int16(telephone(clip / 32_768)) for clip in clean[which]]) if name == "telephone" else transcoded(clean[which], name)
    return out


def kept(name: str, about: dict, make) -> Pairs:
    """The pool that `about` describes, from the cache where it is there."""
    code = b"".join(Path(module.__file__).read_bytes() for module in (audio_data, audio_fakes, audio_vocoders)) + Path(__file__).read_bytes()
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode() + code).hexdigest()[:16]
    folder = sources.CACHE / "audio" / f"{name}-{key}"
    if not (folder / "sound.npy").exists():
        started, pool = time.time(), make()
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "names.npz", sources=pool.sources, makers=pool.makers, pairs=pool.pairs)
        np.save(folder / "part.npy", pool.sound)
        (folder / "part.npy").replace(folder / "sound.npy")
        print(f"{name}: {pool.sound.shape[1]} clips of {len(np.unique(pool.sources))} sources, {time.time() - started:.0f} s", flush=True)
    names = np.load(folder / "names.npz")
    return Pairs(np.load(folder / "sound.npy", mmap_mode="r"), names["sources"], names["makers"], names["pairs"])


def worn(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Room, filters, noise, coarse steps and gain, at the same odds for both classes; int16 [T] -> float32 [T] at a peak of 0.95."""
    out = samples.astype(np.float32) / 32_768
    if rng.random() < 0.15:
        out = reverberant(out, float(rng.uniform(0.1, 0.5)), rng, float(rng.uniform(3, 15)))
    if rng.random() < 0.4:
        out = low_passed(out, float(rng.uniform(2_800, 7_800)))
    if rng.random() < 0.3:
        out = signal.lfilter([1, float(rng.uniform(-0.6, 0.6))], [1], out)
    if rng.random() < 0.6:
        decibels, noise = float(rng.uniform(12, 65)), rng.standard_normal(out.size)
        if rng.random() < 0.5:
            noise = signal.lfilter([1], [1, -0.9], noise) * 0.44
        out = with_noise(out, noise, decibels)
    out = out * (0.95 / (np.abs(out).max() + 1e-6))
    if rng.random() < 0.1:
        # Companded to eight bits, as telephone lines have it.
        steps = np.round(np.sign(out) * np.log1p(255 * np.abs(out)) / np.log(256) * 127) / 127
        out = np.sign(steps) * (256 ** np.abs(steps) - 1) / 255 * 0.95
    return out.astype(np.float32)


def batch_of_pairs(pool: Pairs, groups: "Groups", size: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """float32 [size, length] and labels: natural clips first, then as many fakes, most of them of the same utterances, cut and worn in the same way."""
    half = size // 2
    reals, fakes = [], []
    for turn in range(half):
        pair = groups.utterance(rng)
        kind = groups.kinds[int(rng.integers(len(groups.kinds)))]
        fake = groups.fake(pair, kind, rng)
        reals.append(groups.real[pair])
        fakes.append(fake)
    clips = []
    seeds = rng.integers(0, 2**31, half)
    copies = rng.integers(0, len(pool.sound), half)
    starts = rng.integers(0, pool.sound.shape[2] - length + 1, half)
    for chosen in (reals, fakes):
        for i, index in enumerate(chosen):
            clips.append(worn(pool.sound[copies[i], index, starts[i] : starts[i] + length], np.random.default_rng(seeds[i])))
    return np.stack(clips), np.repeat(np.float32([0, 1]), half)


class Groups:
    """Draws evenly over voices, and over kinds of fakes."""

    def __init__(self, pool: Pairs) -> None:
        self.real = {int(pair): i for i, (pair, maker) in enumerate(zip(pool.pairs, pool.makers)) if maker == "real"}
        names = np.unique(pool.sources[pool.makers == "real"])
        self.voices = [[int(p) for p in pool.pairs[(pool.sources == name) & (pool.makers == "real")]] for name in names]
        self.of_pair: dict[int, list[int]] = {}
        for i, (pair, maker) in enumerate(zip(pool.pairs, pool.makers)):
            if maker != "real" and pair >= 0:
                self.of_pair.setdefault(int(pair), []).append(i)
        self.engines = {name: np.flatnonzero((pool.makers == name) & (pool.pairs < 0)) for name in np.unique(pool.makers[pool.pairs < 0])}
        paired = len(np.unique(pool.makers[(pool.pairs >= 0) & (pool.makers != "real")]))
        self.kinds = [None] * paired + list(self.engines)

    def utterance(self, rng: np.random.Generator) -> int:
        voice = self.voices[int(rng.integers(len(self.voices)))]
        return voice[int(rng.integers(len(voice)))]

    def fake(self, pair: int, engine: str | None, rng: np.random.Generator) -> int:
        """Of this very utterance, or a sentence of the engine."""
        among = self.of_pair[pair] if engine is None else self.engines[engine]
        return int(among[int(rng.integers(len(among)))])
