"""Fakes by construction: photographs re-made by small autoencoders and up-samplers, whose up-sampling leaves traces."""

from __future__ import annotations

import hashlib
import inspect
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

TRAINED = ("transposed4", "transposed3", "pixel-shuffle", "nearest")
FIXED = ("zero-insertion",)
RANDOM = ("random-transposed", "random-shuffle", "random-convolved")
HELD_OUT = ("bilinear", "eightfold")


def upsample(kind: str, inputs: int, outputs: int) -> nn.Sequential:
    """Doubles the resolution in the way that names the generator."""
    layers = {
        "transposed4": lambda: [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)],
        "transposed3": lambda: [nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)],
        "pixel-shuffle": lambda: [nn.Conv2d(inputs, outputs * 4, 3, padding=1), nn.PixelShuffle(2)],
        "nearest": lambda: [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inputs, outputs, 3, padding=1)],
        "bilinear": lambda: [nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(inputs, outputs, 5, padding=2)],
        "eightfold": lambda: [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inputs, outputs, 5, padding=2)],
    }
    return nn.Sequential(*layers[kind]())


class Autoencoder(nn.Module):
    """float32 [N, 3, S, S], 0..1 -> the same picture as its decoder remembers it.

    The latent holds learned features and the average colours; the decoder adds detail to the colours.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        activation = nn.SiLU if kind in HELD_OUT else nn.ReLU
        steps, latent = (3, 64) if kind == "eightfold" else (2, 24)
        widths = [24, 40, 64][:steps]
        self.factor = 2**steps
        encoder: list[nn.Module] = []
        inputs = 3
        for width in widths:
            encoder += [nn.Conv2d(inputs, width, 4, stride=2, padding=1), activation()]
            inputs = width
        self.encoder = nn.Sequential(*encoder, nn.Conv2d(inputs, latent, 3, padding=1))
        decoder: list[nn.Module] = [nn.Conv2d(latent + 3, inputs, 3, padding=1), activation()]
        for width in [*reversed(widths[:-1]), 24]:
            decoder += [upsample(kind, inputs, width), activation()]
            inputs = width
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(inputs, 3, 3, padding=1))

    def forward(self, x: torch.Tensor, noise: float = 0.0) -> torch.Tensor:
        latent, colours = self.encoder(x - 0.5), F.avg_pool2d(x, self.factor)
        if noise:
            latent = latent + noise * latent.std() * torch.randn_like(latent)
        detail = self.decoder(torch.cat([latent, colours - 0.5], 1))
        return detail + F.interpolate(colours, scale_factor=float(self.factor), mode="bilinear")


def recall(kind: str, folder: Path, key: str | None = None) -> Autoencoder | None:
    """The generator that `trained` left in `folder`; None where there is none, or one trained on something else than `key`."""
    path = folder / f"{kind}.pt"
    saved = torch.load(path) if path.exists() else None
    if saved is None or key not in (None, saved["key"]):
        return None
    net = Autoencoder(kind)
    net.load_state_dict(saved["state"])
    return net.eval()


def trained(kind: str, crops: np.ndarray, steps: int, seed: int, folder: Path) -> Autoencoder:
    """One autoencoder, from the cache where the same crops, settings and code have made it before."""
    settings = f"{kind} {steps} {seed} ".encode() + crops.tobytes() + inspect.getsource(Autoencoder).encode() + inspect.getsource(upsample).encode()
    key = hashlib.sha256(settings).hexdigest()
    kept = recall(kind, folder, key)
    if kept is not None:
        return kept
    net = train_autoencoder(kind, crops, steps, seed)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"key": key, "state": net.state_dict()}, folder / f"{kind}.pt")
    return net


def train_autoencoder(kind: str, crops: np.ndarray, steps: int, seed: int) -> Autoencoder:
    """Fits one autoencoder to uint8 [N, S, S, 3] crops; prints its PSNR (dB) on the last batches."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Autoencoder(kind)
    rate = 1e-3 if kind == "eightfold" else 2e-3
    optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    errors: list[float] = []
    started = time.time()
    for _ in range(steps):
        picked = rng.integers(0, len(crops), 8)
        y, x = rng.integers(0, crops.shape[1] - 96, 2)
        batch = torch.from_numpy(crops[picked, y : y + 96, x : x + 96].transpose(0, 3, 1, 2).astype(np.float32) / 255)
        made = net(batch)
        loss = F.mse_loss(made, batch) + 0.05 * F.l1_loss(made, batch)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        errors.append(float(F.mse_loss(made, batch)))
    psnr = -10 * float(np.log10(np.mean(errors[-50:])))
    print(f"  generator {kind}: {psnr:.1f} dB after {steps} steps, {time.time() - started:.0f} s", flush=True)
    return net.eval()


