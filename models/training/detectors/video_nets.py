"""The nets of the detectors of videos. Pixels come as 0..255 and histograms as the pod computes them; each net scales what it takes."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


class Separable(nn.Sequential):
    """A 3 x 3 filter for each channel, then a mixture of channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), nn.ReLU(),
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
        )


class FrameEncoder(nn.Module):
    """float32 [n, 3, 112, 112], RGB, 0..255 -> features [n, 392]: eight numbers for each of 7 x 7 places of the picture.

    Four are measured: the mean of each colour, and how much fine detail there is, both after the picture's own mean colour and contrast are taken
    out, so that light that changes as a whole says little and a face that changes by itself does. Four are learnt.
    """

    places, learnt = 7, 4
    width = places**2 * (4 + learnt)

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(6, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            Separable(16, 24, 2), Separable(24, 32, 1), Separable(32, 48, 2), Separable(48, 64, 1), Separable(64, 96, 2), Separable(96, 96, 1),
            nn.Conv2d(96, self.learnt, 1),
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        centred = frames - frames.mean((2, 3), keepdim=True)
        level = centred / torch.sqrt((centred**2).mean((1, 2, 3), keepdim=True) + 1)
        detail = level - F.avg_pool2d(level, 5, 1, 2, count_include_pad=False)
        cell = frames.shape[2] // self.places
        measured = [F.avg_pool2d(level, cell), 3 * F.avg_pool2d(detail.abs().mean(1, keepdim=True), cell)]
        learnt = torch.tanh(self.net(torch.cat([level, 4 * detail], 1)))
        return torch.cat([*measured, learnt], 1).flatten(1)


class FrameNet(nn.Module):
    """float32 [n, 3, 112, 112], RGB, 0..255 -> logit [n, 1] of each frame by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = FrameEncoder()
        self.head = FrameHead()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(frames))


class FrameHead(nn.Sequential):
    """Features [n, 392] -> logit [n, 1]."""

    def __init__(self, hidden: int = 24) -> None:
        super().__init__(nn.Dropout(0.3), nn.Linear(FrameEncoder.width, hidden), nn.ReLU(), nn.Linear(hidden, 1))


class Reduced(nn.Module):
    """float32 [n, T, D] -> [n, T, 64]: what a step is, and what changed in it since the step before; nothing did in the first."""

    width = 48 + 16

    def __init__(self, width: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.changes, self.own = nn.Linear(width, 48), nn.Linear(width, 16)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        before = torch.cat([features[:, :1], features[:, :-1]], 1)
        changes = torch.relu(self.changes(self.dropout((features - before).abs())))
        return torch.cat([changes, torch.tanh(self.own(self.dropout(features)))], 2)


class PairNet(nn.Module):
    """float32 [n, 2, 3, 112, 112], two neighbouring frames -> logit [n, 1]: what the encoder is trained with."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = FrameEncoder()
        self.reduced = Reduced(FrameEncoder.width)
        self.head = nn.Linear(Reduced.width, 1)

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        features = self.encoder(pairs.flatten(0, 1)).unflatten(0, pairs.shape[:2])
        return self.head(self.reduced(features)[:, 1])


class Steps(nn.Module):
    """float32 [n, T, D] -> logits [n, T]: a GRU over features and what changed in them since the step before."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.reduced = Reduced(width, dropout)
        self.gru = nn.GRU(Reduced.width, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        seen, _ = self.gru(self.reduced(features))
        return self.out(seen)[:, :, 0]


class TemporalHead(nn.Module):
    """float32 [n, T, 392] -> logit [n, 1]: the mean over the steps; the first quarter of them has seen too little to count."""

    def __init__(self, width: int = FrameEncoder.width, hidden: int = 32) -> None:
        super().__init__()
        self.steps = Steps(width, hidden)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        steps = self.steps(features)
        return steps[:, steps.shape[1] // 4 :].mean(1, keepdim=True)


class ColourNet(nn.Module):
    """float32 [n, T, bins, bins], 0..255 -> logit [n, 1]: an LSTM over histograms, whose rare colours are raised, and their changes.

    Where the middle of all colours lies, and how far they spread, is measured beside: a skin that changes its colour moves it by less than a bin.
    """

    def __init__(self, bins: int = 32, hidden: int = 32) -> None:
        super().__init__()
        at = torch.arange(bins, dtype=torch.float32)
        self.register_buffer("places", torch.stack([at.repeat_interleave(bins), at.repeat(bins)], 1))
        self.dropout = nn.Dropout(0.3)
        self.reduce = nn.Linear(bins * bins, 24)
        self.lstm = nn.LSTM(2 * (24 + 4), hidden, batch_first=True)
        self.head = nn.Sequential(nn.Linear(2 * hidden, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, histograms: torch.Tensor) -> torch.Tensor:
        counts = histograms.flatten(2)
        shares = counts / (counts.sum(2, keepdim=True) + 1e-3)
        middle = shares @ self.places
        spread = torch.sqrt((shares @ self.places**2 - middle**2).clamp(min=0) + 1e-4)
        own = middle.mean(1, keepdim=True)
        reduced = torch.relu(self.reduce(self.dropout(torch.sqrt(counts / 255 + 1e-6))))
        step = torch.cat([reduced, middle - own, spread], 2)
        before = torch.cat([step[:, :1], step[:, :-1]], 1)
        scale = torch.cat([torch.ones_like(reduced[:1, :1]), torch.full_like(step[:1, :1, -4:], 4)], 2)
        seen, _ = self.lstm(torch.cat([step, scale * (step - before).abs()], 2))
        return self.head(torch.cat([seen.mean(1), seen[:, -1]], 1))


class EyeNet(nn.Module):
    """float32 [n, T, 3, side, side], RGB, 0..255 -> logit [n, 1]: pictures of both eyes through a small net, then a GRU over them."""

    def __init__(self, width: int = 48, hidden: int = 32) -> None:
        super().__init__()
        self.width = width
        self.net = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            Separable(16, 24, 1), Separable(24, 32, 2), Separable(32, 48, 1), Separable(48, 64, 2),
        )
        self.out = nn.Linear(2 * 64, width)
        self.steps = Steps(width, hidden, 0.1)

    def forward(self, eyes: torch.Tensor) -> torch.Tensor:
        seen = self.net(eyes.flatten(0, 1) / 127.5 - 1).flatten(2)
        mean = seen.mean(2)
        spread = torch.sqrt(((seen - mean[:, :, None]) ** 2).mean(2) + 1e-5)
        features = torch.tanh(self.out(torch.cat([mean, spread], 1)))
        return self.steps(features.reshape(eyes.shape[0], eyes.shape[1], self.width)).mean(1, keepdim=True)


class SoundEncoder(nn.Module):
    """float32 [n, 32000], 16 kHz, -1..1 -> features [n, 128]: means and deviations over a log-spectrogram's last layer.

    The loudness is taken out first, and each bin's mean over time: the pod hands sound over as it was recorded.
    """

    width = 128
    window, hop = 400, 320

    def __init__(self) -> None:
        super().__init__()
        bins = self.window // 2 + 1
        time = torch.arange(self.window, dtype=torch.float64)
        bell = torch.hann_window(self.window, dtype=torch.float64)
        angle = 2 * math.pi * torch.outer(torch.arange(bins, dtype=torch.float64), time) / self.window
        kernels = torch.cat([angle.cos(), angle.sin()]) * bell * (2 / bell.sum())
        self.register_buffer("kernels", kernels.float().unsqueeze(1))
        self.register_buffer("height", torch.linspace(-1, 1, bins).view(1, 1, bins, 1))
        self.net = nn.Sequential(
            nn.Conv2d(2, 16, 3, (2, 1), 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            Separable(16, 24, 2), Separable(24, 32, 1), Separable(32, 48, 2), Separable(48, 64, 1), Separable(64, 64, 2),
        )

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        levelled = samples * (0.95 / (samples.abs().amax(1, keepdim=True) + 1e-4))
        waves = F.conv1d(levelled.unsqueeze(1), self.kernels, stride=self.hop)
        bins = self.window // 2 + 1
        logs = 0.25 * torch.log(waves[:, :bins] ** 2 + waves[:, bins:] ** 2 + 1e-9)
        logs = (logs - logs.mean(2, keepdim=True)).unsqueeze(1)
        seen = self.net(torch.cat([logs, self.height + 0 * logs], 1)).flatten(2)
        mean = seen.mean(2)
        return torch.cat([mean, torch.sqrt(((seen - mean[:, :, None]) ** 2).mean(2) + 1e-5)], 1)


class SoundNet(nn.Module):
    """float32 [n, 32000] -> logit [n, 1]: what the encoder of sound is trained with."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = SoundEncoder()
        self.head = nn.Linear(SoundEncoder.width, 1)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(samples))


class JointHead(nn.Module):
    """Late fusion: frames [n, F, D], sound [n, W, E] and presence [n, 2] -> logit [n, 1].

    What is not there has no say, whatever lies in its place: its logit is masked and a learnt number stands for it.
    """

    def __init__(self, width: int = FrameEncoder.width, heard: int = SoundEncoder.width, hidden: int = 32) -> None:
        super().__init__()
        self.steps = Steps(width, hidden)
        self.sound = nn.Sequential(nn.Linear(heard, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.absent = nn.Parameter(torch.zeros(2))
        self.joint = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, frames: torch.Tensor, sound: torch.Tensor, presence: torch.Tensor) -> torch.Tensor:
        of_frames = self.steps(frames).mean(1, keepdim=True)
        of_sound = self.sound(sound).mean(1)
        parts = torch.cat([of_frames, of_sound], 1) * presence + self.absent * (1 - presence)
        return self.joint(torch.cat([parts, presence], 1)) + parts.amax(1, keepdim=True)
