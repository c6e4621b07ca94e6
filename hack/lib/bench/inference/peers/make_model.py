"""Makes the graph that every server of the benchmark runs: a convolutional network of random weights, FP32 and INT8.

    make_model.py OUT_DIRECTORY PHOTOGRAPH...

Writes `fp32.onnx`, `int8.onnx` (static QDQ, per channel, calibrated on the photographs) and `scores.json`: what the reference preprocessing
(Pillow) and the graph give for the first photograph. What the network says means nothing; what it costs is that of a small image detector.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from preprocess import SIDE, pixels_of

# (channels, convolutions, of which the first halves the side)
STAGES = [(32, 1), (48, 3), (96, 4), (160, 3), (256, 2)]


def network() -> tuple[onnx.ModelProto, int]:
    """The model and its multiply-adds for one picture."""
    random = np.random.default_rng(7)
    nodes, weights, macs = [], [], 0
    name, channels, side = "pixels", 3, SIDE
    for stage, (width, count) in enumerate(STAGES):
        for index in range(count):
            stride = 2 if index == 0 else 1
            side //= stride
            key = f"s{stage}c{index}"
            kernel = random.normal(0, np.sqrt(2 / (9 * channels)), (width, channels, 3, 3)).astype(np.float32)
            weights += [numpy_helper.from_array(kernel, f"{key}.w"), numpy_helper.from_array(np.zeros(width, np.float32), f"{key}.b")]
            nodes.append(
                helper.make_node(
                    "Conv", [name, f"{key}.w", f"{key}.b"], [f"{key}.conv"], pads=[1, 1, 1, 1], strides=[stride, stride], kernel_shape=[3, 3]
                )
            )
            before = f"{key}.conv"
            if stride == 1:
                nodes.append(helper.make_node("Add", [before, name], [f"{key}.sum"]))
                before = f"{key}.sum"
            nodes.append(helper.make_node("Relu", [before], [f"{key}.out"]))
            macs += side * side * width * channels * 9
            name, channels = f"{key}.out", width
    head = random.normal(0, 0.02, (channels, 1)).astype(np.float32)
    weights += [numpy_helper.from_array(head, "head.w"), numpy_helper.from_array(np.zeros(1, np.float32), "head.b")]
    nodes += [
        helper.make_node("GlobalAveragePool", [name], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"], axis=1),
        helper.make_node("Gemm", ["features", "head.w", "head.b"], ["logit"]),
    ]
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n", 1])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), macs


def tame(model: onnx.ModelProto, pixels: np.ndarray) -> None:
    """Scales the last layer so that these pixels get a logit of 1 or -1: scores far from 0 and 1 can be compared."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    logit = float(session.run(["logit"], {"pixels": pixels})[0][0, 0])
    head = next(weight for weight in model.graph.initializer if weight.name == "head.w")
    head.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(head) / abs(logit), "head.w"))


class Photographs(CalibrationDataReader):
    def __init__(self, paths: list[Path]):
        self._left = iter(paths)

    def get_next(self):
        path = next(self._left, None)
        return None if path is None else {"pixels": pixels_of(path.read_bytes(), draft=False)}


def main() -> None:
    out, photographs = Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]]
    out.mkdir(parents=True, exist_ok=True)
    model, macs = network()
    first = pixels_of(photographs[0].read_bytes(), draft=False)
    tame(model, first)
    onnx.checker.check_model(model)
    onnx.save(model, out / "fp32.onnx")
    quant_pre_process(out / "fp32.onnx", out / "prepared.onnx")
    quantize_static(
        out / "prepared.onnx",
        out / "int8.onnx",
        Photographs(photographs),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    (out / "prepared.onnx").unlink()
    scores = {}
    for precision in ("fp32", "int8"):
        session = ort.InferenceSession(str(out / f"{precision}.onnx"), providers=["CPUExecutionProvider"])
        (logit,) = session.run(["logit"], {"pixels": first})[0].ravel().tolist()
        scores[precision] = 1 / (1 + np.exp(-logit))
    (out / "scores.json").write_text(json.dumps({"megaMultiplyAdds": macs / 1e6, "scores": scores, "onnxruntime": ort.__version__}))


if __name__ == "__main__":
    main()
