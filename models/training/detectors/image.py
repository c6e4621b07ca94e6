"""Trains, evaluates and packages `image-residual-cnn`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F

from detectors import image_data, image_package, image_pool, package
from detectors.image_net import ResidualNet
from detectors.image_package import Family
from detectors.windows import tiles

TRAIN_SIDE = 96
BATCH = 32
PIPELINE = {"type": "image-residual", "crop": 256, "tiles": 9, "minSide": 128, "aggregation": "mean-logit"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="run image")
    image_pool.add_options(parser, steps=1_400)
    options = parser.parse_args()
    started = time.time()
    pool = image_pool.gather(options.debug)
    folder = image_pool.folder_of(HEAD["name"], options.debug)
    if not options.no_train:
        fakes = pool.fakes(image_pool.SEEN)
        example = tiles(np.concatenate([pool.training[0], pool.training[1]], 1))
        net = train(pool.training, fakes, 20 if options.debug else options.steps, pool.rng)
        package.export(net, folder / "classifier.onnx", "pixels", example)
    family = Family(HEAD, CARD, PIPELINE, tiles, methods=("platt",), kept=("kernels",))
    image_package.finish(family, pool, folder, options.extra_media)
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
    torch.manual_seed(image_pool.SEED)
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


if __name__ == "__main__":
    main()
