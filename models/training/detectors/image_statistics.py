"""What an image is like before any model looks at it. The pod's definition, which is part of the package format, is inference/dsp/input-statistics.ts.

numpy alone.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.windows import tile_origins

NAMES = ("log_noise", "spectrum_slope", "blockiness", "saturated_share")
SIDE = 64
MOST_PER_AXIS = 12
BLOCK = 8
NOTHING = 0.01
OCTAVES = 4
LUMA = np.float32([0.299, 0.587, 0.114])


def statistics(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] -> [4] in the order of `NAMES`."""
    cut = patches(pixels)
    luma = (cut.astype(np.float64) @ LUMA.astype(np.float64)).astype(np.float32)
    saturated = (cut.min(-1) == 0) | (cut.max(-1) == 255)
    return np.array([log_noise(luma), spectrum_slope(luma), blockiness(luma), saturated.mean()])


def patches(pixels: np.ndarray) -> np.ndarray:
    """uint8 [N, 64, 64, 3]: at most 12 x 12, beginning at multiples of 8 px; short sides are mirrored at their end."""
    height, width = pixels.shape[:2]
    ends = [max(0, SIDE - side) for side in (height, width)]
    padded = np.pad(pixels, ((0, ends[0]), (0, ends[1]), (0, 0)), mode="reflect")
    rows, columns = ([origin - origin % BLOCK for origin in tile_origins(max(side, SIDE), SIDE, MOST_PER_AXIS)] for side in (height, width))
    return np.stack([padded[y : y + SIDE, x : x + SIDE] for y in rows for x in columns])


def log_noise(luma: np.ndarray) -> float:
    """log10 of the median over the patches of Immerkaer's estimate of the noise's standard deviation."""
    corners = luma[:, :-2, :-2] + luma[:, :-2, 2:] + luma[:, 2:, :-2] + luma[:, 2:, 2:]
    sides = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    residual = np.abs(corners - 2 * sides + 4 * luma[:, 1:-1, 1:-1]).sum((1, 2))
    noises = math.sqrt(math.pi / 2) * residual / (6 * (SIDE - 2) ** 2)
    return math.log10(max(NOTHING, float(np.median(noises))))


def spectrum_slope(luma: np.ndarray) -> float:
    """How log2 of the mean squared difference between neighbours changes from one octave to the next."""
    energies, plane = [], luma.astype(float)
    for octave in range(OCTAVES):
        if octave:
            plane = (plane[:, ::2, ::2] + plane[:, ::2, 1::2] + plane[:, 1::2, ::2] + plane[:, 1::2, 1::2]) / 4
        here = plane[:, :-1, :-1]
        steps = (here - plane[:, :-1, 1:]) ** 2 + (here - plane[:, 1:, :-1]) ** 2
        energies.append(math.log2(max(NOTHING**2, float(steps.mean() / 2))))
    return float(np.polyfit(np.arange(OCTAVES), energies, 1)[0])


def blockiness(luma: np.ndarray) -> float:
    """log2 of the mean step across the borders of blocks of 8 px, over that elsewhere."""
    steps = np.abs(np.diff(luma, axis=2)).mean((0, 1)) + np.abs(np.diff(luma, axis=1)).mean((0, 2))
    border = np.arange(SIDE - 1) % BLOCK == BLOCK - 1
    return math.log2((steps[border].mean() / 2 + NOTHING) / (steps[~border].mean() / 2 + NOTHING))
