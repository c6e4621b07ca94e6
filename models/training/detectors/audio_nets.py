"""Three small detectors of sound: of samples, of cepstra, and of wavelet scattering. Each gives a logit and the features it rests on.

All of them end in means and deviations weighed by attention, so that they may learn from shorter windows than they judge.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

RATE = 16_000
#: Numbers that a file is described by: few, so that a Gaussian over them can be told from little media.
FEATURES = 24


class Pooled(nn.Module):
    """[N, C, T] -> features [N, 24] and logit [N, 1]: attentive mean and deviation over time, then two dense layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.Conv1d(channels, 16, 1), nn.Tanh(), nn.Conv1d(16, channels, 1))
        self.dense = nn.Linear(2 * channels, FEATURES)
        self.norm = nn.BatchNorm1d(FEATURES)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(FEATURES, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weights = torch.softmax(self.attention(x), 2)
        mean = (weights * x).sum(2)
        spread = (weights * (x - mean.unsqueeze(2)) ** 2).sum(2)
        features = self.norm(self.dense(self.drop(torch.cat([mean, torch.sqrt(spread + 1e-5)], 1))))
        return self.last(F.relu(features)), features


def mel_edges(count: int, lowest: float, highest: float) -> torch.Tensor:
    mel = torch.linspace(2595 * math.log10(1 + lowest / 700), 2595 * math.log10(1 + highest / 700), count)
    return 700 * (10 ** (mel / 2595) - 1)


class Sinc(nn.Module):
    """Band-pass filters whose two edges are learnt, as in RawNet2; [N, 1, T] -> [N, filters, T / stride]."""

    def __init__(self, filters: int, taps: int, stride: int) -> None:
        super().__init__()
        edges = mel_edges(filters + 1, 30, RATE / 2 - 50)
        self.low = nn.Parameter(edges[:-1] / RATE)
        self.width = nn.Parameter((edges[1:] - edges[:-1]) / RATE)
        self.register_buffer("time", torch.arange(taps) - (taps - 1) / 2)
        self.register_buffer("window", torch.hamming_window(taps, periodic=False))
        self.stride, self.taps = stride, taps
        self.frozen: nn.Parameter | None = None

    def kernels(self) -> torch.Tensor:
        low = self.low.abs().clamp(0, 0.5).unsqueeze(1)
        high = (low + self.width.abs().unsqueeze(1) + 20 / RATE).clamp(max=0.5)
        made = (2 * high * torch.sinc(2 * high * self.time) - 2 * low * torch.sinc(2 * low * self.time)) * self.window
        return (made / (made.norm(dim=1, keepdim=True) + 1e-6)).unsqueeze(1)

    def freeze(self) -> None:
        """For the graph: the kernels as numbers."""
        self.frozen = nn.Parameter(self.kernels().detach(), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv1d(x, self.kernels() if self.frozen is None else self.frozen, stride=self.stride, padding=self.taps // 2)


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm1d(channels), nn.LeakyReLU(0.2),
            nn.Conv1d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm1d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(x + self.body(x), 0.2)


def down(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(inputs, outputs, 5, stride=stride, padding=2, bias=False), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.2))


class WaveformNet(nn.Module):
    """float32 [N, T], 16 kHz, pre-emphasised: samples through sinc filters at a quarter of the rate, phase and all, and residual blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.front = Sinc(40, 97, 4)
        self.body = nn.Sequential(
            nn.BatchNorm1d(40), nn.LeakyReLU(0.2), down(40, 48, 4), Residual(48), down(48, 64, 2), Residual(64), down(64, 96, 2), Residual(96),
        )
        self.head = Pooled(96)

    def forward(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.head(self.body(self.front(samples.unsqueeze(1)) * 4))

    def freeze(self) -> None:
        self.front.freeze()


class MaxFeature(nn.Module):
    """A convolution of twice the channels, of which the larger of each two is kept: what LCNN has for an activation."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(inputs, 2 * outputs, size, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(2 * outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.norm(self.layer(x)).chunk(2, 1)
        return torch.maximum(one, other)


class LfccNet(nn.Module):
    """float32 [N, 1, bins, frames], cepstra and their deltas: a light convolutional net, each kind of row for itself at first."""

    def __init__(self, rows: int, kinds: int) -> None:
        super().__init__()
        self.rows, self.kinds = rows, kinds
        self.scale = nn.BatchNorm1d(rows * kinds, affine=False)
        self.body = nn.Sequential(
            MaxFeature(kinds, 16, 5), nn.MaxPool2d(2), MaxFeature(16, 16, 1), MaxFeature(16, 24, 3), nn.MaxPool2d(2),
            MaxFeature(24, 24, 1), MaxFeature(24, 32, 3), nn.MaxPool2d(2), MaxFeature(32, 32, 1), MaxFeature(32, 24, 3),
        )
        self.head = Pooled(24 * (rows // 8))

    def forward(self, cepstra: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        frames = cepstra.shape[3]
        planes = self.scale(cepstra.squeeze(1)).reshape(-1, self.kinds, self.rows, frames)
        made = self.body(planes)
        return self.head(made.flatten(1, 2))

    def freeze(self) -> None:
        return None


def wavelets(centres: list[float], widths: list[float], taps: int) -> torch.Tensor:
    """[2 * len, 1, taps]: Morlet wavelets, real parts before imaginary ones; centre and width in cycles per sample, without a mean, unit gain at the centre."""
    time = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    parts: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for centre, width in zip(centres, widths):
        bell = torch.exp(-0.5 * (2 * math.pi * width * time) ** 2)
        real, imaginary = bell * torch.cos(2 * math.pi * centre * time), bell * torch.sin(2 * math.pi * centre * time)
        real = real - bell * real.sum() / bell.sum()
        scale = (bell * torch.cos(0 * time)).sum()
        parts[0].append(real / scale)
        parts[1].append(imaginary / scale)
    return torch.stack([*parts[0], *parts[1]]).float().unsqueeze(1)


class Scattering(nn.Module):
    """float32 [N, T] -> [N, 40 * (1 + 6), T / 640]: log moduli of wavelets, and of wavelets of these moduli, averaged over 40 ms.

    First order: 40 Morlet wavelets, eight to an octave where that fits into 512 samples and 60 Hz wide below, sampled at 1 kHz. Second order: six, an octave
    apart, of each modulus, relative to its own level. Each row of the first order loses its mean over time, and with it microphone and loudness.
    """

    def __init__(self) -> None:
        super().__init__()
        centres = [*(110 + 90 * i for i in range(8))]
        ratio = (7_600 / 800) ** (1 / 31)
        centres = [c / RATE for c in (*centres, *(800 * ratio ** i for i in range(32)))]
        widths = [max(60 / RATE, centre * (ratio - 1) * 0.6) for centre in centres]
        self.first = len(centres)
        self.register_buffer("kernels", wavelets(centres, widths, 512))
        beats = [0.25 / 2**i for i in range(6)]
        self.second = len(beats)
        self.register_buffer("beats", wavelets(beats, [b * 0.45 for b in beats], 96))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        waves = F.conv1d(samples.unsqueeze(1), self.kernels, stride=16, padding=256)
        moduli = torch.sqrt(waves[:, : self.first] ** 2 + waves[:, self.first :] ** 2 + 1e-10)
        length = moduli.shape[2]
        beating = F.conv1d(moduli.reshape(-1, 1, length), self.beats, stride=4, padding=48)
        depth = torch.sqrt(beating[:, : self.second] ** 2 + beating[:, self.second :] ** 2 + 1e-12)
        level = F.avg_pool1d(moduli, 40, 40)
        depth = F.avg_pool1d(depth, 10, 10).reshape(-1, self.first, self.second, depth.shape[2] // 10)
        frames = min(depth.shape[3], level.shape[2])
        level, depth = level[:, :, :frames], depth[:, :, :, :frames]
        logs = torch.log(level + 1e-4)
        ratios = torch.log(depth / (level.unsqueeze(2) + 1e-4) + 1e-3)
        return torch.cat([(logs - logs.mean(2, keepdim=True)), ratios.flatten(1, 2)], 1) * 0.5


class ScatteringNet(nn.Module):
    """float32 [N, T], 16 kHz: fixed wavelets, then dense layers of each 40 ms and of their statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.scattering = Scattering()
        rows = self.scattering.first * (1 + self.scattering.second)
        self.body = nn.Sequential(
            nn.BatchNorm1d(rows, affine=False), nn.Conv1d(rows, 128, 1, bias=False), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.1),
            nn.Conv1d(128, 64, 3, padding=1, bias=False), nn.BatchNorm1d(64), nn.ReLU(),
        )
        self.head = Pooled(64)

    def forward(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            scattered = self.scattering(samples)
        return self.head(self.body(scattered))

    def freeze(self) -> None:
        return None
