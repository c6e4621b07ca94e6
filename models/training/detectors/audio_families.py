"""Trains, evaluates and packages `audio-waveform-net`, `audio-lfcc-cnn` and `audio-scattering-net`: three nets, one pool of natural utterances and their fakes."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from importer.architectures import aasist, scattering
from importer.export import export
from torch import nn
from torch.nn import functional as F

from detectors import audio_nets, audio_pairs, audio_pool, finished, gate, metrics, ood, package, sound_reading, sources, trainer
from detectors.audio_pairs import ENGINES_SEEN, ENGINES_UNSEEN, SEEN, UNSEEN, Groups, Pairs
from detectors.audio_pool import SEED
from detectors.package import Scored
from detectors.trainer import Batch, Config, Task
from detectors.windows import SAMPLE_RATE, WINDOW

PARITY = 1e-3
UNTRAINED, MOST_PARTS = 5, 4
CROP = SAMPLE_RATE
COMMON = {
    "sampleRate": SAMPLE_RATE, "trimSilence": True, "level": {"type": "peak", "amplitude": 0.95}, "preEmphasis": 0.97, "hopSeconds": 1, "shortSound": "repeat",
    "minSeconds": 1, "maxSeconds": 60, "aggregation": "mean-logit",
}
WAVEFORM = {"type": "audio-waveform", "windowSamples": WINDOW, "layout": "samples", **COMMON}
LFCC = {
    "type": "audio-features", "windowSeconds": WINDOW // SAMPLE_RATE,
    "features": {
        "stft": {"fftSize": 512, "windowLength": 400, "hop": 160, "window": "hann", "padding": "none"}, "spectrum": "power",
        "kind": {
            "type": "lfcc", "filters": 40, "minHz": 0, "maxHz": 8000, "coefficients": 40, "deltaOrders": 1, "delta": {"type": "difference"}, "energyFirst": False,
        },
        "scale": {"type": "logarithm", "base": "e", "epsilon": 1e-7}, "normalisation": {"type": "per-bin-mean"},
    },
    "layout": "channel-bins-frames", **COMMON,
}
KNOWN = "unseen speakers, seen generators"
# Kinds whose magnitudes are nature's.
PHASE_ALONE = ("full-griffin-lim", "phase-drift", "phase-vocoder")
HELD_OUT = {
    "unseen speakers, WORLD vocoder (unseen)": ("world",), "unseen speakers, neural codec (unseen)": ("neural-nearest",),
    "unseen speakers, neural spectral vocoder (unseen)": ("neural-spectral",), "unseen speakers, sinusoids and noise (unseen)": ("sinusoids-and-noise",),
}
ENGINE = "unseen speakers, HTS speech engine (unseen)"
OTHERS = tuple(name for name, _, _, paired in audio_pool.FOREIGN if paired)


@dataclass(frozen=True)
class Family:
    """What differs between the three: the net, what the pod makes of sound for it, and what is said of it."""

    name: str
    description: str
    net: Callable[[], nn.Module]
    pipeline: dict
    graph_input: str
    steps: int
    rate: float
    batch: int
    #: Weights that stay as they are in INT8.
    fixed: tuple[str, ...]
    #: The published net that this is a small one of, and its parameters.
    full_size: str
    full_parameters: Callable[[], int]
    about: str


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def lcnn_parameters() -> int:
    """Of LCNN-9 as spoofing challenges have it: convolutions in front of max-feature-maps, a dense layer of 160 and one of 2 behind 60 cepstra of 400 frames."""
    layers = [(1, 64, 5), (32, 64, 1), (32, 96, 3), (48, 96, 1), (48, 128, 3), (64, 128, 1), (64, 64, 3), (32, 64, 1), (32, 64, 3)]
    return sum(inputs * outputs * size**2 + outputs for inputs, outputs, size in layers) + 32 * (60 // 16) * (400 // 16) * 160 + 160 + 80 * 2 + 2


FAMILIES = {
    "audio-waveform": Family(
        "audio-waveform-net", "Listens to the samples of a voice recording, phase and all, for the traces of vocoders and speech engines.",
        audio_nets.WaveformNet, WAVEFORM, "samples", 900, 2e-3, 24, ("net.front.frozen",), "AASIST", lambda: parameters(aasist.Aasist(aasist.AASIST)),
        "**What it looks at.** Two seconds of sound at 16 kHz at a time, as samples: 40 band-pass filters whose edges are learnt, residual blocks, and means and deviations "
        "over time weighed by attention. Nothing is squared on the way in, so that phase can tell.",
    ),
    "audio-features": Family(
        "audio-lfcc-cnn", "Reads linear-frequency cepstra of a voice recording, which the pod computes, for the traces of vocoders and speech engines.",
        lambda: audio_nets.LfccNet(40, 2), LFCC, "cepstra", 1_000, 3e-3, 32, (), "LCNN-9", lcnn_parameters,
        "**What it looks at.** 40 linear-frequency cepstral coefficients and their differences every 10 ms, each without its mean over two seconds; a light convolutional "
        "net that keeps the larger of each two channels. Cepstra are made of magnitudes: phase is seen only where it ripples them.",
    ),
    "audio-scattering": Family(
        "audio-scattering-net", "Looks at a voice recording through fixed wavelets, and through wavelets of these, for the traces of vocoders and speech engines.",
        audio_nets.ScatteringNet, WAVEFORM, "samples", 1_200, 3e-3, 32, ("net.scattering.kernels", "net.scattering.beats"), "scattering-wave-v1",
        lambda: parameters(scattering.ScatteringWave()),
        "**What it looks at.** Moduli of 40 Morlet wavelets of the sound, and of six wavelets of each of these moduli: how loud each band is and how it beats. Both "
        "orders are computed in the graph by fixed convolutions; dense layers and attention follow.",
    ),
}


class Described(nn.Module):
    """The net under the names of the graph's two outputs."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.net(x)


