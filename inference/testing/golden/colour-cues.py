"""Histograms of the chromaticity of pictures that a formula makes, in numpy alone.

    python3 inference/testing/golden/colour-cues.py > inference/testing/golden/colour-cues.json

Made with numpy 1.26.4. Only cells that are not 0 are written.
"""

import json

import numpy as np

CASES = [
    {"name": "many colours", "width": 61, "height": 47, "factors": [7, 13, 29], "bins": 32},
    {"name": "many colours in few bins", "width": 61, "height": 47, "factors": [7, 13, 29], "bins": 7},
    {"name": "few colours", "width": 16, "height": 9, "factors": [64, 0, 32], "bins": 32},
    {"name": "shares at the edges between bins", "width": 16, "height": 16, "factors": [85, 85, 0], "bins": 30},
]


def picture(width, height, factors):
    """[h, w, 3] in 0..255."""
    row, column = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.stack([(row * factor + column * (factor // 2) + row * column) % 256 for factor in factors], axis=-1)


def histogram(pixels, bins):
    rgb = pixels.reshape(-1, 3).astype(np.float64)
    total = rgb.sum(axis=1) + 1e-6
    counts, _, _ = np.histogram2d(rgb[:, 0] / total, rgb[:, 1] / total, bins=bins, range=[[0, 1], [0, 1]])
    return (counts - counts.min()) / (counts.max() - counts.min()) * 255


def cells(values):
    flat = values.reshape(-1)
    return [[int(index), float(np.float32(flat[index]))] for index in np.flatnonzero(flat)]


if __name__ == "__main__":
    cases = [
        {**case, "cells": cells(histogram(picture(case["width"], case["height"], case["factors"]), case["bins"]))}
        for case in CASES
    ]
    print(json.dumps(cases))
