#!/usr/bin/env python3
"""Makes features.json and measures.json again: what librosa, scipy and numpy say of one recording of the fixtures.

    python3 -m venv VENV && VENV/bin/pip install --require-hashes -r test/golden/sound/requirements.txt
    VENV/bin/python test/golden/sound/make.py

inference/dsp/features.test.ts and sound-measures.test.ts hold the pod to these values. Every case of features.json carries the options
by the names that dsp/features.ts gives them.
"""

from __future__ import annotations

import json
from pathlib import Path

import librosa
import numpy as np
import scipy.fft
import scipy.signal
import soundfile

HERE = Path(__file__).parent
MEDIA = HERE.parents[1] / "fixtures" / "media"
RATE = 16_000
#: A quarter of a second in which the voice speaks.
EXCERPT = slice(20_000, 24_000)

MEL = {
    "sampleRate": RATE,
    "stft": {"fftSize": 512, "windowLength": 400, "hop": 320, "window": "hann", "padding": "zeros"},
    "spectrum": "power",
    "kind": {"type": "log-mel", "filters": 40, "minHz": 0, "maxHz": 8000, "melScale": "slaney", "unitArea": True},
    "scale": {"type": "decibels", "reference": "max", "floor": 1e-10, "topDb": 60},
    "normalisation": {"type": "none"},
}
HTK = {
    **MEL,
    "stft": {"fftSize": 512, "windowLength": 512, "hop": 320, "window": "hann", "padding": "reflect"},
    "spectrum": "magnitude",
    "kind": {"type": "log-mel", "filters": 32, "minHz": 60, "maxHz": 7600, "melScale": "htk", "unitArea": False},
    "scale": {"type": "logarithm", "base": "e", "epsilon": 1e-6},
    "normalisation": {"type": "mean-std"},
}
LINEAR = {
    **MEL,
    "stft": {"fftSize": 128, "windowLength": 128, "hop": 160, "window": "hann", "padding": "none"},
    "kind": {"type": "log-spectrogram", "bins": 48},
    "scale": {"type": "decibels", "reference": 1, "floor": 1e-10, "topDb": None},
    "normalisation": {"type": "per-bin-mean"},
}
LFCC = {
    **MEL,
    "stft": {"fftSize": 1024, "windowLength": 320, "hop": 320, "window": "hamming", "padding": "zeros"},
    "kind": {
        "type": "lfcc", "filters": 20, "minHz": 0, "maxHz": 4000, "coefficients": 20,
        "deltaOrders": 2, "delta": {"type": "difference"}, "energyFirst": True,
    },
    "scale": {"type": "logarithm", "base": "10", "epsilon": 2**-23},
}
LFCC_REGRESSION = {
    **LFCC,
    "stft": {**LFCC["stft"], "window": "hann"},
    "kind": {
        **LFCC["kind"], "maxHz": 8000, "coefficients": 13,
        "deltaOrders": 1, "delta": {"type": "regression", "width": 9}, "energyFirst": False,
    },
}