def main() -> None:
    parser = argparse.ArgumentParser(prog="run")
    parser.add_argument("family", choices=tuple(FAMILIES))
    parser.add_argument("--debug", action="store_true", help="a few steps into .cache/debug, to see that everything works")
    parser.add_argument("--steps", type=int, help="at most (default: the family's)")
    parser.add_argument("--no-train", action="store_true", help="evaluate and package the classifier.onnx that is there; name the same --extra-real")
    parser.add_argument("--extra-media", type=Path, help="folder with MANIFEST.tsv: evaluated on, never trained on")
    parser.add_argument("--extra-real", type=Path, action="append", default=[], metavar="DIR", help="recordings of people; half of the speakers are learnt from, and the card says so")
    options = parser.parse_args()
    family = FAMILIES[options.family]
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(2)
    started = time.time()
    share = 0.03 if options.debug else 1.0
    try:
        pools = Pools(share, options.extra_real)
    except ValueError as error:
        sys.exit(f"run {options.family}: {error}")
    folder = (sources.CACHE / "debug" if options.debug else package.MODELS) / family.name
    if not options.no_train:
        config = Config(SEED, options.steps or family.steps, family.rate, evaluate_every=100, patience=6, task={"family": options.family, "pool": pools.about("train")})
        learnt(family, pools, config.for_debug() if options.debug else config, folder)
    wrap_up(family, pools, folder, options.extra_media, share)
    print(f"done in {(time.time() - started) / 60:.1f} min", flush=True)


class Pools:
    """The four pools of pairs, made when they are asked for and kept in the cache."""

    def __init__(self, share: float, extra: list[Path]) -> None:
        self.share = share
        found = audio_pairs.extra_speakers(extra)
        self.extra = found if share == 1 else found[:3]
        self.net_steps = 10 if share < 1 else 600

    def about(self, name: str) -> dict:
        extra = {s.name: [p.name for p in s.files] for s in self.extra} if name == "train" else {}
        return {"name": name, "share": self.share, "extra": extra, "seed": SEED, "steps": self.net_steps}

    @property
    def readers(self) -> set[str]:
        return {s.name.removeprefix("reader-") for s in self.extra}

    def get(self, name: str) -> Pairs:
        return audio_pairs.kept(name, self.about(name), lambda: self.made(name))

    def made(self, name: str) -> Pairs:
        split = {"train": "train", "calibration": "calibration", "known": "test", "new": "test"}[name]
        natural = audio_pairs.voices_of("train", self.share)
        makers = audio_pairs.Makers(UNSEEN if name == "new" else SEEN, np.concatenate(list(natural.values())), self.net_steps)
        voices = natural | audio_pairs.extra_voices(self.extra) if name == "train" else audio_pairs.voices_of(split, self.share)
        kinds, engines = (UNSEEN, ENGINES_UNSEEN) if name == "new" else (SEEN, ENGINES_SEEN)
        spoken = round((90 if name == "train" else 30) * self.share)
        each = len(UNSEEN) if name == "new" else 3
        return audio_pairs.pairs_of(voices, makers, kinds, each, engines, spoken, {"train": 1, "calibration": 2, "known": 3, "new": 4}[name], 1)


