"""Converts the face graphs of a MediaPipe wheel into inference/faces/graphs, and compares them with what TFLite computes. See README.md."""

import argparse
import hashlib
import sys
import zipfile
from pathlib import Path

import numpy
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from tflite_graph import read_graph
from to_onnx import to_onnx

TARGET = Path(__file__).resolve().parents[2] / "inference" / "faces" / "graphs"
# By the name of the ONNX file: the member of the wheel, its digest, and what its ends are called in ONNX.
GRAPHS = {
    "face-detection-full-range": (
        "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        {"input_1": "image", "Identity": "boxes", "Identity_1": "logits"},
    ),
    "face-mesh": (
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        {"input_1": "image", "conv2d_21": "points", "conv2d_31": "presence"},
    ),
}
# Largest difference of an output in units of the output's own largest value: both sides sum float32 in orders of their own.
TOLERANCE = 2e-5
ROUNDS = 4


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("wheel", type=Path, help="the MediaPipe wheel")
    arguments.add_argument("--check", action="store_true", help="write nothing: fail where the graphs in the repository are others")
    options = arguments.parse_args()
    failed = False
    with zipfile.ZipFile(options.wheel) as wheel:
        for name, (member, sha256, ends) in GRAPHS.items():
            source = wheel.read(member)
            found = hashlib.sha256(source).hexdigest()
            if found != sha256:
                raise SystemExit(f"{member}: the SHA-256 is {found}, not {sha256}; use the wheel that requirements-mediapipe.txt pins")
            model = to_onnx(read_graph(source), name, ends).SerializeToString(deterministic=True)
            differences = compare(source, model, ends)
            for output, difference in differences.items():
                good = difference <= TOLERANCE
                failed |= not good
                verdict = "" if good else ": too much"
                print(f"{name} {output}: differs from TFLite by {difference:.1e} of its largest value, {TOLERANCE:.0e} are allowed{verdict}")
            path = TARGET / f"{name}.onnx"
            if options.check:
                if not path.exists() or path.read_bytes() != model:
                    failed = True
                    print(f"{path}: is not what this conversion gives")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(model)
            print(f"{name}.onnx: {len(model)} bytes, sha256 {hashlib.sha256(model).hexdigest()}")
    return 1 if failed else 0


def compare(source: bytes, model: bytes, ends: dict[str, str]) -> dict[str, float]:
    """By output, over random pictures; together in one run of ONNX, so that its items do not mix either."""
    interpreter = Interpreter(model_content=source, num_threads=1)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    exits = {ends[detail["name"]]: detail["index"] for detail in interpreter.get_output_details()}
    # Smooth noise, as pictures are: plain noise reaches few of the neurons.
    generator = numpy.random.default_rng(1)
    coarse = generator.uniform(-1, 1, (ROUNDS, 12, 12, 3))
    factor = entry["shape"][1] // 12 + 1
    pictures = coarse.repeat(factor, 1).repeat(factor, 2)[:, : entry["shape"][1], : entry["shape"][2]].astype(numpy.float32)
    pictures += generator.normal(0, 0.1, pictures.shape).astype(numpy.float32)
    expected: dict[str, list[numpy.ndarray]] = {name: [] for name in exits}
    for picture in pictures:
        interpreter.set_tensor(entry["index"], picture[None])
        interpreter.invoke()
        for name, index in exits.items():
            expected[name].append(interpreter.get_tensor(index).copy())
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = dict(zip(exits, session.run(list(exits), {session.get_inputs()[0].name: pictures})))
    return {
        name: float(numpy.abs(found[name] - values).max() / numpy.abs(values).max())
        for name, values in ((name, numpy.concatenate(each)) for name, each in expected.items())
    }


if __name__ == "__main__":
    sys.exit(main())
