"""Static INT8: 8-bit weights per channel and activations in ranges that were measured on real media."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime import InferenceSession

MOST_PARTS = 16


class Parts(CalibrationDataReader):
    def __init__(self, taken: str, batches: list[np.ndarray], most: int) -> None:
        self.parts: Iterator[dict[str, np.ndarray]] = iter([{taken: part[None]} for batch in batches for part in batch][:most])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.parts, None)


def quantised(path: Path, batches: list[np.ndarray], most: int = MOST_PARTS, kept: Collection[str] = ()) -> str:
    """Writes `<stem>.int8.onnx` beside a graph and gives its name; `batches` are what the graph takes, of which `most` parts are looked at.

    Layers whose weights are named in `kept` stay as they are: fixed filters before a logarithm do not bear coarse numbers.
    """
    taken = InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs()[0].name
    target = path.with_name(f"{path.stem}.int8.onnx")
    excluded = [node.name for node in onnx.load(str(path)).graph.node if set(node.input) & set(kept)]
    quantize_static(
        str(path), str(target), Parts(taken, batches, most), quant_format=QuantFormat.QDQ, per_channel=True, op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        nodes_to_exclude=excluded,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
    )
    return target.name
