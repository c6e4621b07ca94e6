"""From a checkpoint's tensors to the graphs of a package, one function per architecture; and the real input that their graphs are held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from importer.architectures import aasist, convolutional, recurrent, scattering, siglip
from importer.catalogue import ARCHITECTURES
from importer.checkpoint import fit
from importer.errors import ImportRefused
from importer.export import export
from importer.packing import FIXTURES
from importer.reading import decoded, windows

State = dict[str, Tensor]


@dataclass(frozen=True)
class Part:
    """A network that becomes one graph, and what it is tried with."""

    net: nn.Module
    real: np.ndarray
    free: dict[int, str]


def picture(side: int, count: int) -> np.ndarray:
    """float32 [count, 3, side, side], 0..1: cuts of the photographs that the tests use."""
    from PIL import Image

    cuts = []
    for number in range(count):
        photograph = Image.open(FIXTURES / ("photograph-real.jpg", "photograph-fake.jpg")[number % 2]).convert("RGB")
        left = 4 * number
        box = (left, left, photograph.width - left, photograph.height - left)
        cuts.append(np.asarray(photograph.resize((side, side), Image.Resampling.BICUBIC, box=box), np.float32).transpose(2, 0, 1) / 255)
    return np.stack(cuts)


def speech(samples: int) -> np.ndarray:
    """float32 [n, samples] at 16 kHz: a real voice and a synthetic one."""
    return np.concatenate([windows(decoded(FIXTURES / name, 16_000), samples, samples, "repeat")[:2] for name in ("voice-real.flac", "voice-fake.flac")])


def build_aasist(shape: aasist.Shape) -> Callable[[State, Path], dict[str, Part]]:
    def build(state: State, path: Path) -> dict[str, Part]:
        return {"classifier": Part(fit(aasist.Aasist(shape), state, path), speech(shape.samples), {})}

    return build


SIGLIP_PREFIX = "siglip_backbone."


def build_siglip(state: State, path: Path, shape: siglip.Shape = siglip.Shape(), hidden: int = 512, frames: int = 120) -> dict[str, Part]:
    # The head for single pictures has no use in a video, and counters of positions are not weights.
    tower = {name.removeprefix(SIGLIP_PREFIX): tensor for name, tensor in state.items() if name.startswith(SIGLIP_PREFIX)}
    rest = {name: tensor for name, tensor in state.items() if not name.startswith(SIGLIP_PREFIX)}
    if not tower:
        raise ImportRefused(f"{path}: no names under {SIGLIP_PREFIX}; not a checkpoint of siglip-lstm-v4 but {', '.join(list(state)[:4])}, …")
    encoder = fit(siglip.VisionTower(shape), tower, path, ignored=("embeddings.position_ids",))
    head = fit(recurrent.TemporalHead(shape.width, hidden), rest, path, ignored=("image_classifier.",))
    pictures = (picture(shape.side, 4) - 0.5) / 0.5
    with torch.no_grad():
        features = encoder(torch.from_numpy(pictures)).numpy()
    sequences = np.stack([np.resize(features, (frames, shape.width)), np.resize(features[::-1], (frames, shape.width))])
    return {"encoder": Part(encoder, pictures[:2], {}), "classifier": Part(head, sequences, {1: "frames"})}


def build_colour_cues(state: State, path: Path) -> dict[str, Part]:
    return {"classifier": Part(fit(recurrent.ColourCues(), state, path), chromaticity(picture(128, 64)).reshape(2, 32, 32, 32), {})}


def chromaticity(pictures: np.ndarray, bins: int = 32) -> np.ndarray:
    """float32 [n, bins, bins], 0..255: how often each share of red (rows) and green (columns) is there, from the rarest to the most common."""
    shares = pictures[:, :2] / (pictures.sum(1, keepdims=True) + 1e-6)
    counts = np.stack([np.histogram2d(red.ravel(), green.ravel(), bins, [[0, 1], [0, 1]])[0] for red, green in shares])
    low, high = counts.min((1, 2), keepdims=True), counts.max((1, 2), keepdims=True)
    return ((counts - low) / (high - low) * 255).astype(np.float32)


MEAN, STD = np.float32([0.485, 0.456, 0.406])[:, None, None], np.float32([0.229, 0.224, 0.225])[:, None, None]


def build_efficientnet(state: State, path: Path, encoder: str = "tf_efficientnet_b7", side: int = 380) -> dict[str, Part]:
    net = fit(convolutional.FaceEfficientNet(encoder), state, path, ignored=("encoder.classifier.",))
    return {"classifier": Part(net, (picture(side, 2) - MEAN) / STD, {})}


def build_eye_blink(state: State, path: Path, base: str = "legacy_xception", side: int = 160) -> dict[str, Part]:
    net = fit(convolutional.EyeBlink(base), state, path)
    return {"classifier": Part(net, ((picture(side, 20) - MEAN) / STD).reshape(2, 10, 3, side, side), {})}


def build_scattering(state: State, path: Path, widths: tuple[int, int, int] = (1024, 512, 128)) -> dict[str, Part]:
    # The filters are computed here and held against kymatio's: README.md.
    net = fit(scattering.ScatteringWave(widths), state, path, ignored=("scattering.",))
    return {"classifier": Part(net, speech(scattering.SAMPLES)[:2], {})}


BUILDERS: dict[str, Callable[[State, Path], dict[str, Part]]] = {
    "aasist": build_aasist(aasist.AASIST),
    "aasist-l": build_aasist(aasist.AASIST_L),
    "siglip-lstm-v4": build_siglip,
    "color-cues-lstm-v1": build_colour_cues,
    "efficientnet-b7-v1": build_efficientnet,
    "eyeblink-cnn-lstm-v1": build_eye_blink,
    "scattering-wave-v1": build_scattering,
}


def export_all(name: str, parts: dict[str, Part], folder: Path) -> dict[str, dict[str, Any]]:
    """Entries of the graphs for the manifest, without digests. Raises ImportRefused where a graph differs from its network."""
    architecture = ARCHITECTURES[name]
    for graph, part in parts.items():
        ends = architecture.graphs[graph]
        given = [ends.given, *([ends.heatmap] if ends.heatmap else [])]
        export(part.net, folder / f"{graph}.onnx", ends.taken, given, part.real, architecture.tolerance, part.free)
    return {graph: ends.entry(graph, "") for graph, ends in architecture.graphs.items()}