def parts_of(clips: np.ndarray, pipeline: dict) -> np.ndarray:
    """Windows at a peak of 0.95 as the graph takes them."""
    return np.ascontiguousarray(sound_reading.laid_out(sound_reading.emphasised(clips, pipeline["preEmphasis"]), pipeline))


def learnt(family: Family, pools: Pools, config: Config, folder: Path) -> None:
    """Trains and exports; `classifier.onnx` stands in the folder."""
    learning, stopping = audio_pairs.split_for_stopping(pools.get("train"))
    run = sources.CACHE / "audio" / f"run-{family.name}"
    torch.manual_seed(SEED)
    net = family.net()
    print(f"{family.name}: {parameters(net)} parameters, {learning.sound.shape[1]} clips to learn from, {stopping.sound.shape[1]} to stop by", flush=True)
    outcome = trainer.train(task_of(family, net, learning, stopping), config, run, torch.device("cpu"))
    print(f"best of step {outcome.best_step}: {outcome.best}; ended at step {outcome.last_step}{', early' if outcome.stopped_early else ''}", flush=True)
    net.eval()
    net.freeze()
    example = np.concatenate([sound_reading.items(clip.astype(np.float32) / 32_768, family.pipeline) for clip in stopping.sound[1, :4]])
    export(Described(net), folder / "classifier.onnx", family.graph_input, ("logit", "features"), example, PARITY)


def task_of(family: Family, net: nn.Module, learning: Pairs, stopping: Pairs) -> Task:
    groups = Groups(learning)
    start = (stopping.sound.shape[2] - WINDOW) // 2
    held = stopping.sound[1, :, start : start + WINDOW].astype(np.float32)
    held = held * (0.95 / (np.abs(held).max(1, keepdims=True) + 1e-6))
    labels = (stopping.makers != "real").astype(int)

    def batch(step: int, rng: np.random.Generator) -> Batch:
        clips, wanted = audio_pairs.batch_of_pairs(learning, groups, family.batch, CROP, rng)
        return {"inputs": torch.from_numpy(parts_of(clips, family.pipeline)), "labels": torch.from_numpy(wanted)}

    def loss(net: nn.Module, made: Batch) -> torch.Tensor:
        """Each clip for itself, and each fake above the natural utterance that it is of."""
        logits = net(made["inputs"])[0][:, 0]
        half = len(logits) // 2
        apart = F.softplus(logits[:half] - logits[half:]).mean()
        return F.binary_cross_entropy_with_logits(logits, made["labels"] * 0.94 + 0.03) + 0.3 * apart

    def validate(net: nn.Module) -> dict[str, float]:
        logits = np.concatenate([net(torch.from_numpy(parts_of(held[at : at + 32], family.pipeline)))[0][:, 0].numpy() for at in range(0, len(held), 32)])
        paired = metrics.macro_paired_auc(logits, labels, stopping.sources)
        everything = metrics.auc(logits, labels)
        print(f"  stopping voices: AUC {everything:.3f}, in pairs {paired:.3f}", flush=True)
        return {"both": (paired + everything) / 2, "AUC": everything, "paired": paired}

    return Task(net, batch, loss, validate, "both")


def judge_of(session: finished.Session, pipeline: dict) -> audio_pool.Judge:
    return lambda clip: session.row(sound_reading.items(clip, pipeline))


