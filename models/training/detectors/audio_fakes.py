"""Fake speech by construction: vocoders that rebuild a natural utterance, and speech engines that read a text.

Arrays are float32 [T], mono, 16 kHz, in [-1, 1].
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from scipy import signal
from torch import nn
from torch.nn import functional as F

from detectors import sources
from detectors.windows import SAMPLE_RATE

PAIRED_TRAINED = ("griffin-lim", "lpc-vocoder", "neural-transposed")
ENGINES_TRAINED = ("espeak-ng", "flite")
PAIRED_HELD_OUT = ("world", "neural-nearest")
ENGINE_HELD_OUT = "festival-hts"


def mel_matrix(bands: int, bins: int) -> np.ndarray:
    """[bands, bins] triangles, evenly spread on the mel scale from 0 to 8 kHz."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1) / (SAMPLE_RATE / 2) * (bins - 1)
    at = np.arange(bins)
    left, middle, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weights = np.maximum(0, np.minimum((at - left) / np.maximum(middle - left, 1e-6), (right - at) / np.maximum(right - middle, 1e-6)))
    return weights + (weights.sum(1, keepdims=True) == 0) * (np.abs(at - middle) < 0.5)


def griffin_lim(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Through a mel spectrogram and back: the magnitude by pseudo-inverse, the phase by fast Griffin-Lim."""
    size = int(rng.choice([512, 1024]))
    hop, bands, rounds = size // 4, int(rng.choice([64, 80, 100, 128])), int(rng.integers(12, 40))
    _, _, spectrum = signal.stft(samples, nperseg=size, noverlap=size - hop)
    mel = mel_matrix(bands, spectrum.shape[0])
    magnitude = np.maximum(0, np.linalg.pinv(mel) @ (mel @ np.abs(spectrum)))
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    previous = np.zeros_like(phase)
    for _ in range(rounds):
        _, wave = signal.istft(magnitude * phase, nperseg=size, noverlap=size - hop)
        _, _, rebuilt = signal.stft(wave, nperseg=size, noverlap=size - hop)
        rebuilt = rebuilt[:, : magnitude.shape[1]]
        ahead = rebuilt + 0.9 * (rebuilt - previous)
        previous = rebuilt
        phase = ahead / (np.abs(ahead) + 1e-9)
    _, wave = signal.istft(magnitude * phase, nperseg=size, noverlap=size - hop)
    return fitted(wave, samples)


def lpc_vocoder(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Classic source-filter speech: pulses or noise through an all-pole filter, frame by frame."""
    order, size, hop = int(rng.choice([16, 20, 28])), 480, 160
    window = np.hanning(size)
    padded = np.pad(samples, (size, size))
    out = np.zeros(padded.size)
    next_pulse = 0
    breath = float(rng.uniform(0.02, 0.2))
    for start in range(0, padded.size - size, hop):
        frame = padded[start : start + size] * window
        correlation = signal.correlate(frame, frame, "full", "fft")[size - 1 :]
        if correlation[0] < 1e-6:
            next_pulse = max(next_pulse, start + hop)
            continue
        toeplitz = correlation[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
        filter_ = np.linalg.solve(toeplitz + 1e-4 * correlation[0] * np.eye(order), correlation[1 : order + 1])
        error = max(1e-9, correlation[0] - filter_ @ correlation[1 : order + 1])
        lag = 40 + int(np.argmax(correlation[40:267]))
        voiced = correlation[lag] > 0.35 * correlation[0]
        excitation = rng.standard_normal(hop) * (breath if voiced else 1)
        if voiced:
            next_pulse = max(next_pulse, start)
            while next_pulse < start + hop:
                excitation[next_pulse - start] += np.sqrt(lag)
                next_pulse += lag
        shaped = signal.lfilter([np.sqrt(error / np.sum(window**2))], [1, *-filter_], np.concatenate([excitation, np.zeros(hop)]))
        out[start + hop : start + 3 * hop] += shaped
    return fitted(out[size : size + samples.size], samples)


def world(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """WORLD analysis and synthesis: pitch, envelope and aperiodicity only."""
    import pyworld

    wave = samples.astype(np.float64)
    pitch, times = pyworld.dio(wave, SAMPLE_RATE)
    pitch = pyworld.stonemask(wave, pitch, times, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(wave, pitch, times, SAMPLE_RATE)
    aperiodicity = pyworld.d4c(wave, pitch, times, SAMPLE_RATE)
    return fitted(pyworld.synthesize(pitch * float(rng.choice([1.0, 0.94, 1.06])), envelope, aperiodicity, SAMPLE_RATE), samples)


def fitted(wave: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The wave at the length and the loudness of the utterance that it stands for."""
    wave = np.pad(wave, (0, max(0, like.size - wave.size)))[: like.size]
    gain = np.sqrt(np.mean(like**2)) / (np.sqrt(np.mean(wave**2)) + 1e-9)
    return np.clip(wave * gain, -1, 1).astype(np.float32)


class Codec(nn.Module):
    """A waveform autoencoder: 16 samples become one latent vector, and come back through learned up-sampling."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        width, latent = 24, 10
        self.encoder = nn.Sequential(
            nn.Conv1d(1, width, 16, stride=4, padding=6), nn.ELU(), nn.Conv1d(width, 2 * width, 8, stride=4, padding=2), nn.ELU(),
            nn.Conv1d(2 * width, 2 * width, 5, padding=2), nn.ELU(), nn.Conv1d(2 * width, latent, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv1d(latent, 2 * width, 5, padding=2), nn.ELU(), nn.Conv1d(2 * width, 2 * width, 5, padding=2), nn.ELU(),
            self.upsample(kind, 2 * width, width), nn.ELU(), nn.Conv1d(width, width, 5, padding=2), nn.ELU(), self.upsample(kind, width, 1),
        )

    @staticmethod
    def upsample(kind: str, inputs: int, outputs: int) -> nn.Module:
        if kind == "neural-transposed":
            return nn.ConvTranspose1d(inputs, outputs, 16, stride=4, padding=6)
        return nn.Sequential(nn.Upsample(scale_factor=4, mode="nearest"), nn.Conv1d(inputs, outputs, 9, padding=4))

    def forward(self, x: torch.Tensor, noise: float = 0.0) -> torch.Tensor:
        latent = self.encoder(x)
        return self.decoder(latent + noise * latent.std() * torch.randn_like(latent) if noise else latent)


def train_codec(kind: str, pool: np.ndarray, steps: int, seed: int) -> Codec:
    """Fits one waveform autoencoder to int16 [N, T] utterances; error in the wave and in its spectrum."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Codec(kind)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    window = torch.hann_window(512)
    ratios, started = [], time.time()
    for _ in range(steps):
        at = int(rng.integers(0, pool.shape[1] - 6_000))
        clip = torch.from_numpy(pool[rng.integers(0, len(pool), 8), at : at + 6_000].astype(np.float32) / 32_768)[:, None]
        clip = clip / (clip.abs().amax(2, keepdim=True) + 1e-3)
        made = net(clip)
        spectra = [torch.stft(w[:, 0], 512, 128, window=window, return_complex=True).abs() for w in (made, clip)]
        loss = F.mse_loss(made, clip) * 20 + (torch.log(spectra[0] + 0.01) - torch.log(spectra[1] + 0.01)).abs().mean() * 0.2
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        ratios.append(float((clip**2).mean() / F.mse_loss(made, clip)))
    print(f"  generator {kind}: {10 * np.log10(np.mean(ratios[-50:])):.1f} dB after {steps} steps, {time.time() - started:.0f} s", flush=True)
    return net.eval()


def recoded(net: Codec, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    peak = np.abs(samples).max() + 1e-3
    with torch.no_grad():
        made = net(torch.from_numpy(samples / peak)[None, None], float(rng.choice([0.0, 0.03, 0.08])))[0, 0].numpy()
    return fitted(made, samples)


def spoken(engine: str, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Sentences read by a speech engine; a sentence is chosen with a voice and a speed."""
    lines = [line.split("\t") for line in (sources.ROOT / "sentences.tsv").read_text().splitlines()]
    english = [text for language, text in lines if language == "en"]
    out = []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "speech.wav"
        for _ in range(count):
            language, text = lines[int(rng.integers(len(lines)))]
            if engine != "espeak-ng":
                text = english[int(rng.integers(len(english)))]
            speak(engine, language, text, target, rng)
            out.append(sources.audio(target))
    return out


def speak(engine: str, language: str, text: str, target: Path, rng: np.random.Generator) -> None:
    if engine == "espeak-ng":
        voice = f"{language}+{rng.choice(['m1', 'm3', 'm5', 'm7', 'f1', 'f2', 'f4', 'f5'])}"
        speed, pitch = str(int(rng.integers(130, 190))), str(int(rng.integers(25, 75)))
        subprocess.run(["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "-w", str(target), text], check=True)
    elif engine == "flite":
        voice, stretch = str(rng.choice(["kal16", "awb", "rms"])), f"duration_stretch={rng.uniform(0.85, 1.2):.2f}"
        subprocess.run(["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", str(target)], check=True)
    else:
        command = ["text2wave", "-eval", "(voice_cmu_us_slt_arctic_hts)", "-o", str(target)]
        subprocess.run(command, input=text.encode(), check=True, stderr=subprocess.DEVNULL)
