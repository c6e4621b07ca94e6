"""Trains, evaluates and packages `image-classifier-net`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from detectors import image_data, image_fakes, image_package, image_pool, package
from detectors.efficient_net import EfficientClassifier
from detectors.image_package import Family
from detectors.reference import KERNELS, whole

TRAIN_SIDE = 96
BATCH = 32
SIDE = 256
PIPELINE = {
    "type": "image-classifier", "size": {"width": SIDE, "height": SIDE}, "fit": "cover-center", "kernel": "lanczos3", "decode": "full",
    "channels": "rgb", "layout": "nchw", "scale": 1.0, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "minSide": 128,
}
TRAINED_ON = image_pool.SEEN + image_fakes.RANDOM


def main() -> None:
    parser = argparse.ArgumentParser(prog="run image-classifier")
    image_pool.add_options(parser, steps=1_100)
    options = parser.parse_args()
    started = time.time()
    pool = image_pool.gather(options.debug)
    folder = image_pool.folder_of(HEAD["name"], options.debug)
    if not options.no_train:
        net = train(pool.training, pool.fakes(TRAINED_ON), 20 if options.debug else options.steps, pool.rng)
        example = np.concatenate([whole(crop, PIPELINE) for crop in pool.training[:4]])
        package.export(net, folder / "classifier.onnx", "pixels", example, ("logit", "cam"))
    family = Family(HEAD, CARD, PIPELINE, lambda pixels: whole(pixels, PIPELINE), graph={"heatmap": "cam"}, kept=("kernels",))
    image_package.finish(family, pool, folder, options.extra_media)
    print(f"done in {(time.time() - started) / 60:.1f} min", flush=True)


HEAD = {
    "name": "image-classifier-net",
    "version": "0.1.0",
    "modality": "image",
    "description": "A small EfficientNet that sees the whole image at one size and shows where it found what decoders leave.",
}
CARD = {
    "license": "Apache-2.0",
    "status": "demonstration",
    "intendedUse": "Shows the path from an upload to a calibrated verdict with a heat map; a first hint on small pictures that a decoder re-made. Not evidence.",
    "limitations": "Trained on what small autoencoders and random up-samplers leave in pictures of about 300 px. A large image is reduced to 256 px "
    "first, which removes most of it. Pictures by diffusion models, face swaps and splices are not caught. Figures on its own kind of fakes "
    "say little about others.",
    "trainingData": "Photographs from Debian's lomiri-wallpapers-16.04, mate-backgrounds and plasma-workspace-wallpapers, split by photograph; "
    "fakes are the same crops re-made by four small autoencoders and by decoders with random kernels. Resampled photographs count as real.",
}


def shown(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 [320, 320, 3] -> [96, 96, 3]: a part of an upload, at the size at which the pod would show the whole upload to the net."""
    scale = 1.0 if rng.random() < 0.4 else float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
    side = round(TRAIN_SIDE / scale)
    upload = image_data.publish(crop, rng, side, resized=0.5, scales=(0.5, 1.4))
    if side == TRAIN_SIDE:
        return upload
    return np.asarray(Image.fromarray(upload).resize((TRAIN_SIDE, TRAIN_SIDE), KERNELS[PIPELINE["kernel"]]))


def batches(real: np.ndarray, fakes: dict[str, np.ndarray], steps: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Half real, half fake, of the same crops; four in ten of either class are resampled as honest editors do."""
    kinds = list(fakes)
    for step in range(steps):
        pixels, labels = [], []
        for i in range(BATCH // 2):
            index = int(rng.integers(len(real)))
            for label, crop in ((0, real[index]), (1, fakes[kinds[(step + i) % len(kinds)]][index])):
                if rng.random() < 0.4:
                    crop = image_data.resample(crop, rng)
                pixels.append(np.rot90(shown(crop, rng), int(rng.integers(4)))[:, :: int(rng.choice([-1, 1]))])
                labels.append(label)
        yield np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32), np.array(labels, np.float32)


def train(real: np.ndarray, fakes: dict[str, np.ndarray], steps: int, rng: np.random.Generator) -> EfficientClassifier:
    torch.manual_seed(image_pool.SEED)
    # This layout computes convolutions of single channels a third faster.
    net = EfficientClassifier().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps, pct_start=0.15)
    print(f"training {sum(p.numel() for p in net.parameters())} parameters for {steps} steps", flush=True)
    started, losses = time.time(), []
    for step, (pixels, labels) in enumerate(batches(real, fakes, steps, rng), 1):
        logits = net(torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last))[0][:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels) * 0.94 + 0.03)
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
