"""Fakes by construction for the nets that hear phase: beside the kinds of `audio_fakes.py`, vocoders that keep the magnitude and lose the phase,
images of up-sampling, coarse residuals, and two small neural vocoders that know a mel spectrogram and a pitch.

Arrays are float32 [T], mono, 16 kHz, in [-1, 1].
"""

from __future__ import annotations

import time

import numpy as np
import torch
from scipy import ndimage, signal
from torch import nn
from torch.nn import functional as F

from detectors import audio_fakes
from detectors.audio_fakes import fitted, mel_matrix
from detectors.windows import SAMPLE_RATE

FFT, HOP, BANDS = 512, 128, 80


def full_griffin_lim(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The magnitude of every bin is kept, the phase is guessed: what a vocoder with a perfect spectrum would do."""
    size = int(rng.choice([256, 512, 1024]))
    overlap, rounds = size - size // int(rng.choice([2, 4])), int(rng.integers(4, 30))
    magnitude = np.abs(signal.stft(samples, nperseg=size, noverlap=overlap)[2])
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    for _ in range(rounds):
        _, wave = signal.istft(magnitude * phase, nperseg=size, noverlap=overlap)
        rebuilt = signal.stft(wave, nperseg=size, noverlap=overlap)[2][:, : magnitude.shape[1]]
        rebuilt = np.pad(rebuilt, ((0, 0), (0, magnitude.shape[1] - rebuilt.shape[1])))
        phase = rebuilt / (np.abs(rebuilt) + 1e-9)
    _, wave = signal.istft(magnitude * phase, nperseg=size, noverlap=overlap)
    return fitted(wave, samples)


def phase_drift(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth random offsets on the phase of each bin over time, often above a cut alone; the magnitude stays."""
    size = int(rng.choice([256, 512, 1024]))
    _, _, spectrum = signal.stft(samples, nperseg=size, noverlap=size * 3 // 4)
    field = ndimage.gaussian_filter(rng.standard_normal(spectrum.shape), (float(rng.uniform(0.3, 6)), float(rng.uniform(0.5, 8))), mode="wrap")
    field *= float(rng.uniform(0.6, 3.0)) / (field.std() + 1e-9)
    if rng.random() < 0.5:
        field[: int(rng.uniform(0.05, 0.4) * len(field))] = 0
    _, wave = signal.istft(spectrum * np.exp(1j * field), nperseg=size, noverlap=size * 3 // 4)
    return fitted(wave, samples)


def stretched(samples: np.ndarray, rate: float, size: int) -> np.ndarray:
    """A classic phase vocoder: the phase of each bin goes on by its measured frequency."""
    hop = size // 4
    _, _, spectrum = signal.stft(samples, nperseg=size, noverlap=size - hop)
    at = np.arange(0, spectrum.shape[1] - 1, rate)
    left = at.astype(int)
    part = at - left
    magnitude = np.abs(spectrum[:, left]) * (1 - part) + np.abs(spectrum[:, left + 1]) * part
    expected = 2 * np.pi * hop * np.arange(len(spectrum))[:, None] / size
    step = np.angle(spectrum[:, left + 1]) - np.angle(spectrum[:, left]) - expected
    step = step - 2 * np.pi * np.round(step / (2 * np.pi)) + expected
    phase = np.cumsum(np.concatenate([np.angle(spectrum[:, :1]), step[:, :-1]], 1), 1)
    return signal.istft(magnitude * np.exp(1j * phase), nperseg=size, noverlap=size - hop)[1]


def phase_vocoder(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stretched and shortened again, so that only the phase has gone astray."""
    size, rate = int(rng.choice([512, 1024])), float(rng.choice([0.8, 0.9, 1.12, 1.25]))
    return fitted(stretched(stretched(samples, rate, size), 1 / rate, size), samples)


def images(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What networks leave that up-sample by zeros or repetition: mirrored bands through short filters, and faint tones at fractions of the rate."""
    factor = int(rng.choice([2, 4, 8]))
    low = signal.resample_poly(samples, 1, factor)
    up = np.zeros(low.size * factor)
    up[::factor] = low * factor
    length = int(rng.integers(factor, 4 * factor + 2))
    kernel = np.hanning(length + 2)[1:-1] * (1 + 0.3 * rng.standard_normal(length))
    up = signal.lfilter(kernel / kernel.sum(), [1], up)[length // 2 :]
    up = np.pad(up, (0, max(0, samples.size - up.size)))[: samples.size]
    detail = samples - np.pad(signal.resample_poly(low, factor, 1), (0, factor))[: samples.size]
    wave = up + float(rng.uniform(0.0, 0.9)) * detail
    if rng.random() < 0.5:
        tone = np.cos(2 * np.pi * np.arange(samples.size) / factor * rng.integers(1, factor) + rng.uniform(0, 6))
        level = np.convolve(np.abs(samples), np.ones(400) / 400, "same")
        wave = wave + float(rng.uniform(0.003, 0.03)) * tone * level
    return fitted(wave, samples)


def coarse_residual(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Linear prediction whose residual is kept in a narrow band and few levels, and folded up again, as low-rate coders do."""
    order, size, hop, keep = int(rng.choice([12, 16, 20])), 480, 240, int(rng.choice([2, 3, 4]))
    levels = int(rng.choice([4, 8, 16]))
    window = np.hanning(size)
    out = np.zeros(samples.size + size)
    for start in range(0, samples.size - size, hop):
        frame = samples[start : start + size] * np.sqrt(window)
        correlation = signal.correlate(frame, frame, "full", "fft")[size - 1 : size + order]
        if correlation[0] < 1e-6:
            continue
        toeplitz = correlation[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
        filter_ = np.concatenate([[1], -np.linalg.solve(toeplitz + 1e-4 * correlation[0] * np.eye(order), correlation[1:])])
        residual = signal.lfilter(filter_, [1], frame)
        kept = np.zeros(size)
        kept[::keep] = signal.resample_poly(residual, 1, keep)[: len(kept[::keep])]
        unit = np.abs(kept).max() / levels + 1e-9
        out[start : start + size] += signal.lfilter([1], filter_, np.round(kept / unit) * unit * keep**0.5) * np.sqrt(window)
    return fitted(out[: samples.size], samples)


def peaks(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sinusoids and noise: the strongest peaks of each frame at phases that run on from frame to frame, the rest as noise of its level."""
    size, hop, most = 640, 160, int(rng.integers(20, 50))
    frames, times, spectrum = signal.stft(samples, nperseg=size, noverlap=size - hop)
    magnitude = np.abs(spectrum)
    padded = np.pad(magnitude, ((1, 1), (0, 0)))
    is_peak = (magnitude >= padded[:-2]) & (magnitude > padded[2:])
    strength = np.where(is_peak, magnitude, 0)
    cut = np.sort(strength, 0)[-most]
    at_peak = is_peak & (magnitude >= np.maximum(cut, 1e-6))
    near = ndimage.binary_dilation(at_peak, np.ones((3, 1)))
    phase = np.cumsum(2 * np.pi * hop * np.arange(len(spectrum))[:, None] / size + np.zeros_like(magnitude), 1) + rng.uniform(0, 2 * np.pi, (len(spectrum), 1))
    # The two neighbours of a peak turn the other way, as those of a sinusoid under a Hann window do.
    turned = phase + np.pi * (np.arange(len(spectrum))[:, None] % 2)
    noise = 2 * np.pi * rng.random(magnitude.shape)
    _, wave = signal.istft(magnitude * np.exp(1j * np.where(near, turned, noise)), nperseg=size, noverlap=size - hop)
    return fitted(wave, samples)


def excitation(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32 [2, T]: all harmonics of the pitch where there is one, with the same strength; and noise everywhere."""
    import pyworld

    wave = samples.astype(np.float64)
    pitch, times = pyworld.dio(wave, SAMPLE_RATE)
    pitch = pyworld.stonemask(wave, pitch, times, SAMPLE_RATE)
    at = np.arange(samples.size)
    track = np.interp(at / SAMPLE_RATE, times, pitch)
    voiced = np.interp(at / SAMPLE_RATE, times, (pitch > 0).astype(float)) > 0.99
    track = np.where(voiced, np.maximum(track, 60), 120)
    phase = 2 * np.pi * np.cumsum(track) / SAMPLE_RATE + rng.uniform(0, 2 * np.pi)
    count = np.floor(SAMPLE_RATE / 2 / track)
    half = np.sin(phase / 2)
    comb = np.where(np.abs(half) > 1e-4, np.sin((count + 0.5) * phase) / (2 * np.where(np.abs(half) > 1e-4, half, 1)), count + 0.5) - 0.5
    return np.stack([np.where(voiced, comb / np.sqrt(count), 0), rng.standard_normal(samples.size)]).astype(np.float32) * 0.3


class MelAnalysis(nn.Module):
    """[N, T] -> log mel levels [N, 80, T / 128 + 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(FFT))
        self.register_buffer("bank", torch.from_numpy(mel_matrix(BANDS, FFT // 2 + 1)).float())

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(samples, FFT, HOP, window=self.window, return_complex=True).abs()
        return torch.log(self.bank @ spectrum + 1e-3) * 0.3


class SourceFilter(nn.Module):
    """`neural-source-filter`: an excitation comes down to a sixteenth of the rate, is shaped by the mel levels, and goes up by transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        width = 48
        self.mel = MelAnalysis()
        self.down = nn.Sequential(nn.Conv1d(2, 24, 16, stride=4, padding=6), nn.ELU(), nn.Conv1d(24, width, 8, stride=4, padding=2))
        self.levels = nn.Conv1d(BANDS, width, 3, padding=1)
        self.shape = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2 * d, dilation=d) for d in (1, 2, 4, 1))
        self.up = nn.Sequential(nn.ELU(), nn.ConvTranspose1d(width, 24, 16, stride=4, padding=6), nn.ELU(), nn.ConvTranspose1d(24, 1, 16, stride=4, padding=6))

    def forward(self, samples: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        made = self.down(source)
        levels = F.interpolate(self.levels(self.mel(samples)[:, :, :-1]), made.shape[2], mode="linear", align_corners=False)
        for layer in self.shape:
            made = made + F.elu(layer(made + levels))
        return self.up(made)[:, 0]


class Spectral(nn.Module):
    """`neural-spectral`: magnitude and phase of each frame from mel levels and the excitation's spectrum, then an inverse transform; no up-sampling layer."""

    def __init__(self) -> None:
        super().__init__()
        bins, width = FFT // 2 + 1, 192
        self.mel = MelAnalysis()
        self.body = nn.Sequential(
            nn.Conv1d(BANDS + bins, width, 3, padding=1), nn.ELU(), nn.Conv1d(width, width, 3, padding=1), nn.ELU(),
            nn.Conv1d(width, width, 3, padding=1), nn.ELU(), nn.Conv1d(width, 3 * bins, 1),
        )

    def forward(self, samples: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        window = self.mel.window
        harmonic = torch.stft(source[:, 0] + 0.1 * source[:, 1], FFT, HOP, window=window, return_complex=True)
        size = harmonic.abs() + 1e-4
        made = self.body(torch.cat([self.mel(samples), torch.log(size) * 0.3], 1))
        level, real, imaginary = made.chunk(3, 1)
        turn = torch.complex(1 + real, imaginary)
        spectrum = torch.exp(level.clamp(-12, 5)) * (harmonic / size) * (turn / (turn.abs() + 1e-4))
        return torch.istft(spectrum, FFT, HOP, window=window, length=samples.shape[1])


NEURAL = {"neural-source-filter": SourceFilter, "neural-spectral": Spectral}


def apart(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean distance of log spectra at three sizes; the phase is free."""
    total = made.new_zeros(())
    for size in (256, 512, 1024):
        window = torch.hann_window(size)
        mine, theirs = (torch.stft(wave, size, size // 4, window=window, return_complex=True).abs() for wave in (made, wanted))
        total = total + (torch.log(mine + 0.01) - torch.log(theirs + 0.01)).abs().mean() + (mine - theirs).norm() / (theirs.norm() + 1e-3) * 0.3
    return total


def train_vocoder(kind: str, pool: np.ndarray, steps: int, seed: int) -> nn.Module:
    """Fits one vocoder to int16 [N, T] utterances by the error of its spectra."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    chosen = pool[rng.permutation(len(pool))[:160]].astype(np.float32) / 32_768
    sources = np.stack([excitation(clip, rng) for clip in chosen])
    net = NEURAL[kind]()
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    losses, started, length = [], time.time(), 8_192
    for _ in range(steps):
        at, which = int(rng.integers(0, chosen.shape[1] - length)), rng.integers(0, len(chosen), 8)
        wanted = torch.from_numpy(chosen[which, at : at + length])
        loss = apart(net(wanted, torch.from_numpy(sources[which, :, at : at + length])), wanted)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss))
    print(f"  generator {kind}: spectra {np.mean(losses[:10]):.2f} apart at first, {np.mean(losses[-50:]):.2f} after {steps} steps, {time.time() - started:.0f} s", flush=True)
    return net.eval()


def vocoded(net: nn.Module, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    length = samples.size // HOP * HOP
    with torch.no_grad():
        made = net(torch.from_numpy(samples[None, :length]), torch.from_numpy(excitation(samples, rng)[None, :, :length]))[0].numpy()
    return fitted(made, samples)


def high_band(fake: np.ndarray, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Natural below a cut and fake above it: good vocoders are closest to nature at low frequencies."""
    cut = float(rng.uniform(1_000, 4_000))
    low = signal.butter(6, cut, fs=SAMPLE_RATE, output="sos")
    both = signal.sosfiltfilt(low, samples) + fake - signal.sosfiltfilt(low, fake)
    return np.clip(both, -1, 1).astype(np.float32)


BY_RULE = {
    "griffin-lim": audio_fakes.griffin_lim, "lpc-vocoder": audio_fakes.lpc_vocoder, "world": audio_fakes.world,
    "full-griffin-lim": full_griffin_lim, "phase-drift": phase_drift, "phase-vocoder": phase_vocoder, "images": images,
    "coarse-residual": coarse_residual, "sinusoids-and-noise": peaks,
}
