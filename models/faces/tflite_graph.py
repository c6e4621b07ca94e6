"""A TFLite file as plain Python data: operators in order, tensors with their shapes and, where they are constant, their values."""

from dataclasses import dataclass, field

import numpy
import tflite

_OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
_TYPES = {
    tflite.TensorType.FLOAT32: numpy.float32,
    tflite.TensorType.FLOAT16: numpy.float16,
    tflite.TensorType.INT32: numpy.int32,
}
_INDICES = {
    tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
    tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
    tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
}


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    # None for what is computed.
    values: numpy.ndarray | None


@dataclass(frozen=True)
class Operator:
    kind: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    options: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    inputs: list[Tensor]
    outputs: list[Tensor]
    operators: list[Operator]


def read_graph(source: bytes) -> Graph:
    """The only subgraph of the file."""
    model = tflite.Model.GetRootAs(source, 0)
    if model.SubgraphsLength() != 1:
        raise ValueError(f"{model.SubgraphsLength()} subgraphs; only files with one are understood")
    graph = model.Subgraphs(0)
    tensors = [_tensor(model, graph.Tensors(index)) for index in range(graph.TensorsLength())]

    def operator(index: int) -> Operator:
        node = graph.Operators(index)
        code = model.OperatorCodes(node.OpcodeIndex())
        # The older field holds the codes below 127.
        kind = _OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        return Operator(
            kind,
            [tensors[node.Inputs(place)] for place in range(node.InputsLength()) if node.Inputs(place) >= 0],
            [tensors[node.Outputs(place)] for place in range(node.OutputsLength())],
            _options(kind, node.BuiltinOptions()),
        )

    return Graph(
        [tensors[graph.Inputs(place)] for place in range(graph.InputsLength())],
        [tensors[graph.Outputs(place)] for place in range(graph.OutputsLength())],
        [operator(index) for index in range(graph.OperatorsLength())],
    )


def _tensor(model: tflite.Model, tensor: tflite.Tensor) -> Tensor:
    name = tensor.Name().decode()
    shape = tuple(int(side) for side in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    buffer = model.Buffers(tensor.Buffer())
    if buffer.DataLength() == 0:
        return Tensor(name, shape, None)
    if tensor.Type() not in _TYPES:
        raise ValueError(f"{name}: constants of type {tensor.Type()} are not understood")
    values = buffer.DataAsNumpy().view(_TYPES[tensor.Type()])
    sparsity = tensor.Sparsity()
    return Tensor(name, shape, values.reshape(shape) if sparsity is None else _dense(name, shape, values, sparsity))


def _dense(name: str, shape: tuple[int, ...], values: numpy.ndarray, sparsity: tflite.SparsityParameters) -> numpy.ndarray:
    """
    Dimensions are walked in the order of `TraversalOrder`; those behind the tensor's own are blocks, each inside the dimension that `BlockMap`
    names. A dense dimension has every index, a sparse one the indices of its segment.
    """
    order = [int(place) for place in sparsity.TraversalOrderAsNumpy()]
    blocks = [int(place) for place in sparsity.BlockMapAsNumpy()] if sparsity.BlockMapLength() else []
    levels = []
    for level in range(len(order)):
        metadata = sparsity.DimMetadata(level)
        if metadata.Format() == tflite.DimensionType.DENSE:
            levels.append((metadata.DenseSize(), None, None))
        else:
            segments = _indices(metadata.ArraySegments(), metadata.ArraySegmentsType())
            indices = _indices(metadata.ArrayIndices(), metadata.ArrayIndicesType())
            levels.append((0, segments, indices))
    block_sizes = {len(shape) + place: levels[order.index(len(shape) + place)][0] for place in range(len(blocks))}
    dense = numpy.zeros(shape, values.dtype)

    def place_of(position: dict[int, int]) -> tuple[int, ...]:
        index = [position[axis] for axis in range(len(shape))]
        for place, axis in enumerate(blocks):
            index[axis] = index[axis] * block_sizes[len(shape) + place] + position[len(shape) + place]
        return tuple(index)

    taken = 0

    def walk(level: int, offset: int, position: dict[int, int]) -> None:
        nonlocal taken
        if level == len(order):
            dense[place_of(position)] = values[offset]
            taken += 1
            return
        size, segments, indices = levels[level]
        if segments is None:
            for index in range(size):
                walk(level + 1, offset * size + index, {**position, order[level]: index})
        else:
            for at in range(segments[offset], segments[offset + 1]):
                walk(level + 1, at, {**position, order[level]: int(indices[at])})

    walk(0, 0, {})
    if taken != values.size:
        raise ValueError(f"{name}: {values.size} values, but its sparsity places {taken}")
    return dense


def _indices(table, kind: int) -> numpy.ndarray:
    vector = _INDICES[kind]()
    vector.Init(table.Bytes, table.Pos)
    return vector.ValuesAsNumpy()


def _options(kind: str, table) -> dict[str, int]:
    """The numbers among the operator's options, by the names of the schema."""
    readers = {
        "CONV_2D": (tflite.Conv2DOptions, ["Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor", "FusedActivationFunction"]),
        "DEPTHWISE_CONV_2D": (
            tflite.DepthwiseConv2DOptions,
            ["Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor", "DepthMultiplier", "FusedActivationFunction"],
        ),
        "MAX_POOL_2D": (tflite.Pool2DOptions, ["Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth", "FusedActivationFunction"]),
        "ADD": (tflite.AddOptions, ["FusedActivationFunction"]),
        "CONCATENATION": (tflite.ConcatenationOptions, ["Axis", "FusedActivationFunction"]),
        "RESIZE_BILINEAR": (tflite.ResizeBilinearOptions, ["AlignCorners", "HalfPixelCenters"]),
        "DEPTH_TO_SPACE": (tflite.DepthToSpaceOptions, ["BlockSize"]),
    }
    if kind not in readers or table is None:
        return {}
    make, names = readers[kind]
    options = make()
    options.Init(table.Bytes, table.Pos)
    return {name: int(getattr(options, name)()) for name in names}
