"""ONNX classifiers that are ready: what their ends say of them, and what has to be asked for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from importer.errors import ImportRefused

PROBABILITIES = ("Sigmoid", "Softmax", "HardSigmoid")
KERNELS = ("nearest", "linear", "cubic", "mitchell", "lanczos2", "lanczos3")


@dataclass(frozen=True)
class End:
    """An input or an output; free axes are None."""

    name: str
    type: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Ends:
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    last: dict[str, str]
    """Which operator makes each output."""


@dataclass(frozen=True)
class Options:
    """What the command line may say; None is not said."""

    positive: str | None = None
    activation: str | None = None
    index: int | None = None
    output: str | None = None
    heatmap: str | None = None
    width: int | None = None
    height: int | None = None
    fit: str | None = None
    kernel: str | None = None
    channels: str | None = None
    scale: float | None = None
    mean: list[float] | None = None
    std: list[float] | None = None


# A Meso4 that was converted from Keras: its generator scaled pixels to 0..1 and stretched files to 256 px; its output is P(real).
MESO4 = Options(
    positive="real", activation="none", index=0, width=256, height=256, fit="stretch", kernel="nearest", channels="rgb",
    scale=1 / 255, mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0],
)


@dataclass(frozen=True)
class Described:
    taken: End
    given: End
    layout: str
    width: int
    height: int
    output: dict[str, Any]


def describe(ends: Ends, options: Options) -> Described:
    """Raises ImportRefused for a graph that no image classifier is, or with every option that is missing and why it cannot be known."""
    if len(ends.inputs) != 1:
        raise ImportRefused(f"the graph takes {len(ends.inputs)} inputs ({', '.join(end.name for end in ends.inputs)}); an image classifier takes one")
    taken, given = ends.inputs[0], chosen(ends, options)
    for end in (taken, given):
        if end.type != "tensor(float)":
            raise ImportRefused(f"{end.name} is {end.type}; the pod gives and takes float32")
    layout = layout_of(taken)
    if taken.shape[0] not in (None, 1):
        raise ImportRefused(f"{taken.name} is {shown(taken)}: always {taken.shape[0]} items at a time; export it with a free first axis")
    rows, columns = taken.shape[2:] if layout == "nchw" else taken.shape[1:3]
    asked = {
        "--positive": (options.positive, "fake or real: what a high value says cannot be seen in a graph"),
        "--channels": (options.channels, "rgb or bgr: as it was trained"),
        "--fit": (options.fit, "stretch, cover-center or contain-pad: how images came to the size of the input"),
        "--kernel": (options.kernel, f"{', '.join(KERNELS)}: what they were resampled with"),
        "--scale": (options.scale, "pixels in 0..255 are multiplied by it, such as 0.00392156862745098"),
        "--mean": (options.mean, "taken away after that, three numbers in the order of the channels"),
        "--std": (options.std, "what the difference is divided by, three numbers"),
    }
    width, height = size("--width", options.width, columns, asked), size("--height", options.height, rows, asked)
    values = given.shape[-1] if len(given.shape) > 1 else 1
    if values != 1 or len(given.shape) > 2:
        asked["--index"] = (options.index, f"{given.name} is {shown(given)}: which of its values --positive speaks of")
    activation = options.activation or ("none" if ends.last.get(given.name) in PROBABILITIES else None)
    asked["--activation"] = (activation, "sigmoid, softmax or none (probabilities): the graph ends with "
                             f"{ends.last.get(given.name, 'no known operator')}, which does not tell")
    missing = [f"{option} ({why})" for option, (value, why) in asked.items() if value is None]
    if missing:
        raise ImportRefused(f"what cannot be known from the graph has to be said: {'; '.join(missing)}")
    index = options.index or 0
    if values is not None and not 0 <= index < values:
        raise ImportRefused(f"--index {index}: {given.name} is {shown(given)}")
    return Described(taken, given, layout, width, height, {"positive": options.positive, "activation": activation, "index": index})


def size(option: str, said: int | None, known: int | None, asked: dict[str, tuple[Any, str]]) -> int:
    if said is not None and known is not None and said != known:
        raise ImportRefused(f"{option} {said}: the graph takes {known}")
    if known is None:
        asked[option] = (said, "the graph takes any size: in pixels, as it was trained")
    return known if known is not None else said or 0


def chosen(ends: Ends, options: Options) -> End:
    """The output that judges."""
    named = {end.name: end for end in ends.outputs}
    wanted = options.output or (ends.outputs[0].name if len(ends.outputs) == 1 else None)
    if wanted is None:
        raise ImportRefused(f"the graph has {len(named)} outputs: say which one judges with --output {'|'.join(named)}")
    for name in (wanted, options.heatmap):
        if name is not None and name not in named:
            raise ImportRefused(f"the graph has no output {name}; it has {', '.join(named)}")
    return named[wanted]


def layout_of(taken: End) -> str:
    if len(taken.shape) == 4 and taken.shape[1] == 3 and taken.shape[3] != 3:
        return "nchw"
    if len(taken.shape) == 4 and taken.shape[3] == 3 and taken.shape[1] != 3:
        return "nhwc"
    raise ImportRefused(f"{taken.name} is {shown(taken)}; an image classifier takes [n, 3, h, w] or [n, h, w, 3]")


def shown(end: End) -> str:
    return f"[{', '.join('any' if side is None else str(side) for side in end.shape)}]"
