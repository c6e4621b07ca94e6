"""The detector of faces: a small convolutional net over a crop and what smoothing takes from it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from detectors.image_net import Block, down


class FaceNet(nn.Module):
    """float32 [N, 3, 112, 112], RGB, (value / 255 - 0.5) / 0.25 -> logit [N, 1]; above zero means fake.

    The logit is the mean of a linear map over the places of the last features, so each place's share of it can be told exactly.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            down(6, 24), down(24, 40), Block(40), down(40, 64), Block(64), down(64, 80), Block(80),
        )
        self.head = nn.Linear(80, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        smooth = F.avg_pool2d(pixels, 3, stride=1, padding=1, count_include_pad=False)
        return self.head(self.features(torch.cat([pixels, 4 * (pixels - smooth)], 1)).mean((2, 3)))
