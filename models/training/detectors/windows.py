"""How media is cut before it reaches a graph. The inference pod implements the same rules; golden files hold both to them."""

from __future__ import annotations

import math

import numpy as np

TILE = 256
TILES_PER_AXIS = 3
MIN_SIDE = 128

SAMPLE_RATE = 16_000
WINDOW = 2 * SAMPLE_RATE
HOP = SAMPLE_RATE
FRAME = SAMPLE_RATE // 50
SILENCE_DB = -50.0
PEAK = 0.95
SILENT_PEAK = 1e-4
MIN_SECONDS = 1
MAX_SECONDS = 60


def tile_origins(side: int, tile: int = TILE, most: int = TILES_PER_AXIS) -> list[int]:
    """Origins (px) of at most `most` tiles, spread evenly along a side that holds at least one."""
    count = min(most, math.ceil(side / tile))
    if count == 1:
        return [(side - tile) // 2]
    return [math.floor(i * (side - tile) / (count - 1) + 0.5) for i in range(count)]


def tiles(image: np.ndarray, tile: int = TILE, most: int = TILES_PER_AXIS, least: int = MIN_SIDE) -> np.ndarray:
    """uint8 [H, W, 3] -> float32 [N, 3, tile, tile], RGB, 0..255, NCHW, row by row.

    A side below `tile` px is mirrored at its end (right, bottom) without repeating the edge pixel.
    ValueError when the shorter side is below `least` px: too little to judge.
    """
    height, width = image.shape[:2]
    if min(height, width) < least:
        raise ValueError(f"the shorter side is {min(height, width)} px, at least {least} px are needed")
    image = np.pad(image, ((0, max(0, tile - height)), (0, max(0, tile - width)), (0, 0)), mode="reflect")
    cut = [
        image[y : y + tile, x : x + tile]
        for y in tile_origins(image.shape[0], tile, most)
        for x in tile_origins(image.shape[1], tile, most)
    ]
    return np.stack(cut).transpose(0, 3, 1, 2).astype(np.float32)


def trim(samples: np.ndarray) -> np.ndarray:
    """Drops leading and trailing 20 ms frames whose loudest sample is below -50 dB of the clip's peak."""
    if samples.size == 0:
        return samples
    frames = [np.abs(samples[i : i + FRAME]).max() for i in range(0, samples.size, FRAME)]
    loud = np.flatnonzero(np.array(frames) >= max(frames) * 10 ** (SILENCE_DB / 20))
    return samples[loud[0] * FRAME : (loud[-1] + 1) * FRAME]


def window_starts(length: int) -> list[int]:
    """Starts (samples) of 2 s windows every second; the last one is aligned to the clip's end."""
    starts = list(range(0, length - WINDOW + 1, HOP))
    if starts[-1] + WINDOW < length:
        starts.append(length - WINDOW)
    return starts


def windows(samples: np.ndarray) -> np.ndarray:
    """float32 [T] mono at 16 kHz -> float32 [N, 32000]: first 60 s, trimmed, peak at 0.95, short clips repeated.

    ValueError when less than one second of sound is left.
    """
    clip = trim(samples[: MAX_SECONDS * SAMPLE_RATE])
    if clip.size < MIN_SECONDS * SAMPLE_RATE or np.abs(clip).max() < SILENT_PEAK:
        raise ValueError(f"{clip.size / SAMPLE_RATE:.2f} s of sound, at least {MIN_SECONDS} s are needed")
    clip = clip * (PEAK / np.abs(clip).max())
    if clip.size < WINDOW:
        clip = np.tile(clip, math.ceil(WINDOW / clip.size))[:WINDOW]
    return np.stack([clip[s : s + WINDOW] for s in window_starts(clip.size)]).astype(np.float32)
