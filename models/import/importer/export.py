"""Networks to ONNX graphs that say the same, or nothing is written."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from importer.errors import ImportRefused

OPSET = 17


class Session:
    """A graph in onnxruntime on two threads."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """The outputs for one input, in order."""
        return self.session.run(None, {self.session.get_inputs()[0].name: batch})


def export(net: nn.Module, path: Path, taken: str, given: Sequence[str], real: np.ndarray, tolerance: float, free: Mapping[int, str] | None = None) -> Session:
    """Exports a network of one input and holds the graph against it on real input.

    `real`: float32 [n, ...] with n > 1, so that a graph that only knows the batch it was traced with is caught; `free`: axes of the input beside
    the first one whose length may vary, with their names.
    Raises ImportRefused where any output differs by more than `tolerance`; the graph is removed again.
    """
    net.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    batch = torch.from_numpy(real)
    axes = {taken: {0: "n", **(free or {})}, **{name: {0: "n"} for name in given}}
    with warnings.catch_warnings(), torch.no_grad():
        # Traced constants are what a graph of a fixed shape is made of; the check below finds the wrong ones.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, batch[:1], str(path), opset_version=OPSET, input_names=[taken], output_names=list(given), dynamic_axes=axes,
            training=torch.onnx.TrainingMode.EVAL,
        )
        answers = net(batch)
    wanted = [answers] if isinstance(answers, torch.Tensor) else list(answers)
    session = Session(path)
    apart = max(float(np.abs(mine.numpy() - theirs).max()) for mine, theirs in zip(wanted, session.run(real)))
    print(f"  {path.name}: {path.stat().st_size} bytes, at most {apart:.1e} from PyTorch's outputs on {len(real)} real inputs", flush=True)
    if not apart <= tolerance:
        path.unlink()
        raise ImportRefused(f"{path.name}: the graph is {apart:.1e} from PyTorch, more than {tolerance:.0e}; it was removed")
    return session
