"""Reads the ends of an ONNX graph without running it."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from importer.errors import ImportRefused
from importer.foreign import End, Ends

FLOAT = onnx.TensorProto.FLOAT


def ends_of(path: Path) -> Ends:
    """Raises ImportRefused for a file that is no ONNX graph, or whose tensors are in files beside it, which the pod refuses."""
    if not path.is_file():
        raise ImportRefused(f"{path}: there is no such file")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise ImportRefused(f"{path}: not an ONNX graph: {error}") from error
    graph = model.graph
    outside = [tensor.name for tensor in graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise ImportRefused(f"{path}: {len(outside)} tensors are in other files; save it as one: onnx.save(onnx.load(PATH), NEW_PATH)")
    if not graph.output:
        raise ImportRefused(f"{path}: not an ONNX graph: it has no output")
    constants = {tensor.name for tensor in graph.initializer}
    return Ends(
        inputs=tuple(end_of(value) for value in graph.input if value.name not in constants),
        outputs=tuple(end_of(value) for value in graph.output),
        last={name: node.op_type for node in graph.node for name in node.output},
    )


def end_of(value: onnx.ValueInfoProto) -> End:
    tensor = value.type.tensor_type
    kind = "tensor(float)" if tensor.elem_type == FLOAT else onnx.TensorProto.DataType.Name(tensor.elem_type)
    return End(value.name, kind, tuple(side.dim_value if side.HasField("dim_value") and side.dim_value > 0 else None for side in tensor.shape.dim))
