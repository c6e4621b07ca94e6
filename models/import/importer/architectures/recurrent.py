"""Heads that read sequences: of colour histograms and of features of frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ColourCues(nn.Module):
    """COLOR-CUES-LSTM-V1: [n, 32, 32, 32] histograms, 0..255, in the order of time, to [n, 1] logits of a fake."""

    def __init__(self, bins: int = 32, hidden: int = 64) -> None:
        super().__init__()
        self.lstm = nn.LSTM(bins * bins, hidden, batch_first=True)
        self.fc1, self.fc2 = nn.Linear(hidden, 32), nn.Linear(32, 1)

    def forward(self, histograms: Tensor) -> Tensor:
        steps, _ = self.lstm(histograms.flatten(2))
        return self.fc2(self.fc1(steps[:, -1]).relu())


class TemporalHead(nn.Module):
    """The half of SIGLIP-LSTM-V4 that sees time: [n, T, 768] features to [n, 1] logits of a fake."""

    def __init__(self, features: int = 768, hidden: int = 512, layers: int = 2) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, layers, batch_first=True, bidirectional=True)
        # The names count the dropout between them, which evaluation leaves out.
        self.video_classifier = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Identity(), nn.Linear(hidden, 1))

    def forward(self, features: Tensor) -> Tensor:
        steps, _ = self.lstm(features)
        half = steps.shape[2] // 2
        # The last layer's forward direction ends at the last step, its backward one at the first.
        return self.video_classifier(torch.cat([steps[:, -1, :half], steps[:, 0, half:]], dim=1))
