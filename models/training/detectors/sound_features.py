"""The pod's features of sound (`features` of the family audio-features) in Python, for training and for reference; test/golden/sound holds both to librosa."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

ENERGY_EPSILON = 2.0**-23


def features(windows: np.ndarray, rate: int, options: dict) -> np.ndarray:
    """[N, T] -> float32 [N, bins, frames] by `pipeline.features` of model.yaml. ValueError for log-mel, which nothing here needs."""
    stft, kind, scale = options["stft"], options["kind"], options["scale"]
    power = powers(windows, stft)
    energy = np.log10(power.sum(1) / stft["fftSize"] + ENERGY_EPSILON)
    spectrum = power if options["spectrum"] == "power" else np.sqrt(power)
    match kind["type"]:
        case "lfcc":
            bank = linear_bank(rate, stft["fftSize"], kind["filters"], kind["minHz"], kind["maxHz"])
            planes = cepstra(levels(bank @ spectrum, scale), energy, kind)
        case "log-spectrogram":
            planes = levels(spectrum[:, : kind["bins"]], scale)
        case other:
            raise ValueError(f"features of the kind {other} are not computed here")
    return normalised(planes, options["normalisation"]).astype(np.float32)


def powers(windows: np.ndarray, stft: dict) -> np.ndarray:
    """[N, T] -> [N, fftSize / 2 + 1, frames]: squared magnitudes under a periodic window in the middle of the transform."""
    size, length, hop = stft["fftSize"], stft["windowLength"], stft["hop"]
    if stft["padding"] != "none":
        windows = np.pad(windows, ((0, 0), (size // 2, size // 2)), "reflect" if stft["padding"] == "reflect" else "constant")
    level, depth = (0.5, 0.5) if stft["window"] == "hann" else (0.54, 0.46)
    shape = level - depth * np.cos(2 * np.pi * np.arange(length) / length)
    first = (size - length) // 2
    window = np.pad(shape, (first, size - length - first))
    frames = np.lib.stride_tricks.sliding_window_view(windows, size, 1)[:, ::hop]
    return np.abs(np.fft.rfft(frames * window, axis=2)).transpose(0, 2, 1) ** 2


@lru_cache(8)
def linear_bank(rate: int, size: int, filters: int, low: float, high: float) -> np.ndarray:
    """[filters, bins]: triangles that are equally wide in Hz and let all through in their middle."""
    bins, edges = np.arange(size // 2 + 1) * rate / size, np.linspace(low, high, filters + 2)
    left, middle, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.maximum(0, np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle)))


def levels(power: np.ndarray, scale: dict) -> np.ndarray:
    """Levels of each window for itself."""
    if scale["type"] == "logarithm":
        return np.log(power + scale["epsilon"]) / (np.log(10) if scale["base"] == "10" else 1)
    reference = power.max((1, 2), keepdims=True) if scale["reference"] == "max" else scale["reference"]
    made = 10 * np.log10(np.maximum(scale["floor"], power)) - 10 * np.log10(np.maximum(scale["floor"], reference))
    return made if scale["topDb"] is None else np.maximum(made, made.max((1, 2), keepdims=True) - scale["topDb"])


def cepstra(planes: np.ndarray, energy: np.ndarray, kind: dict) -> np.ndarray:
    """Orthonormal DCT-II of each frame, and the deltas of the orders that are asked for, one below the other."""
    bins = planes.shape[1]
    order, bin_ = np.arange(kind["coefficients"])[:, None], np.arange(bins)[None]
    table = np.sqrt(np.where(order == 0, 1, 2) / bins) * np.cos(np.pi * order * (2 * bin_ + 1) / (2 * bins))
    made = [table @ planes]
    if kind["energyFirst"]:
        made[0][:, 0] = energy
    for _ in range(kind["deltaOrders"]):
        made.append(deltas(made[-1], kind["delta"]))
    return np.concatenate(made, 1)


def deltas(planes: np.ndarray, formula: dict) -> np.ndarray:
    reach = 1 if formula["type"] == "difference" else (formula["width"] - 1) // 2
    divisor = 1 if formula["type"] == "difference" else reach * (reach + 1) * (2 * reach + 1) / 3
    padded, frames = np.pad(planes, ((0, 0), (0, 0), (reach, reach)), "edge"), planes.shape[2]
    slopes = (step * (padded[:, :, reach + step : reach + step + frames] - padded[:, :, reach - step : reach - step + frames]) for step in range(1, reach + 1))
    return sum(slopes) / divisor


def normalised(planes: np.ndarray, how: dict) -> np.ndarray:
    match how["type"]:
        case "per-bin-mean":
            return planes - planes.mean(2, keepdims=True)
        case "mean-std":
            mean, std = planes.mean((1, 2), keepdims=True), planes.std((1, 2), keepdims=True)
            return np.where(std > 0, (planes - mean) / np.where(std > 0, std, 1), 0)
        case "fixed":
            return (planes - how["mean"]) / how["std"]
    return planes
