"""The architectures that can be imported: what the pod does around their graphs, and what a package says about them. Standard library alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from importer import families


@dataclass(frozen=True)
class Graph:
    """One graph of a package: its file and the names at its ends."""

    taken: str
    given: str
    heatmap: str | None = None

    def entry(self, name: str, sha256: str) -> dict[str, Any]:
        made = {"file": f"{name}.onnx", "sha256": sha256, "input": self.taken, "output": self.given}
        return made | ({"heatmap": self.heatmap} if self.heatmap else {})


@dataclass(frozen=True)
class Architecture:
    name: str
    modality: str
    description: str
    pipeline: Callable[[Any], families.Pipeline] = field(repr=False)
    graphs: dict[str, Graph]
    output: dict[str, Any]
    tolerance: float
    """Between the graph and PyTorch, on any output."""
    questions: tuple[str, ...] = ()
    """Options without which the package would be a guess."""


FAKE_LOGIT = {"positive": "fake", "activation": "sigmoid"}
REAL_LOGIT = {"positive": "real", "activation": "sigmoid"}
BONA_FIDE = {"positive": "real", "activation": "softmax", "index": 1}


def aasist(name: str, words: str) -> Architecture:
    return Architecture(
        name=name, modality="audio",
        description=f"{words}: raw speech through sinc filters, residual blocks and graph attention; trained by others to tell bona fide from synthetic speech.",
        pipeline=lambda _: families.audio_waveform(16_000, 64_600, hop_seconds=2.0, short="repeat"),
        graphs={"classifier": Graph("samples", "logits")}, output=BONA_FIDE, tolerance=1e-4,
    )


ARCHITECTURES = {
    made.name: made
    for made in (
        aasist("aasist", "AASIST"),
        aasist("aasist-l", "AASIST-L"),
        Architecture(
            name="siglip-lstm-v4", modality="video",
            description="SigLIP features of single frames, and a bidirectional LSTM over 120 of them.",
            pipeline=lambda _: families.video_temporal(224, sequence=120, windows=50, rolling=10),
            graphs={"encoder": Graph("frames", "features"), "classifier": Graph("features", "logit")}, output=FAKE_LOGIT, tolerance=1e-3,
        ),
        Architecture(
            name="color-cues-lstm-v1", modality="video",
            description="Histograms of the chromaticity of a face over time, judged by an LSTM.",
            pipeline=lambda _: families.video_colour_cues(bins=32, sequence=32),
            graphs={"classifier": Graph("histograms", "logit")}, output=FAKE_LOGIT, tolerance=1e-3,
        ),
        Architecture(
            name="efficientnet-b7-v1", modality="video",
            description="Single faces judged by EfficientNet-B7, with a map of where it looked.",
            pipeline=lambda options: families.video_faces(380, options.channels),
            graphs={"classifier": Graph("faces", "logit", heatmap="cam")}, output=FAKE_LOGIT, tolerance=1e-3, questions=("channels",),
        ),
        Architecture(
            name="eyeblink-cnn-lstm-v1", modality="video",
            description="Pictures of blinking eyes, judged by Xception and an LSTM over ten of them.",
            pipeline=lambda _: families.video_eye_blink(160, sequence=10),
            graphs={"classifier": Graph("eyes", "logit")}, output=REAL_LOGIT, tolerance=1e-3,
        ),
        Architecture(
            name="scattering-wave-v1", modality="audio",
            description="The wavelet scattering transform of a picture of the mel spectrogram of the first two seconds, judged by dense layers.",
            pipeline=lambda _: families.audio_waveform(16_000, 32_000, hop_seconds=2.0, short="zero-pad", only_first=True),
            graphs={"classifier": Graph("samples", "logit")}, output=REAL_LOGIT, tolerance=1e-3,
        ),
    )
}