def rebuild(net: Autoencoder, crops: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 [N, S, S, 3] -> the decoder's version of it; half of the crops get noise in the latent, as a sampler would."""
    out = np.empty_like(crops)
    with torch.no_grad():
        for i in range(0, len(crops), 8):
            batch = torch.from_numpy(crops[i : i + 8].transpose(0, 3, 1, 2).astype(np.float32) / 255)
            made = net(batch, float(rng.choice([0.0, rng.uniform(0.02, 0.1)])))
            out[i : i + 8] = (made.clamp(0, 1) * 255).round().byte().numpy().transpose(0, 2, 3, 1)
    return out


def zero_insertion(crops: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Halves each crop and doubles it by a transposed convolution with an uneven random kernel, as an untrained decoder does."""
    out = np.empty_like(crops)
    for i, crop in enumerate(crops):
        half = F.avg_pool2d(torch.from_numpy(crop.transpose(2, 0, 1)[:, None].astype(np.float32)), 2)
        line = torch.tensor([0.25, 0.75, 0.75, 0.25])
        kernel = torch.outer(line, line) * torch.from_numpy(1 + rng.normal(0, 0.12, (4, 4)).astype(np.float32))
        kernel = kernel / kernel.sum() * 4
        made = F.conv_transpose2d(half, kernel[None, None], stride=2, padding=1)
        out[i] = made[:, 0].clamp(0, 255).round().byte().numpy().transpose(1, 2, 0)
    return out


def randomly_decoded(kind: str, crops: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shrinks each crop two-, four- or eightfold and lets an up-sampler with random kernels make it large again, a step at a time.

    No two crops meet the same decoder. Of the detail that the shrinking took, a random share comes back, as better generators keep it.
    """
    out = np.empty_like(crops)
    for i, crop in enumerate(crops):
        whole = torch.from_numpy(crop.transpose(2, 0, 1)[None].astype(np.float32) / 255)
        steps = int(rng.integers(1, 4))
        made = F.avg_pool2d(whole, 2**steps)
        for _ in range(steps):
            made = random_doubling(kind, made, rng)
        smooth = F.interpolate(F.avg_pool2d(whole, 2**steps), scale_factor=float(2**steps), mode="bilinear")
        made = made + float(rng.uniform(0, 0.9)) * (whole - smooth)
        out[i] = (made[0].clamp(0, 1) * 255).round().byte().numpy().transpose(1, 2, 0)
    return out


def random_doubling(kind: str, x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """float32 [1, 3, S, S] -> [1, 3, 2S, 2S] by kernels around those of linear interpolation, uneven by 2 to 10 %; channels leak a little."""
    uneven = float(rng.uniform(0.02, 0.1))

    def noise(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(0, uneven, shape).astype(np.float32))

    def mixing(kernel: torch.Tensor) -> torch.Tensor:
        """[3, 3, k, k]: the kernel from each channel to itself, a tenth of its noise across."""
        k = kernel.shape[-1]
        return torch.eye(3)[:, :, None, None] * kernel * (1 + noise(3, 3, k, k)) + 0.1 * noise(3, 3, k, k) * kernel

    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    if kind == "random-transposed":
        weight = mixing(torch.outer(line, line))
        return F.conv_transpose2d(x, weight, stride=2, padding=1)
    around = F.pad(x, (1, 1, 1, 1), mode="replicate")
    if kind == "random-shuffle":
        phases = [torch.outer(row, column) for row in LINEAR_PHASES for column in LINEAR_PHASES]
        weight = torch.stack([mixing(phase) for phase in phases], 1).reshape(12, 3, 3, 3)
        return F.pixel_shuffle(F.conv2d(around, weight), 2)
    doubled = F.interpolate(around, scale_factor=2.0, mode="nearest")
    box = torch.tensor([0.25, 0.5, 0.25])
    return F.conv2d(doubled, mixing(torch.outer(box, box)))[:, :, 1:-1, 1:-1]


LINEAR_PHASES = (torch.tensor([0.25, 0.75, 0.0]), torch.tensor([0.0, 0.75, 0.25]))
