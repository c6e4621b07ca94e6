"""A small net of EfficientNet's blocks (M. Tan and Q. V. Le, 2019): inverted residuals with squeeze-excitation, and an exact map of where it looked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from detectors.image_net import high_pass, residual_kernels


@dataclass(frozen=True)
class Stage:
    """`repeats` blocks of `channels`, the first with the stride; each widens its input `expand` times before a convolution of `kernel` px."""

    expand: int
    channels: int
    repeats: int
    stride: int
    kernel: int


STEM = 24
STAGES = (Stage(1, 16, 1, 1, 3), Stage(4, 24, 2, 2, 3), Stage(4, 40, 2, 2, 5), Stage(4, 80, 2, 2, 3), Stage(4, 96, 1, 1, 5))
HEAD = 256


def convolved(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]


class SqueezeExcitation(nn.Module):
    """Channels weighed by what all places together say; a quarter of the block's input wide."""

    def __init__(self, width: int, inputs: int) -> None:
        super().__init__()
        squeezed = max(4, inputs // 4)
        self.down, self.up = nn.Conv2d(width, squeezed, 1), nn.Conv2d(squeezed, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.up(F.silu(self.down(x.mean((2, 3), keepdim=True)))))


class InvertedResidual(nn.Module):
    """Widens, filters each channel alone, weighs the channels, narrows; the input is added where the shape is the same."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        width = inputs * stage.expand
        widened = [*convolved(inputs, width, 1), nn.SiLU()] if stage.expand > 1 else []
        self.body = nn.Sequential(
            *widened, *convolved(width, width, stage.kernel, stride, width), nn.SiLU(), SqueezeExcitation(width, inputs), *convolved(width, stage.channels, 1),
        )
        self.adds = stride == 1 and inputs == stage.channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class EfficientClassifier(nn.Module):
    """float32 [N, 3, S, S], RGB, 0..255 -> logits of a fake [N, 1] and their map [N, 1, S / 16, S / 16].

    The head is linear after the mean over places, so the map is exact: its mean and the bias are the logit. Beside the pixels the stem
    sees their high-pass residuals, which the first steps of a short training would have to find first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", residual_kernels().repeat(3, 1, 1, 1))
        blocks, inputs = [], STEM
        for stage in STAGES:
            for number in range(stage.repeats):
                blocks.append(InvertedResidual(inputs, stage, stage.stride if number == 0 else 1))
                inputs = stage.channels
        self.net = nn.Sequential(*convolved(15, STEM, 3, 2), nn.SiLU(), *blocks, *convolved(inputs, HEAD, 1), nn.SiLU())
        self.head = nn.Linear(HEAD, 1)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.net(torch.cat([pixels / 127.5 - 1, high_pass(pixels, self.kernels)], 1))
        places = F.conv2d(features, self.head.weight[:, :, None, None])
        return places.mean((2, 3)) + self.head.bias, places
