"""Networks at full size, freshly initialised: `models/import/run test large`."""

import os
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from importer.__main__ import main
from importer.architectures import aasist, convolutional, recurrent, scattering, siglip


def siglip_state() -> dict[str, torch.Tensor]:
    tower = siglip.VisionTower().state_dict()
    return {f"siglip_backbone.{name}": tensor for name, tensor in tower.items()} | recurrent.TemporalHead().state_dict()


def state_of(make: Callable[[], nn.Module]) -> Callable[[], dict[str, torch.Tensor]]:
    return lambda: make().state_dict()


@unittest.skipUnless(os.environ.get("IMPORT_LARGE"), "models/import/run test large exports networks at full size")
class FullSize(unittest.TestCase):
    def test_checkpoints_become_folders(self) -> None:
        for name, make, options in [
            ("aasist", state_of(lambda: aasist.Aasist(aasist.AASIST)), []),
            ("color-cues-lstm-v1", state_of(recurrent.ColourCues), []),
            ("siglip-lstm-v4", siglip_state, []),
            ("eyeblink-cnn-lstm-v1", state_of(convolutional.EyeBlink), []),
            ("efficientnet-b7-v1", state_of(convolutional.FaceEfficientNet), ["--channels", "rgb"]),
            ("scattering-wave-v1", state_of(scattering.ScatteringWave), []),
        ]:
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                checkpoint = Path(folder) / "weights.pth"
                torch.manual_seed(1)
                torch.save(make(), checkpoint)
                self.assertEqual(main([name, str(checkpoint), "--out", str(Path(folder) / "out"), *options]), 0)
                self.assertTrue((Path(folder) / "out" / "model.yaml").is_file())
