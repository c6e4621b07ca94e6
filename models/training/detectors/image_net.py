"""The image detector: fixed high-pass residuals, then a small convolutional net that sees nothing else."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

LAPLACE = [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]]


def residual_kernels() -> torch.Tensor:
    """[3, 1, 5, 5]: a fifth-order Laplacian and the two second differences."""
    laplace = torch.tensor(LAPLACE, dtype=torch.float32) / 12
    across = torch.zeros(5, 5)
    across[2, 1:4] = torch.tensor([0.5, -1.0, 0.5])
    return torch.stack([laplace, across, across.t()]).unsqueeze(1)


def high_pass(pixels: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """[N, 3, S, S], 0..255 -> [N, 12, S, S] in -3..3: each channel's residuals, and its difference to every second pixel."""
    filtered = F.conv2d(pixels, kernels, padding=2, groups=3)
    half = F.interpolate(pixels, scale_factor=0.5, mode="nearest")
    coarse = pixels - F.interpolate(half, scale_factor=2.0, mode="nearest")
    return torch.clamp(torch.cat([filtered, coarse * 0.5], 1) / 8, -3, 3)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.body(x))


def down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class ResidualNet(nn.Module):
    """float32 [N, 3, S, S], RGB, 0..255 -> logit [N, 1]; above zero means fake. Trained at S = 96, served at S = 256."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", residual_kernels().repeat(3, 1, 1, 1))
        self.net = nn.Sequential(
            nn.Conv2d(12, 20, 3, padding=1, bias=False), nn.BatchNorm2d(20), nn.ReLU(),
            down(20, 32), Block(32), down(32, 48), Block(48), down(48, 64), Block(64),
        )
        self.head = nn.Linear(64, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(self.net(high_pass(pixels, self.kernels)).mean((2, 3)))
