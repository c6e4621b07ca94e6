"""Trains, evaluates and packages `image-residual-cnn`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from detectors import image_data, image_fakes, package, sources
from detectors.augment import jpeg
from detectors.image_net import ResidualNet
from detectors.windows import tiles

SEED = 20_261
TRAIN_SIDE = 96
BATCH = 32
PIPELINE = {"type": "image-residual", "crop": 256, "tiles": 9, "minSide": 128, "aggregation": "mean-logit"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="run image")
    parser.add_argument("--debug", action="store_true", help="a few steps into .cache/debug, to see that everything works")
    parser.add_argument("--steps", type=int, default=1_400)
    parser.add_argument("--extra-media", type=Path, help="folder with MANIFEST.tsv: evaluated on, never trained on")
    parser.add_argument("--no-train", action="store_true", help="evaluate and package the classifier.onnx that is there")
    options = parser.parse_args()
    steps, generator_steps, per_photo = (20, 20, 2) if options.debug else (options.steps, 600, 24)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(2)
    started = time.time()

    photos = image_data.photographs()
    rng = np.random.default_rng(SEED)
    clean = {photo.name: image_data.clean_crops(photo, per_photo, rng) for photo in photos}
    training = np.concatenate([clean[p.name] for p in photos if p.split == "train"])
    print(f"{len(photos)} photographs, {len(training)} training crops, {time.time() - started:.0f} s", flush=True)
    kinds = image_fakes.TRAINED + image_fakes.HELD_OUT
    kept = (sources.CACHE / "debug" if options.debug else sources.CACHE) / "generators"
    generators = {kind: image_fakes.trained(kind, training, generator_steps, SEED + i, kept) for i, kind in enumerate(kinds)}
    seen = image_fakes.TRAINED + image_fakes.FIXED
    folder = (sources.CACHE / "debug" if options.debug else package.MODELS) / "image-residual-cnn"
    if options.no_train:
        session = package.Session(folder / "classifier.onnx", "pixels")
    else:
        fakes = {kind: make(kind, generators, training, rng) for kind in seen}
        example = tiles(np.concatenate([training[0], training[1]], 1))
        session = package.export(train(training, fakes, steps, rng), folder / "classifier.onnx", "pixels", example)

    def split(name: str, kinds: tuple[str, ...], shrink: float = 1.0) -> package.Scored:
        chosen = [photo for photo in photos if photo.split == name]
        return score(session, [(p.name, clean[p.name][: 1 if options.debug else 8]) for p in chosen], kinds, generators, shrink)

    fit = package.calibrate(split("calibration", seen))
    print(f"calibration: {fit}", flush=True)
    evaluation = package.rows("unseen photographs, seen generators", split("test", seen), fit, paired=False)
    evaluation += package.rows("unseen photographs, unseen generators", split("test", image_fakes.HELD_OUT), fit, paired=False)
    evaluation += package.rows(
        "unseen photographs, unseen generators, half size", split("test", image_fakes.HELD_OUT, 0.5), fit, paired=False
    )
    if options.extra_media:
        evaluation += package.rows("camera photographs against Stable Diffusion 1.5", foreign(session, options.extra_media), fit, paired=False)
    golden = golden_files(folder, clean, generators)
    package.write(
        folder, HEAD, PIPELINE, "pixels", fit, golden, lambda path: tiles(sources.image(path)), CARD, evaluation,
    )
    print(f"done in {(time.time() - started) / 60:.1f} min", flush=True)


HEAD = {
    "name": "image-residual-cnn",
    "version": "0.1.0",
    "modality": "image",
    "description": "Looks in an image's noise residual for the traces that the up-sampling layers of generators leave.",
}
CARD = {
    "license": "Apache-2.0",
    "status": "demonstration",
    "intendedUse": "Shows the path from an upload to a calibrated verdict; a first hint on pictures that a decoder re-made. Not evidence.",
    "limitations": "Trained on up-sampling traces of small autoencoders alone. Pictures by diffusion models, face swaps and splices "
    "are not caught; strong compression or down-scaling hides the traces. Figures on its own kind of fakes say little about others.",
    "trainingData": "Photographs from Debian's lomiri-wallpapers-16.04, mate-backgrounds and plasma-workspace-wallpapers, split by photograph; "
    "fakes are the same crops re-made by four small autoencoders and random transposed convolutions. Resampled photographs count as real.",
}


def make(kind: str, generators: dict[str, image_fakes.Autoencoder], crops: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if kind in image_fakes.FIXED:
        return image_fakes.zero_insertion(crops, rng)
    return image_fakes.rebuild(generators[kind], crops, rng)


def batches(real: np.ndarray, fakes: dict[str, np.ndarray], steps: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Half real, half fake, of the same crops; three in ten of either class are resampled as honest editors do."""
    kinds = list(fakes)
    for _ in range(steps):
        pixels, labels = [], []
        for i in range(BATCH // 2):
            index = int(rng.integers(len(real)))
            for label, crop in ((0, real[index]), (1, fakes[kinds[i % len(kinds)]][index])):
                if rng.random() < 0.3:
                    crop = image_data.resample(crop, rng)
                made = image_data.publish(crop, rng, TRAIN_SIDE)
                pixels.append(np.rot90(made, int(rng.integers(4)))[:, :: int(rng.choice([-1, 1]))])
                labels.append(label)
        yield np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32), np.array(labels, np.float32)


