"""The audio detector: a log-spectrogram inside the graph, then a small convolutional net."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

FFT = 512
HOP = 320
BINS = FFT // 2 + 1


def fourier_kernels() -> torch.Tensor:
    """[2 * 257, 1, 512]: Hann-windowed cosines, then sines, scaled so that a full-scale sine has power near 1."""
    time = torch.arange(FFT, dtype=torch.float64)
    window = torch.hann_window(FFT, dtype=torch.float64)
    angle = 2 * math.pi * torch.outer(torch.arange(BINS, dtype=torch.float64), time) / FFT
    scale = 2 / window.sum()
    return (torch.cat([angle.cos(), angle.sin()]) * window * scale).float().unsqueeze(1)


def layer(inputs: int, outputs: int, stride: int | tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class SpectrogramNet(nn.Module):
    """float32 [N, 32000], 16 kHz, -1..1 -> logit [N, 1]; above zero means fake.

    Each bin's mean over time is removed, so that loudness, microphone and transmission filter say nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", fourier_kernels())
        self.register_buffer("height", torch.linspace(-1, 1, BINS).view(1, 1, BINS, 1))
        self.net = nn.Sequential(
            layer(2, 12, (2, 1)), layer(12, 24, 2), layer(24, 24, 1), layer(24, 36, 2), layer(36, 36, 1), layer(36, 48, 2),
            layer(48, 48, 1),
        )
        self.head = nn.Linear(96, 1)

    def spectrogram(self, samples: torch.Tensor) -> torch.Tensor:
        waves = F.conv1d(samples.unsqueeze(1), self.kernels, stride=HOP)
        power = waves[:, :BINS] ** 2 + waves[:, BINS:] ** 2
        logs = torch.log(power + 1e-9) * 0.25
        return (logs - logs.mean(2, keepdim=True)).unsqueeze(1)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        logs = self.spectrogram(samples)
        features = self.net(torch.cat([logs, self.height + 0 * logs], 1))
        mean = features.mean((2, 3))
        spread = ((features - mean[:, :, None, None]) ** 2).mean((2, 3))
        return self.head(torch.cat([mean, torch.sqrt(spread + 1e-5)], 1))