def wrap_up(family: Family, pools: Pools, folder: Path, extra_media: Path | None, share: float) -> None:
    """Calibrates, measures, makes the graph smaller and writes the package."""
    session = finished.Session(folder / "classifier.onnx", family.graph_input)
    judge = judge_of(session, family.pipeline)
    calibration, known = (audio_pool.score(judge, pools.get(name)) for name in ("calibration", "known"))
    fit = package.calibrate(calibration)
    print(f"calibration: {fit}", flush=True)
    beside = {} if share < 1 else {"ood": ood.fitted(calibration.features, calibration.sources)}
    sets, rows = evaluated(known, audio_pool.score(judge, pools.get("new")), fit)
    if extra_media:
        other = audio_pool.foreign(judge, extra_media, pools.readers)
        rows += audio_pool.foreign_rows(other, fit) + chance_rows(family, extra_media, pools.readers)
        sets |= {name: other.pick(np.array([g in real if not l else g.startswith(fake) for g, l in zip(other.generators, other.labels)])) for name, real, fake, _ in audio_pool.FOREIGN}
    if "ood" in beside:
        for name, scored in sets.items():
            rows += finished.abstention_rows(name, scored, ood.typicality(scored.features, beside["ood"])[2], fit)
    golden = golden_files()
    small = smaller(family, pools, folder, (calibration, known), fit)
    graph: dict = {"features": "features"}
    if not small.refused:
        parts = {name: sound_reading.items(sources.audio(path), family.pipeline) for name, path in golden.items()}
        graph["variants"] = [finished.variant_entry(folder, family.graph_input, small, parts, fit)]
    rows += size_rows(family, folder, small)
    status, reasons = gate.status(rows, HELD_OUT, OTHERS)
    for reason in reasons:
        print(f"  demonstration: {reason}", flush=True)
    head = {"name": family.name, "version": "0.1.0", "modality": "audio", "description": family.description}
    card = card_of(family, pools, status)
    package.write(folder, head, family.pipeline, family.graph_input, fit, golden, lambda path: sound_reading.items(sources.audio(path), family.pipeline), card, rows, graph, beside)
    why = "The gate of `models/training/README.md` is not passed: " + "; ".join(reasons) + "." if reasons else "The gate of `models/training/README.md` is passed."
    command = next(name for name, each in FAMILIES.items() if each is family)
    made = f"**Made by** `models/training/run {command}`{' with `--extra-real`' if pools.extra else ''}; rows on LibriSpeech, LibriTTS and neural speech need `--extra-media`."
    (folder / "README.md").write_text(finished.card_text(head, card, [row for row in rows if "value" in row], [family.about, why, made]))


def evaluated(known: Scored, new: Scored, fit: dict) -> tuple[dict[str, Scored], list[dict]]:
    sets = {KNOWN: known, "unseen speakers, phase alone (seen kinds)": known.pick(np.isin(known.generators, ["real", *PHASE_ALONE]))}
    sets |= {name: new.pick(np.isin(new.generators, ["real", *kinds])) for name, kinds in HELD_OUT.items()}
    rows = [row for name, scored in sets.items() for row in package.rows(name, scored, fit, paired=True)]
    sets[ENGINE] = new.pick(np.isin(new.generators, ["real", *ENGINES_UNSEEN]))
    return sets, rows + package.rows(ENGINE, sets[ENGINE], fit, paired=False)


def chance_rows(family: Family, extra_media: Path, readers: Collection[str]) -> list[dict]:
    """How far from .5 nets get that have learnt nothing, either way: what a figure on so few utterances has to be seen against."""
    nets = []
    for seed in range(UNTRAINED):
        torch.manual_seed(seed)
        nets.append(family.net().eval())

    def judge(clip: np.ndarray) -> list[float]:
        parts = torch.from_numpy(sound_reading.items(clip, family.pipeline)[:MOST_PARTS])
        with torch.no_grad():
            return [0.0, *(float(net(parts)[0].mean()) for net in nets)]

    rows = []
    for name, real, fake, paired in audio_pool.FOREIGN:
        if paired:
            scored = audio_pool.foreign(judge, extra_media, readers, lambda generator: generator in real or generator.startswith(fake))
            far = [max(value, 1 - value) for value in (metrics.macro_paired_auc(logits, scored.labels, scored.sources) for logits in scored.features.T)]
            row = {"dataset": f"{name}: untrained", "metric": "macro paired AUC of nets before training, farther side", "value": round(float(np.mean(far)), 3)}
            rows.append(row | {"note": f"mean of {UNTRAINED} nets; the farthest is at {max(far):.3f}"})
    return rows