def triangles(rate: int, fft: int, filters: int, low: float, high: float) -> np.ndarray:
    """[filters, fft / 2 + 1]: triangles that are equally wide in Hz."""
    bins = np.linspace(0, rate / 2, fft // 2 + 1)
    edges = np.linspace(low, high, filters + 2)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


def features(samples: np.ndarray, options: dict) -> np.ndarray:
    """[bins, frames]"""
    stft, kind, scale = options["stft"], options["kind"], options["scale"]
    fft, padding = stft["fftSize"], stft["padding"]
    spectrum = np.abs(
        librosa.stft(
            samples, n_fft=fft, hop_length=stft["hop"], win_length=stft["windowLength"],
            window=scipy.signal.get_window(stft["window"], stft["windowLength"], fftbins=True),
            center=padding != "none", pad_mode="constant" if padding != "reflect" else "reflect",
        )
    )
    energy = np.log10((spectrum**2).sum(axis=0) / fft + 2**-23)
    if options["spectrum"] == "power":
        spectrum = spectrum**2
    if kind["type"] == "log-mel":
        spectrum = librosa.filters.mel(
            sr=RATE, n_fft=fft, n_mels=kind["filters"], fmin=kind["minHz"], fmax=kind["maxHz"],
            htk=kind["melScale"] == "htk", norm="slaney" if kind["unitArea"] else None,
        ) @ spectrum
    elif kind["type"] == "lfcc":
        spectrum = triangles(RATE, fft, kind["filters"], kind["minHz"], kind["maxHz"]) @ spectrum
    else:
        spectrum = spectrum[: kind["bins"]]
    if scale["type"] == "decibels":
        reference = np.max if scale["reference"] == "max" else scale["reference"]
        levels = librosa.power_to_db(spectrum, ref=reference, amin=scale["floor"], top_db=scale["topDb"])
    else:
        levels = np.log(spectrum + scale["epsilon"]) / (np.log(10) if scale["base"] == "10" else 1)
    if kind["type"] == "lfcc":
        levels = cepstrum(levels, energy, kind)
    if options["normalisation"]["type"] == "per-bin-mean":
        levels = levels - levels.mean(axis=1, keepdims=True)
    if options["normalisation"]["type"] == "mean-std":
        levels = (levels - levels.mean()) / levels.std()
    return levels


def cepstrum(levels: np.ndarray, energy: np.ndarray, kind: dict) -> np.ndarray:
    planes = [scipy.fft.dct(levels, type=2, norm="ortho", axis=0)[: kind["coefficients"]]]
    if kind["energyFirst"]:
        planes[0][0] = energy
    for _ in range(kind["deltaOrders"]):
        last = planes[-1]
        if kind["delta"]["type"] == "difference":
            padded = np.pad(last, ((0, 0), (1, 1)), mode="edge")
            planes.append(padded[:, 2:] - padded[:, :-2])
        else:
            planes.append(librosa.feature.delta(last, width=kind["delta"]["width"], mode="nearest"))
    return np.concatenate(planes)


def measures(samples: np.ndarray) -> dict:
    pitch, _, _ = librosa.pyin(samples, fmin=librosa.note_to_hz("C2"), fmax=librosa.note_to_hz("C7"), sr=RATE)
    rms = librosa.feature.rms(y=samples)[0]
    sounding = rms > rms.max() * 10 ** (-40 / 20)
    intervals = librosa.effects.split(samples, top_db=40)
    spectrum = np.abs(librosa.stft(samples, n_fft=2048, hop_length=512))
    return {
        "mean_pitch_hz": float(np.nanmean(pitch)),
        "pitch_stability_score": float(max(0, 1 - np.nanstd(pitch) / 100)),
        "rms_energy": float(rms.mean()),
        "silence_ratio": float(1 - (intervals[:, 1] - intervals[:, 0]).sum() / samples.size),
        "spectral_centroid": float(librosa.feature.spectral_centroid(S=spectrum, sr=RATE)[0, sounding].mean()),
        "spectral_contrast": float(librosa.feature.spectral_contrast(S=spectrum, sr=RATE)[:, sounding].mean()),
    }


def recording(name: str) -> np.ndarray:
    samples, rate = soundfile.read(MEDIA / name, dtype="float32")
    assert rate == RATE and samples.ndim == 1
    return samples


def main() -> None:
    excerpt = recording("voice-real.flac")[EXCERPT]
    cases = {
        "log-mel in decibels": MEL,
        "log-mel of magnitudes, HTK's scale": HTK,
        "linear spectrogram": LINEAR,
        "LFCC with energy and differences": LFCC,
        "LFCC with regressions": LFCC_REGRESSION,
    }
    found = {}
    for name, options in cases.items():
        values = features(excerpt, options)
        rows = [[round(float(value), 5) for value in row] for row in values]
        found[name] = {"options": options, "bins": rows}
    write("features.json", {"file": "voice-real.flac", "from": EXCERPT.start, "to": EXCERPT.stop, "cases": found})
    names = ["voice-real.flac", "voice-fake.flac"]
    write("measures.json", {name: measures(recording(name)) for name in names})


def write(name: str, content: dict) -> None:
    (HERE / name).write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
