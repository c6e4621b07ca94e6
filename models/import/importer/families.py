"""The `pipeline` of model.yaml, one function per detector family of the pod: the only place that knows its names. Standard library alone."""

from __future__ import annotations

from typing import Any

Pipeline = dict[str, Any]
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
HALVES = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])


def image_classifier(
    width: int, height: int, *, fit: str, kernel: str, channels: str, layout: str, scale: float, mean: list[float], std: list[float], min_side: int = 64,
) -> Pipeline:
    """All pixels are decoded: a JPEG decoded at less is another picture than the one that was trained on."""
    return {
        "type": "image-classifier", "size": {"width": width, "height": height}, "fit": fit, "kernel": kernel, "decode": "full",
        "channels": channels, "layout": layout, "scale": scale, "mean": mean, "std": std, "minSide": min_side,
    }


def frame_parts(side: int, interpolation: str, mean: list[float], std: list[float], channels: str = "rgb") -> Pipeline:
    return {
        "frame": {"width": side, "height": side, "fit": "fill", "interpolation": interpolation},
        "pixels": {"channels": channels, "layout": "nchw", "mean": mean, "std": std},
    }


def video_temporal(side: int, sequence: int, windows: int, rolling: int) -> Pipeline:
    """As many frames are encoded as the windows see at most; each is encoded once, however many windows it is in."""
    return {
        "type": "video-temporal", "sampling": {"mode": "uniform", "frames": sequence}, **frame_parts(side, "bicubic", *HALVES),
        "sequence": sequence, "windows": windows, "rollingWindows": rolling, "minFrames": 2,
    }


def video_faces(side: int, channels: str) -> Pipeline:
    """ImageNet's mean and deviation are applied to the channels in whichever order they come, as the reference applies them.

    The reference looks at every frame; 32 are the customary number, and what is above 0.8 has to be more than 11 of them.
    """
    mean, std = IMAGENET
    return {
        "type": "video-faces", "sampling": {"mode": "uniform", "frames": 32}, "maxFrameSide": 1280,
        "faces": {"max": 4, "minSide": 32}, "crop": {"width": side, "height": side, "margin": 0.3333, "fit": "contain"},
        "pixels": {"channels": channels, "layout": "nchw", "mean": mean, "std": std}, "minFrames": 4,
        "aggregation": {"method": "confident", "high": 0.8, "fakeShare": 0.4, "fakeFrames": 11, "low": 0.2, "realShare": 0.9},
    }


def video_colour_cues(bins: int, sequence: int) -> Pipeline:
    return {
        "type": "video-colour-cues", "sampling": {"mode": "uniform", "frames": 50}, "maxFrameSide": 1280, "minFaceSide": 32,
        "margin": 20, "bins": bins, "sequence": sequence, "stride": 1, "maxWindows": 19, "aggregation": "mean-score", "rollingWindows": 10,
    }


def video_eye_blink(side: int, sequence: int) -> Pipeline:
    """The reference takes every tenth frame; three a second are those of a video of 30."""
    mean, std = IMAGENET
    return {
        "type": "video-eye-blink", "sampling": {"mode": "fps", "rate": 3, "maxFrames": 512}, "maxFrameSide": 640, "minFaceSide": 32,
        "blinks": {"threshold": {"mode": "fixed", "ear": 0.45}, "minFrames": 2}, "eyes": {"size": side, "margin": 15},
        "pixels": {"channels": "rgb", "layout": "nchw", "mean": mean, "std": std},
        "sequence": sequence, "stride": 1, "maxWindows": 64, "aggregation": "mean-score",
    }


def audio_waveform(rate: int, samples: int, hop_seconds: float, short: str, only_first: bool = False) -> Pipeline:
    """`short`: what fills sound up that is shorter than a window, `repeat` or `zero-pad`."""
    seconds = samples / rate
    return {
        "type": "audio-waveform", "sampleRate": rate, "windowSamples": samples, "layout": "samples", "trimSilence": False,
        "level": {"type": "none"}, "preEmphasis": 0, "hopSeconds": hop_seconds, "shortSound": short,
        "minSeconds": 0.5, "maxSeconds": round(seconds, 4) if only_first else 120, "aggregation": "mean-logit",
    }
