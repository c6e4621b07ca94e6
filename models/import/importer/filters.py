"""Fixed filters inside imported graphs: band-pass sincs, mel banks, wavelets, resampling. Pure functions of numbers, float64."""

from __future__ import annotations

import numpy as np

# Luma (ITU-R 601, as Pillow's L) of matplotlib's 256 magma colours, two hexadecimal digits each:
# (colormaps["magma"](arange(256), bytes=True)[:, :3] @ [19595, 38470, 7471] + 32768) >> 16
MAGMA_LUMA = (
    "0000010102020303050506060808090a0b0c0d0e0f10111213141515171719191a1b1c1c1d1e1f1f2021222223232425252626272828292a2a2b2c2d2d2e2f30"
    "31313233343536363838393a3b3c3c3e3e3f40414243434445464747484a4a4b4b4c4d4e4f4f515152535354555557575859595a5b5b5d5d5e5f5f6161626364"
    "64656566686869696a6b6c6d6e6e6f70717272737475767778797a7b7c7c7d7f7f8082838485868788898b8b8d8e8f90929394969798999a9c9d9ea0a1a2a3a5"
    "a6a7a9aaabadadafb0b1b3b4b5b7b7b9babcbdbec0c0c2c3c4c6c7c8c9cacccdcfd0d1d2d3d4d6d7d8d9dbdcdddfdfe1e2e3e5e6e7e8eaebecedeff0f1f3f3f5"
)


def hertz_to_mel(hertz: np.ndarray | float) -> np.ndarray:
    """The formula of HTK."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)


def sinc_bank(filters: int, taps: int, rate: int) -> np.ndarray:
    """float64 [filters, taps]: Hamming-windowed ideal band-passes whose edges are evenly spaced in mel between 0 and rate / 2 Hz.

    `taps` has to be odd, so that a filter has a middle.
    """
    if taps % 2 == 0:
        raise ValueError(f"{taps} taps have no middle; use an odd number")
    edges = mel_to_hertz(np.linspace(0, hertz_to_mel(rate / 2), filters + 1))
    time = np.arange(taps) - (taps - 1) / 2
    low_pass = 2 * edges[:, None] / rate * np.sinc(2 * edges[:, None] * time / rate)
    return np.hamming(taps) * np.diff(low_pass, axis=0)


def slaney_hertz(mel: np.ndarray) -> np.ndarray:
    """Linear below 1,000 Hz (15 mel), logarithmic above."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def mel_bank(bands: int, fft: int, rate: int) -> np.ndarray:
    """float64 [bands, fft // 2 + 1]: triangles of equal area, evenly spaced in Slaney's mel between 0 and rate / 2 Hz."""
    top = 15 + 27 * np.log(rate / 2 / 1000) / np.log(6.4)
    edges = slaney_hertz(np.linspace(0, top, bands + 2))
    bins = np.arange(fft // 2 + 1) * rate / fft
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


def spread(cells: int, pixels: int) -> np.ndarray:
    """float64 [pixels, cells]: each pixel shows the cell that its centre lies in, as equal cells are drawn on a canvas."""
    shown = np.floor((np.arange(pixels) + 0.5) * cells / pixels).astype(int)
    return np.eye(cells)[shown]


def antialiased(source: int, target: int) -> np.ndarray:
    """float64 [target, source]: bilinear resampling whose triangle widens with the scale when it shrinks, as in Pillow."""
    scale = source / target
    support = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(source) - centres[:, None]) / support)
    return weights / weights.sum(1, keepdims=True)


def magma_luma() -> np.ndarray:
    """float64 [256], 0..1: how bright each colour of the map is."""
    return np.frombuffer(bytes.fromhex(MAGMA_LUMA), np.uint8) / 255


# Scattering in two dimensions (Bruna and Mallat, 2013), with the filters and sizes that kymatio 0.3 fixed: weights are trained on its numbers.


def gabor(size: int, sigma: float, theta: float, frequency: float, slant: float) -> np.ndarray:
    """complex128 [size, size]: a Gaussian times a wave, wrapped round a torus of `size` pixels; its Gaussian has the sum 1."""
    rotation = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    curve = rotation @ np.diag([1, slant**2]) @ rotation.T / (2 * sigma**2)
    unwrapped = np.arange(-2 * size, 3 * size)
    y, x = np.meshgrid(unwrapped, unwrapped, indexing="ij")
    exponent = -(curve[0, 0] * y**2 + 2 * curve[0, 1] * y * x + curve[1, 1] * x**2)
    wave = np.exp(exponent + 1j * frequency * (y * np.cos(theta) + x * np.sin(theta)))
    return wave.reshape(5, size, 5, size).sum((0, 2)) / (2 * np.pi * sigma**2 / slant)


def morlet(size: int, sigma: float, theta: float, frequency: float, slant: float) -> np.ndarray:
    """As `gabor`, with so much of the Gaussian taken away that the sum is 0."""
    wave, bell = gabor(size, sigma, theta, frequency, slant), gabor(size, sigma, theta, 0, slant)
    return wave - wave.sum() / bell.sum() * bell


def band_limit(spectrum: np.ndarray, factor: int) -> np.ndarray:
    """The spectrum of the same filter on a grid `factor` times coarser: frequencies that it cannot hold are cut off."""
    size = spectrum.shape[0]
    coarse = size // factor
    kept = np.ones(size)
    kept[coarse // 2 : coarse // 2 + size - coarse] = 0
    return (spectrum * kept[:, None] * kept).reshape(factor, coarse, factor, coarse).sum((0, 2))


def dft(size: int) -> np.ndarray:
    """complex128 [size, size], symmetric: the discrete Fourier transform as a matrix."""
    steps = np.arange(size)
    return np.exp(-2j * np.pi * (np.outer(steps, steps) % size) / size)


def low_pass(size: int, factor: int, sigma: float, coarsest: int) -> np.ndarray:
    """complex128 [coarsest, size // factor]: a signal on a grid `factor` times coarser than `size`, smoothed and brought to `coarsest` values.

    In two dimensions the result is the real part of `A @ picture @ A.T`: Gaussians are separable.
    """
    fine = size // factor
    bell = np.exp(-np.arange(-2 * size, 3 * size) ** 2 / (2 * sigma**2)).reshape(5, size).sum(0) / np.sqrt(2 * np.pi * sigma**2)
    spectrum = np.fft.fft(bell).real
    kept = np.ones(size)
    kept[fine // 2 : fine // 2 + size - fine] = 0
    spectrum = (spectrum * kept).reshape(factor, fine).sum(0)
    folded = (spectrum[:, None] * dft(fine)).reshape(fine // coarsest, coarsest, fine).mean(0)
    return np.conj(dft(coarsest)) / coarsest @ folded
