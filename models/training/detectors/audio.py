"""Trains, evaluates and packages `audio-spectrogram-cnn`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from detectors import audio_data, audio_fakes, package, sources
from detectors.audio_data import UTTERANCE
from detectors.audio_net import SpectrogramNet
from detectors.audio_pool import SEED, Pool, foreign, foreign_rows, golden_files, levelled, natural, score
from detectors.windows import WINDOW, windows

BATCH = 32
SEEN = (audio_fakes.PAIRED_TRAINED, audio_fakes.ENGINES_TRAINED)
UNSEEN = (audio_fakes.PAIRED_HELD_OUT, (audio_fakes.ENGINE_HELD_OUT,))
PIPELINE = {
    "type": "audio-spectrogram", "sampleRate": 16_000, "windowSeconds": 2, "hopSeconds": 1, "minSeconds": 1, "maxSeconds": 60,
    "aggregation": "mean-logit",
}
HEAD = {
    "name": "audio-spectrogram-cnn",
    "version": "0.1.0",
    "modality": "audio",
    "description": "Looks in a voice recording's spectrogram for the traces of vocoders and speech engines.",
}
CARD = {
    "license": "Apache-2.0",
    "status": "demonstration",
    "intendedUse": "Shows the path from an upload to a calibrated verdict; a first hint on classic vocoders and speech engines. Not evidence.",
    "limitations": "Trained on classic vocoders, two rule-based or concatenative engines and a small neural codec. Current neural speech is mostly "
    "not caught, fakes that differ in phase alone are invisible to it, and recordings unlike its training voices may be called fake.",
    "trainingData": "Voices from Debian's asterisk-core-sounds-*, asterisk-prompt-it-menardi, festvox-ru, klettres-data and ktuberling-data, "
    "split by speaker; fakes are the same utterances through Griffin-Lim, an LPC vocoder and a small neural codec, and speech by espeak-ng and flite.",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="run audio")
    parser.add_argument("--debug", action="store_true", help="a few steps into .cache/debug, to see that everything works")
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--extra-media", type=Path, help="folder with MANIFEST.tsv: evaluated on, never trained on")
    parser.add_argument("--no-train", action="store_true", help="evaluate and package the classifier.onnx that is there")
    options = parser.parse_args()
    steps, codec_steps, share = (20, 10, 0.03) if options.debug else (options.steps, 600, 1.0)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(2)
    started = time.time()

    voices = {split: natural(split, share) for split in ("train", "calibration", "test")}
    for split, pool in voices.items():
        print(f"{split}: {sum(map(len, pool.values()))} utterances of {len(pool)} voices, {time.time() - started:.0f} s", flush=True)
    everything = np.concatenate(list(voices["train"].values()))
    codecs = {
        kind: audio_fakes.train_codec(kind, everything, codec_steps, SEED + i)
        for i, kind in enumerate(("neural-transposed", "neural-nearest"))
    }
    folder = (sources.CACHE / "debug" if options.debug else package.MODELS) / "audio-spectrogram-cnn"
    if options.no_train:
        session = package.Session(folder / "classifier.onnx", "samples")
    else:
        training = build(voices["train"], *SEEN, codecs, round(90 * share), 1)
        print(f"training pool: {training.sound.shape[1]} utterances, {time.time() - started:.0f} s", flush=True)
        example = np.concatenate([windows(clip / 32_768) for clip in everything[:4]])
        session = package.export(train(training, steps), folder / "classifier.onnx", "samples", example)

    def judge(clip: np.ndarray) -> list[float]:
        return [session.logit(windows(clip))]

    torch.manual_seed(SEED + 1)
    fit = package.calibrate(score(judge, build(voices["calibration"], *SEEN, codecs, round(30 * share), 2)))
    print(f"calibration: {fit}", flush=True)
    known = build(voices["test"], *SEEN, codecs, round(30 * share), 3)
    evaluation = package.rows("unseen speakers, seen generators", score(judge, known), fit, paired=True)
    new = build(voices["test"], *UNSEEN, codecs, round(30 * share), 4)
    scored = score(judge, new)
    for name, kinds, paired in (
        ("unseen speakers, WORLD vocoder (unseen)", {"world"}, True),
        ("unseen speakers, neural codec (unseen)", {"neural-nearest"}, True),
        ("unseen speakers, HTS speech engine (unseen)", {"festival-hts"}, False),
    ):
        evaluation += package.rows(name, scored.pick(np.isin(scored.generators, ["real", *kinds])), fit, paired)
    if options.extra_media:
        evaluation += foreign_rows(foreign(judge, options.extra_media), fit)
    package.write(folder, HEAD, PIPELINE, "samples", fit, golden_files(), lambda path: windows(sources.audio(path)), CARD, evaluation)
    print(f"done in {(time.time() - started) / 60:.1f} min", flush=True)


def build(
    voices: dict[str, np.ndarray], paired: tuple[str, ...], engines: tuple[str, ...], codecs: dict[str, audio_fakes.Codec],
    spoken: int, salt: int,
) -> Pool:
    """Natural utterances, each with two of the paired fakes of it, and `spoken` clips by each engine; all with a coded copy."""
    rng = np.random.default_rng(SEED + 1_000 * salt)
    sound, origins, makers = [], [], []
    for name, clips in voices.items():
        for clip in clips:
            kinds = rng.choice(len(paired), min(2, len(paired)), replace=False)
            wave = clip.astype(np.float32) / 32_768
            for maker in ("real", *(paired[k] for k in kinds)):
                sound.append(levelled(wave if maker == "real" else rebuilt(maker, wave, codecs, rng)))
                origins.append(name)
                makers.append(maker)
    for engine in engines:
        for i, clip in enumerate(audio_fakes.spoken(engine, max(1, spoken), rng)):
            sound.append(levelled(np.resize(clip, UTTERANCE) if clip.size < UTTERANCE else clip[:UTTERANCE]))
            origins.append(f"{engine}-{i}")
            makers.append(engine)
    return Pool(audio_data.with_codecs(np.stack(sound), rng), np.array(origins), np.array(makers))


def rebuilt(maker: str, wave: np.ndarray, codecs: dict[str, audio_fakes.Codec], rng: np.random.Generator) -> np.ndarray:
    if maker in codecs:
        return audio_fakes.recoded(codecs[maker], wave, rng)
    return {"griffin-lim": audio_fakes.griffin_lim, "lpc-vocoder": audio_fakes.lpc_vocoder, "world": audio_fakes.world}[maker](wave, rng)


def batches(pool: Pool, steps: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sixteen natural and sixteen fake windows; voices and generators are drawn evenly, not by how many clips they have."""
    real = [np.flatnonzero((pool.makers == "real") & (pool.sources == name)) for name in np.unique(pool.sources[pool.makers == "real"])]
    fake = [np.flatnonzero(pool.makers == maker) for maker in np.unique(pool.makers) if maker != "real"]
    for _ in range(steps):
        picked = [int(rng.choice(real[int(rng.integers(len(real)))])) for _ in range(BATCH // 2)]
        picked += [int(rng.choice(fake[i % len(fake)])) for i in range(BATCH // 2)]
        clips = [
            audio_data.disturbed(audio_data.crop(pool.sound[int(rng.random() < 0.6), i], int(rng.integers(0, UTTERANCE - WINDOW + 1))), rng)
            for i in picked
        ]
        yield np.stack(clips), np.array([float(pool.makers[i] != "real") for i in picked], np.float32)


def train(pool: Pool, steps: int) -> SpectrogramNet:
    torch.manual_seed(SEED)
    net = SpectrogramNet()
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps, pct_start=0.1)
    print(f"training {sum(p.numel() for p in net.parameters())} parameters for {steps} steps", flush=True)
    started, losses = time.time(), []
    for step, (samples, labels) in enumerate(batches(pool, steps, np.random.default_rng(SEED)), 1):
        logits = net(torch.from_numpy(samples))[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels) * 0.94 + 0.03)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss))
        if step % 100 == 0 or step == steps:
            print(f"  step {step}/{steps}: loss {np.mean(losses[-100:]):.3f}, {time.time() - started:.0f} s", flush=True)
    return net


if __name__ == "__main__":
    main()