def smaller(family: Family, pools: Pools, folder: Path, plain: tuple[Scored, Scored], fit: dict) -> finished.Smaller:
    def score(session: finished.Session) -> tuple[Scored, Scored]:
        judge = judge_of(session, family.pipeline)
        return tuple(audio_pool.score(judge, pools.get(name)) for name in ("calibration", "known"))

    clips = pools.get("calibration").sound[1]
    looked_at = [clips[i].astype(np.float32) / 32_768 for i in np.unique(np.linspace(0, len(clips) - 1, finished.CALIBRATION_PARTS).round().astype(int))]
    batches = []
    for clip in looked_at:
        try:
            batches.append(sound_reading.items(clip, family.pipeline)[:1])
        except ValueError:
            continue
    return finished.smaller(folder, family.graph_input, batches, family.fixed, score, plain, fit)


def size_rows(family: Family, folder: Path, small: finished.Smaller) -> list[dict]:
    """How small it is, beside the published net of its kind, whose tensors have four bytes each."""
    full, own = family.full_parameters(), parameters(family.net())
    rows = [
        {"dataset": "size", "metric": "parameters", "value": own, "note": f"{family.full_size}, of full size, has {full}: {full / own:.1f} times as many"},
        {"dataset": "size", "metric": "bytes of the graph", "value": (folder / "classifier.onnx").stat().st_size, "note": f"the parameters of {family.full_size} have {4 * full}"},
    ]
    if not small.refused:
        rows.append({"dataset": "size", "metric": "bytes of the INT8 graph", "value": (folder / small.file).stat().st_size})
    rows += [
        {"dataset": "INT8", "metric": "AUC, FP32 minus INT8", "value": round(small.auc_cost, 4), "note": small.note},
        {"dataset": "INT8", "metric": "ECE, INT8 minus FP32", "value": round(small.ece_cost, 4)},
        {"dataset": "INT8", "metric": "times as fast as FP32", "value": round(small.times_as_fast, 2), "note": "one thread of the machine that made the package"},
    ]
    return rows


def golden_files() -> dict[str, Path]:
    """Those of audio-spectrogram-cnn, and the same words with their magnitudes and a guessed phase."""
    found = audio_pool.golden_files()
    clip = sources.audio(found["real"])
    found["fake-phase"] = found["real"].with_name("fake-phase.flac")
    sources.save_flac(audio_pairs.audio_vocoders.full_griffin_lim(clip, np.random.default_rng(1)), found["fake-phase"])
    return found


def card_of(family: Family, pools: Pools, status: str) -> dict:
    trained = (
        "Voices from Debian's asterisk-core-sounds-*, asterisk-prompt-it-menardi, festvox-ru, klettres-data and ktuberling-data, split by speaker"
        f"{extra_text(pools)}; fakes are the same utterances through {', '.join(SEEN)} (two of them neural, trained here), and speech by {' and '.join(ENGINES_SEEN)}."
    )
    return {
        "license": "Apache-2.0", "status": status,
        "intendedUse": "Shows the family at work in small: a first hint on classic and small neural vocoders and speech engines. Not evidence.",
        "limitations": f"Not trained on {', '.join((*UNSEEN, *ENGINES_UNSEEN))} nor on any current neural speech: the rows of the evaluation say what of it is caught. Calibrated on "
        "the kinds of the training; on others a sure score means little. Recordings unlike its training voices may be called fake.",
        "trainingData": trained,
    }


def extra_text(pools: Pools) -> str:
    if not pools.extra:
        return ""
    readers, digits = (sum(s.name.startswith(start) for s in pools.extra) for start in ("reader-", "digits-"))
    parts = [text for count, text in ((readers, f"{readers} readers of LibriSpeech (CC-BY-4.0)"), (digits, f"{digits} speakers of the Free Spoken Digit Dataset (CC-BY-SA-4.0)")) if count]
    others = len(pools.extra) - readers - digits
    return ", and recordings beside (--extra-real): " + ", ".join([*parts, *([f"{others} further speakers"] if others else [])])


if __name__ == "__main__":
    main()
