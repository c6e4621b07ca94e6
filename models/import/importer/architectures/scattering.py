"""SCATTERING-WAVE-V1: the first 2 s of a sound at 16 kHz, [n, 32000] in -1..1, to [n, 1] logits of a real voice.

The reference draws a mel spectrogram with matplotlib, reads the picture back as gray and takes its scattering transform with kymatio. Here all of
it is arithmetic in the graph: what is drawn by filters.spread, what an FFT does by matrices.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from importer import filters

RATE, SAMPLES = 16_000, 32_000
FFT, HOP, BANDS, CANVAS, SIDE = 2048, 512, 256, 400, 256
AMPLITUDE_FLOOR, RANGE_DB = 1e-10, 80.0


def constant(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()


class MelPicture(nn.Module):
    """[n, 32000] samples to [n, 256, 256] gray pictures in 0..1, low frequencies at the bottom."""

    def __init__(self) -> None:
        super().__init__()
        frames = SAMPLES // HOP + 1
        window = np.hanning(FFT + 1)[:-1]
        waves = np.exp(-2j * np.pi * np.outer(np.arange(FFT // 2 + 1), np.arange(FFT)) / FFT) * window
        resampled = filters.antialiased(CANVAS, SIDE)
        for name, values in {
            "analysis": np.concatenate([waves.real, waves.imag])[:, None],
            "mel": filters.mel_bank(BANDS, FFT, RATE),
            "rows": (resampled @ filters.spread(BANDS, CANVAS))[::-1, :],
            "columns": (resampled @ filters.spread(frames, CANVAS)).T,
            "luma": filters.magma_luma(),
        }.items():
            self.register_buffer(name, constant(values), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        first, second = samples[:, :1], samples[:, 1:2]
        emphasised = torch.cat([3 * first - second, samples[:, 1:] - 0.97 * samples[:, :-1]], dim=1)
        padded = functional.pad(emphasised, (FFT // 2, FFT // 2))
        real, imaginary = functional.conv1d(padded.unsqueeze(1), self.analysis, stride=HOP).chunk(2, dim=1)
        decibels = 10 * torch.log10(torch.clamp(self.mel @ (real * real + imaginary * imaginary), min=AMPLITUDE_FLOOR))
        decibels = torch.maximum(decibels, decibels.amax((1, 2), keepdim=True) - RANGE_DB)
        lowest, highest = decibels.amin((1, 2), keepdim=True), decibels.amax((1, 2), keepdim=True)
        level = (decibels - lowest) / torch.clamp(highest - lowest, min=1e-6)
        coloured = self.luma[torch.clamp((level * 256).floor(), 0, 255).long()]
        return self.rows @ coloured @ self.columns


class Scattering(nn.Module):
    """[n, side, side] to [n, paths, side / 2**scales, side / 2**scales], in kymatio's order of paths: 417 for 4 scales and 8 angles."""

    def __init__(self, side: int = SIDE, scales: int = 4, angles: int = 8) -> None:
        super().__init__()
        self.scales, self.angles = scales, angles
        self.margin = 2**scales
        self.size = (side // self.margin + 2) * self.margin
        if side % self.margin or self.margin >= side:
            raise ValueError(f"a side of {side} px does not go into cells of {self.margin} px")
        coarsest = self.size // 2**scales
        sigma = 0.8 * 2 ** (scales - 1)
        for level in range(scales):
            here = self.size // 2**level
            self.keep(f"dft{level}", filters.dft(here))
            self.keep(f"low{level}", filters.low_pass(self.size, 2**level, sigma, coarsest)[1:-1])
        for scale in range(scales):
            turned = [
                np.fft.fft2(filters.morlet(self.size, 0.8 * 2**scale, (angles // 2 - 1 - angle) * np.pi / angles, 0.75 * np.pi / 2**scale, 4 / angles)).real
                for angle in range(angles)
            ]
            for level in range(min(scale + 1, max(scales - 1, 1))):
                self.keep(f"band{scale}at{level}", np.stack([filters.band_limit(one, 2**level) for one in turned]))

    def keep(self, name: str, values: np.ndarray) -> None:
        """A constant; complex ones as two, side by side in a first axis."""
        parts = np.stack([values.real, values.imag]) if np.iscomplexobj(values) else values
        self.register_buffer(name, constant(parts), persistent=False)

    def transform(self, picture: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Of real pictures, [..., size, size]."""
        cosine, sine = getattr(self, f"dft{level}")
        real, imaginary = cosine @ picture, sine @ picture
        return real @ cosine - imaginary @ sine, real @ sine + imaginary @ cosine

    def modulus_after(self, spectrum: tuple[Tensor, Tensor], scale: int, level: int) -> Tensor:
        """[n, p, ...] pictures on the grid of `level` through the wavelets of `scale`, on its grid: [n, p * angles, ...]."""
        real, imaginary = (self.folded(part.unsqueeze(2) * getattr(self, f"band{scale}at{level}"), 2 ** (scale - level)) for part in spectrum)
        cosine, sine = getattr(self, f"dft{scale}")
        # The inverse transform is the conjugate matrix on both sides.
        left_real, left_imaginary = cosine @ real + sine @ imaginary, cosine @ imaginary - sine @ real
        back_real, back_imaginary = left_real @ cosine + left_imaginary @ sine, left_imaginary @ cosine - left_real @ sine
        return torch.sqrt(back_real * back_real + back_imaginary * back_imaginary).flatten(1, 2) / back_real.shape[-1] ** 2

    @staticmethod
    def folded(spectrum: Tensor, factor: int) -> Tensor:
        """What keeping every `factor`-th pixel does to a spectrum."""
        n, paths, angles, size, _ = spectrum.shape
        coarse = size // factor
        return spectrum.reshape(n, paths, angles, factor, coarse, factor, coarse).mean((3, 5))

    def smoothed(self, pictures: Tensor, level: int) -> Tensor:
        real, imaginary = getattr(self, f"low{level}")
        return real @ pictures @ real.T - imaginary @ pictures @ imaginary.T

    def by_angle(self, paths: Tensor) -> Tensor:
        """[n, angles * angles, ...] to [n, angles, angles, ...]: those of the first wavelet, then those of the second."""
        return paths.reshape(-1, self.angles, self.angles, *paths.shape[2:])

    def forward(self, pictures: Tensor) -> Tensor:
        edge = self.margin
        padded = functional.pad(pictures.unsqueeze(1), (edge, edge, edge, edge), mode="reflect")
        spectrum = self.transform(padded, 0)
        first, second = [], []
        for scale in range(self.scales):
            waves = self.modulus_after(spectrum, scale, 0)
            first.append(self.smoothed(waves, scale))
            if scale + 1 < self.scales:
                spectra = self.transform(waves, scale)
                by_angle = [
                    self.by_angle(self.smoothed(self.modulus_after(spectra, later, scale), later))
                    for later in range(scale + 1, self.scales)
                ]
                second.append(torch.stack(by_angle, dim=2).flatten(1, 3))
        return torch.cat([self.smoothed(padded, 0), *first, *second], dim=1)


class ScatteringWave(nn.Module):
    def __init__(self, widths: tuple[int, int, int] = (1024, 512, 128)) -> None:
        super().__init__()
        self.picture, self.scattering = MelPicture(), Scattering()
        paths = 1 + 4 * 8 + 6 * 64
        layers: list[nn.Module] = [nn.Flatten()]
        for given, made in zip((paths * 16 * 16, *widths), widths):
            # The names count the dropout after each, which evaluation leaves out.
            layers += [nn.Linear(given, made), nn.ReLU(), nn.BatchNorm1d(made), nn.Identity()]
        self.classifier = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, samples: Tensor) -> Tensor:
        return self.classifier(self.scattering(self.picture(samples)))
