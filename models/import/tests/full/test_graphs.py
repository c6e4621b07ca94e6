"""Small networks of every architecture go the whole way: state dict, network, graph, and the same answers."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from torch import nn

from importer import building, export
from importer.architectures import aasist, convolutional, recurrent, scattering, siglip
from importer.errors import ImportRefused

SMALL_AASIST = aasist.Shape(channels=(4, 4, 6, 6, 6, 6), attention=6, graph=4, keep_spectral=0.5, keep_temporal=0.7, keep_joint=0.5, samples=16_000)
SMALL_TOWER = siglip.Shape(side=32, patch=8, width=16, hidden=32, layers=2, heads=4)
WIDTHS = (8, 6, 4)


def shaken(net: nn.Module) -> nn.Module:
    """Statistics of batch norms are 0 and 1 at first, and would hide that they are mixed up."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_mean"):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
            elif name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return net


class Temporary(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Graphs(Temporary):
    def sent(self, name: str, parts: dict[str, building.Part]) -> dict[str, dict[str, object]]:
        """`export_all` refuses what differs from torch; every input here is real."""
        entries = building.export_all(name, parts, self.folder)
        for graph, entry in entries.items():
            answers = export.Session(self.folder / str(entry["file"])).run(parts[graph].real)[0]
            self.assertGreater(np.ptp(answers, axis=0).max(), 1e-7, "both inputs get the same answer, so that agreement says nothing")
        return entries

    def test_aasist(self) -> None:
        state = shaken(aasist.Aasist(SMALL_AASIST)).state_dict()
        self.sent("aasist", building.build_aasist(SMALL_AASIST)(state, Path("w")))

    def test_siglip_with_its_head(self) -> None:
        tower, head = siglip.VisionTower(SMALL_TOWER), recurrent.TemporalHead(16, 8)
        state = {f"siglip_backbone.{name}": tensor for name, tensor in tower.state_dict().items()} | head.state_dict()
        state["image_classifier.0.weight"] = torch.zeros(1)
        state["siglip_backbone.embeddings.position_ids"] = torch.zeros(1)
        self.assertEqual(list(self.sent("siglip-lstm-v4", building.build_siglip(state, Path("w"), SMALL_TOWER, hidden=8, frames=12))), ["encoder", "classifier"])
        head_alone = export.Session(self.folder / "classifier.onnx")
        self.assertEqual(head_alone.run(np.zeros((3, 5, 16), np.float32))[0].shape, (3, 1))

    def test_colour_cues(self) -> None:
        self.sent("color-cues-lstm-v1", building.build_colour_cues(recurrent.ColourCues().state_dict(), Path("w")))

    def test_efficientnet_and_its_map(self) -> None:
        net = shaken(convolutional.FaceEfficientNet("tf_efficientnet_b0"))
        state = {**net.state_dict(), "encoder.classifier.weight": torch.zeros(1)}
        parts = building.build_efficientnet(state, Path("w"), "tf_efficientnet_b0", 64)
        self.assertEqual(self.sent("efficientnet-b7-v1", parts)["classifier"]["heatmap"], "cam")
        logit, places = export.Session(self.folder / "classifier.onnx").run(parts["classifier"].real)
        np.testing.assert_allclose(places.mean((1, 2, 3)) + net.fc.bias.item(), logit[:, 0], atol=1e-4)

    def test_eye_blink(self) -> None:
        state = shaken(convolutional.EyeBlink()).state_dict()
        self.sent("eyeblink-cnn-lstm-v1", building.build_eye_blink(state, Path("w"), side=48))

    def test_scattering(self) -> None:
        state = shaken(scattering.ScatteringWave(WIDTHS)).state_dict()
        state["scattering.tensor0"] = torch.zeros(1)
        self.sent("scattering-wave-v1", building.build_scattering(state, Path("w"), WIDTHS))


class Differing(Temporary):
    def test_a_graph_that_only_knows_its_example_is_refused_and_removed(self) -> None:
        class Changing(nn.Module):
            calls = 0

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                self.calls += 1
                return x * self.calls

        class Batched(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x * x.shape[0] if x.shape[0] > 1 else x

        for net in (Changing(), Batched()):
            with self.subTest(type(net).__name__), self.assertRaisesRegex(ImportRefused, "from PyTorch"):
                export.export(net, self.folder / "x.onnx", "x", ["y"], np.float32([[1, 2], [3, 4]]), 1e-4)
        self.assertFalse((self.folder / "x.onnx").exists())


class Tower(unittest.TestCase):
    def test_attention_pooling_is_that_of_torch(self) -> None:
        torch.manual_seed(3)
        pool = siglip.AttentionPool(SMALL_TOWER).train()
        tokens = torch.randn(2, 9, 16)
        probe = pool.probe.expand(2, -1, -1)
        answer = pool.attention(probe, tokens, tokens, need_weights=False)[0]
        wanted = (answer + pool.mlp(pool.layernorm(answer)))[:, 0]
        torch.testing.assert_close(pool(tokens), wanted, atol=1e-5, rtol=0)


class ScatteringTransform(unittest.TestCase):
    def test_paths_are_those_of_convolutions_on_a_torus(self) -> None:
        from importer import filters

        side, scales, angles = 16, 2, 4
        transform = scattering.Scattering(side, scales, angles)
        picture = np.random.default_rng(5).random((side, side))
        found = transform(torch.from_numpy(picture[None]).float()).numpy()[0]
        self.assertEqual(found.shape, (1 + 2 * 4 + 16, 4, 4))
        padded = np.pad(picture, 4, mode="reflect")
        size, sigma = 24, 0.8 * 2 ** (scales - 1)
        bell = np.fft.fft2(filters.gabor(size, sigma, 0, 0, 1))
        wave = np.fft.fft2(filters.morlet(size, 0.8, (angles // 2 - 1 - 1) * np.pi / angles, 0.75 * np.pi, 4 / angles)).real
        modulus = np.abs(np.fft.ifft2(np.fft.fft2(padded) * wave))
        for path, of in [(0, padded), (2, modulus)]:
            smooth = np.fft.ifft2(np.fft.fft2(of) * bell).real[::4, ::4][1:-1, 1:-1]
            np.testing.assert_allclose(found[path], smooth, atol=1e-5)
