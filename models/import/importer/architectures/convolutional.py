"""Networks around the convolutional bases of `timm`, which names their tensors."""

from __future__ import annotations

import timm
from torch import Tensor, nn


class FaceEfficientNet(nn.Module):
    """EFFICIENTNET-B7-V1: [n, 3, 380, 380] to [n, 1] logits of a fake and their map, [n, 1, 12, 12].

    The head is linear after the mean over places, so the map is exact: its mean and the bias are the logit.
    """

    def __init__(self, encoder: str = "tf_efficientnet_b7", **options: float) -> None:
        super().__init__()
        self.encoder = timm.create_model(encoder, pretrained=False, num_classes=0, exportable=True, **options)
        self.fc = nn.Linear(self.encoder.num_features, 1)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.encoder.forward_features(faces)
        places = nn.functional.conv2d(maps, self.fc.weight[:, :, None, None])
        return self.fc(maps.mean((2, 3))), places


class EyeBlink(nn.Module):
    """EYEBLINK-CNN-LSTM-V1: [n, 10, 3, 160, 160] eyes of one blink after the other to [n, 1] logits of a real person."""

    def __init__(self, base: str = "legacy_xception", hidden: int = 128) -> None:
        super().__init__()
        self.cnn_base = timm.create_model(base, pretrained=False, features_only=True)
        self.lstm = nn.LSTM(self.cnn_base.feature_info.channels(-1), hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 1)

    def forward(self, eyes: Tensor) -> Tensor:
        _, steps, *picture = eyes.shape
        features = self.cnn_base(eyes.reshape(-1, *picture))[-1].mean((2, 3))
        read, _ = self.lstm(features.reshape(-1, steps, features.shape[1]))
        return self.fc(read[:, -1])
