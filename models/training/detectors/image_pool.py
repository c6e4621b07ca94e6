"""What the detectors of images are made of and measured on: photographs, generators, and pictures as clients would upload them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from detectors import image_data, image_fakes, package, sources
from detectors.augment import jpeg
from detectors.image_data import Photograph

SEED = 20_261
SEEN = image_fakes.TRAINED + image_fakes.FIXED
EXTRA = "camera photographs against Stable Diffusion 1.5"

Judge = Callable[[np.ndarray], float]
"""uint8 [H, W, 3] of an upload -> logit of a fake."""


@dataclass(frozen=True)
class Upload:
    """A test picture as a client would have it: uint8 pixels cut off the JPEG's grid, 1 for fake, its photograph, its maker, [width, height, quality]."""

    pixels: np.ndarray
    label: int
    source: str
    maker: str
    metadata: list[int]


@dataclass(frozen=True)
class Pool:
    """Crops of every photograph by name, uint8 [n, 320, 320, 3]; those to learn from in one array; the generators."""

    photos: list[Photograph]
    clean: dict[str, np.ndarray]
    training: np.ndarray
    generators: dict[str, image_fakes.Autoencoder]
    rng: np.random.Generator
    per_photo: int

    def fakes(self, kinds: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Every training crop by every kind."""
        return {kind: make(kind, self.generators, self.training, self.rng) for kind in kinds}

    def uploads(self, split: str, kinds: tuple[str, ...], shrink: float = 1.0) -> list[Upload]:
        """The photographs of a split, real and by every kind."""
        photos = [(photo.name, self.clean[photo.name][: self.per_photo]) for photo in self.photos if photo.split == split]
        return list(uploads(photos, kinds, self.generators, shrink))

    def tests(self, extra: Path | None) -> dict[str, list[Upload]]:
        """All that a card of images reports, by the name of its rows. Measured once; nothing is chosen by it."""
        found = {
            "unseen photographs, seen generators": self.uploads("test", SEEN),
            "unseen photographs, unseen generators": self.uploads("test", image_fakes.HELD_OUT),
            "unseen photographs, unseen generators, half size": self.uploads("test", image_fakes.HELD_OUT, 0.5),
        }
        return found | ({EXTRA: foreign(extra)} if extra else {})

    def golden_files(self) -> dict[str, Path]:
        return golden_files(self.clean, self.generators)


def add_options(parser: argparse.ArgumentParser, steps: int) -> None:
    parser.add_argument("--debug", action="store_true", help="a few steps into .cache/debug, to see that everything works")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--extra-media", type=Path, help="folder with MANIFEST.tsv: evaluated on, never trained on")
    parser.add_argument("--no-train", action="store_true", help="evaluate and package the classifier.onnx that is there")


def folder_of(name: str, debug: bool) -> Path:
    return (sources.CACHE / "debug" if debug else package.MODELS) / name


def gather(debug: bool) -> Pool:
    """Seeds everything, cuts the photographs and trains the generators that the cache lacks."""
    generator_steps, crops = (20, 2) if debug else (600, 24)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(2)
    started = time.time()
    photos = image_data.photographs()
    rng = np.random.default_rng(SEED)
    clean = {photo.name: image_data.clean_crops(photo, crops, rng) for photo in photos}
    training = np.concatenate([clean[photo.name] for photo in photos if photo.split == "train"])
    print(f"{len(photos)} photographs, {len(training)} training crops, {time.time() - started:.0f} s", flush=True)
    kept = (sources.CACHE / "debug" if debug else sources.CACHE) / "generators"
    kinds = image_fakes.TRAINED + image_fakes.HELD_OUT
    generators = {kind: image_fakes.trained(kind, training, generator_steps, SEED + i, kept) for i, kind in enumerate(kinds)}
    return Pool(photos, clean, training, generators, rng, 1 if debug else 8)


def make(kind: str, generators: dict[str, image_fakes.Autoencoder], crops: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if kind in image_fakes.FIXED:
        return image_fakes.zero_insertion(crops, rng)
    if kind in image_fakes.RANDOM:
        return image_fakes.randomly_decoded(kind, crops, rng)
    return image_fakes.rebuild(generators[kind], crops, rng)


def uploads(
    photos: list[tuple[str, np.ndarray]], kinds: tuple[str, ...], generators: dict[str, image_fakes.Autoencoder], shrink: float,
) -> Iterator[Upload]:
    """Each photograph's crops, real and by every generator, a quarter of either resampled, all encoded as JPEG 70-95; `shrink` < 1 reduces them first."""
    torch.manual_seed(SEED + 1)
    rng = np.random.default_rng(SEED + 1)
    for name, crops in photos:
        for kind in ("real", *kinds):
            for crop in crops if kind == "real" else make(kind, generators, crops, rng):
                if rng.random() < 0.25:
                    crop = image_data.resample(crop, rng)
                image = Image.fromarray(crop)
                if shrink < 1:
                    side = round(image.width * shrink)
                    image = image.resize((side, side), Image.Resampling.BOX)
                quality = int(rng.integers(70, 96))
                image = jpeg(image, quality)
                side = min(256, image.width)
                pixels = np.asarray(image)[4 : 4 + side, 4 : 4 + side]
                yield Upload(pixels, 0 if kind == "real" else 1, name, kind, [image.width, image.height, quality])


def foreign(folder: Path) -> list[Upload]:
    """Photographs and Stable Diffusion pictures of a MANIFEST.tsv, both cut to 512 px and re-encoded at quality 90."""
    lines = [line.split("\t") for line in (folder / "MANIFEST.tsv").read_text().splitlines()[1:]]
    found = []
    for path, label, modality, generator, *_ in lines:
        if modality != "image" or generator not in {"StableDiffusion-1.5-art", "photo-objects"}:
            continue
        pixels = sources.image(folder / path)
        if label == "real":
            scale = 1024 / min(pixels.shape[:2])
            pixels = np.asarray(Image.fromarray(pixels).resize([round(s * min(1, scale)) for s in pixels.shape[1::-1]], Image.Resampling.BOX))
        tile = jpeg(Image.fromarray(pixels[:512, :512]), 90)
        found.append(Upload(np.asarray(tile), int(label == "fake"), path, path, []))
    return found


def score(judge: Judge, made: list[Upload]) -> package.Scored:
    columns = zip(*((judge(u.pixels), u.label, u.source, u.maker, u.metadata) for u in made))
    logits, labels, origins, makers, metadata = (np.array(column) for column in columns)
    return package.Scored(logits, labels, origins, makers, metadata.astype(float))


def golden_files(clean: dict[str, np.ndarray], generators: dict[str, image_fakes.Autoencoder]) -> dict[str, Path]:
    """A crop of a CC0 photograph that was not trained on, and the same crop by a generator that was not trained on."""
    scratch = sources.CACHE / "golden"
    scratch.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED + 2)
    real = clean["chelsea"][:1]
    fake = image_fakes.rebuild(generators["bilinear"], real, np.random.default_rng(0))
    out = {}
    for name, crop in (("real", real[0]), ("fake", fake[0])):
        out[name] = scratch / f"{name}.png"
        jpeg(Image.fromarray(crop).crop((0, 0, 288, 256)), 92).save(out[name], optimize=True)
    return out
