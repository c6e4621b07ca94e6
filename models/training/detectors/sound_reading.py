"""How the pod makes a sound into the items of `audio-waveform` and `audio-features`: the reference of their golden scores. numpy alone."""

from __future__ import annotations

import numpy as np
from importer.reading import windows

from detectors import sound_features
from detectors.windows import SAMPLE_RATE, SILENT_PEAK, trim

FAMILIES = ("audio-waveform", "audio-features")


def unknown_here(pipeline: dict) -> str:
    """Why a pipeline cannot be followed here, or nothing."""
    if pipeline["sampleRate"] != SAMPLE_RATE:
        return f"sound of {pipeline['sampleRate']} Hz is not read here, only of {SAMPLE_RATE} Hz"
    if "voiceActivity" in pipeline:
        return "the pod alone finds speech"
    if pipeline["aggregation"] != "mean-logit":
        return f"windows are joined by mean-logit here, not by {pipeline['aggregation']}"
    if pipeline["type"] == "audio-features" and pipeline["features"]["kind"]["type"] == "log-mel":
        return "log-mel features are not computed here"
    return ""


def items(samples: np.ndarray, pipeline: dict) -> np.ndarray:
    """float32 [T] mono at the pipeline's rate -> what the graph takes, [N, ...]. ValueError where there is too little to judge."""
    rate = pipeline["sampleRate"]
    clip = samples[: round(pipeline["maxSeconds"] * rate)]
    if clip.size == 0 or np.abs(clip).max() < SILENT_PEAK:
        raise ValueError("there is no sound in it")
    clip = trim(clip) if pipeline["trimSilence"] else clip
    if clip.size < pipeline["minSeconds"] * rate:
        raise ValueError(f"{clip.size / rate:.2f} s of sound, at least {pipeline['minSeconds']} s are needed")
    clip = emphasised(levelled(clip, pipeline["level"]), pipeline["preEmphasis"])
    length = pipeline["windowSamples"] if pipeline["type"] == "audio-waveform" else round(pipeline["windowSeconds"] * rate)
    return laid_out(windows(clip, length, round(pipeline["hopSeconds"] * rate), pipeline["shortSound"]), pipeline)


def laid_out(cut: np.ndarray, pipeline: dict) -> np.ndarray:
    """Windows [N, T] as samples or features in the pipeline's layout."""
    if pipeline["type"] == "audio-waveform":
        return cut if pipeline["layout"] == "samples" else cut[:, None]
    planes = sound_features.features(cut, pipeline["sampleRate"], pipeline["features"])
    match pipeline["layout"]:
        case "bins-frames":
            return planes
        case "channel-bins-frames":
            return planes[:, None]
    return planes.transpose(0, 2, 1)


def levelled(samples: np.ndarray, level: dict) -> np.ndarray:
    peak = np.abs(samples).max()
    match level["type"]:
        case "peak":
            return (samples * (level["amplitude"] / peak)).astype(np.float32)
        case "rms":
            gain = 10 ** (level["dbfs"] / 20) / np.sqrt(np.mean(samples.astype(float) ** 2))
            return (samples * min(gain, 1 / peak)).astype(np.float32)
    return samples


def emphasised(samples: np.ndarray, coefficient: float) -> np.ndarray:
    """What is high is lifted; the first sample stays."""
    if coefficient == 0:
        return samples
    return (samples - coefficient * np.concatenate([samples[..., :1] * 0, samples[..., :-1]], -1)).astype(np.float32)