def train(real: np.ndarray, fakes: dict[str, np.ndarray], steps: int, rng: np.random.Generator) -> ResidualNet:
    torch.manual_seed(SEED)
    net = ResidualNet()
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    print(f"training {sum(p.numel() for p in net.parameters())} parameters for {steps} steps", flush=True)
    started, losses = time.time(), []
    for step, (pixels, labels) in enumerate(batches(real, fakes, steps, rng), 1):
        logits = net(torch.from_numpy(pixels))[:, 0]
        target = torch.from_numpy(labels) * 0.94 + 0.03
        loss = F.binary_cross_entropy_with_logits(logits, target)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss))
        if step % 100 == 0 or step == steps:
            print(f"  step {step}/{steps}: loss {np.mean(losses[-100:]):.3f}, {time.time() - started:.0f} s", flush=True)
    return net


@dataclass(frozen=True)
class Upload:
    """A test picture as a client would have it: uint8 pixels cut off the JPEG's grid, 1 for fake, its photograph, its maker, [width, height, quality]."""

    pixels: np.ndarray
    label: int
    source: str
    maker: str
    metadata: list[int]


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


def score(
    session: package.Session, photos: list[tuple[str, np.ndarray]], kinds: tuple[str, ...],
    generators: dict[str, image_fakes.Autoencoder], shrink: float,
) -> package.Scored:
    made = [(session.logit(tiles(u.pixels)), u.label, u.source, u.maker, u.metadata) for u in uploads(photos, kinds, generators, shrink)]
    logits, labels, origins, makers, metadata = (np.array(column) for column in zip(*made))
    return package.Scored(logits, labels, origins, makers, metadata.astype(float))


def foreign(session: package.Session, folder: Path) -> package.Scored:
    """Photographs against Stable Diffusion pictures of a MANIFEST.tsv, both cut to 512 px and re-encoded at quality 90."""
    lines = [line.split("\t") for line in (folder / "MANIFEST.tsv").read_text().splitlines()[1:]]
    logits, labels, origins = [], [], []
    for path, label, modality, generator, *_ in lines:
        if modality != "image" or generator not in {"StableDiffusion-1.5-art", "photo-objects"}:
            continue
        pixels = sources.image(folder / path)
        if label == "real":
            scale = 1024 / min(pixels.shape[:2])
            pixels = np.asarray(Image.fromarray(pixels).resize([round(s * min(1, scale)) for s in pixels.shape[1::-1]], Image.Resampling.BOX))
        tile = Image.fromarray(pixels[:512, :512])
        logits.append(session.logit(tiles(np.asarray(jpeg(tile, 90)))))
        labels.append(int(label == "fake"))
        origins.append(path)
    return package.Scored(np.array(logits), np.array(labels), np.array(origins), np.array(origins), np.zeros((len(logits), 0)))


def golden_files(folder: Path, clean: dict[str, np.ndarray], generators: dict[str, image_fakes.Autoencoder]) -> dict[str, Path]:
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


if __name__ == "__main__":
    main()
