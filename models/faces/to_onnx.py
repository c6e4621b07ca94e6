"""From a TFLite graph of convolutions to ONNX. Ends keep TFLite's layout (NHWC), with any number of items; between them it is NCHW."""

import numpy
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

from tflite_graph import Graph, Operator, Tensor

OPSET = 17
# ONNX Runtime of today reads it; a newer one would be refused by older ones for nothing.
IR_VERSION = 8

_NHWC_TO_NCHW = [0, 3, 1, 2]
_NCHW_TO_NHWC = [0, 2, 3, 1]
_ACTIVATIONS = {
    tflite.ActivationFunctionType.NONE: None,
    tflite.ActivationFunctionType.RELU: "Relu",
}


def to_onnx(graph: Graph, name: str, ends: dict[str, str]) -> onnx.ModelProto:
    """
    @param ends what the graph's inputs and outputs are called in ONNX, by their names in TFLite
    @raises ValueError for an operator or an option that is not understood
    """
    return _Writer(graph, name, ends).model()


class _Writer:
    def __init__(self, graph: Graph, name: str, ends: dict[str, str]) -> None:
        self._graph = graph
        self._name = name
        self._ends = ends
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        # Where a constant of TFLite passed through operators that only change how it is stored.
        self._constants: dict[str, numpy.ndarray] = {}

    def model(self) -> onnx.ModelProto:
        for tensor in self._graph.inputs:
            self._add("Transpose", [self._ends[tensor.name]], tensor.name, perm=_NHWC_TO_NCHW)
        for operator in self._graph.operators:
            self._write(operator)
        for tensor in self._graph.outputs:
            if len(tensor.shape) == 4:
                self._add("Transpose", [tensor.name], f"{tensor.name}/nhwc", perm=_NCHW_TO_NHWC)
                self._add("Identity", [f"{tensor.name}/nhwc"], self._ends[tensor.name])
            else:
                self._add("Identity", [tensor.name], self._ends[tensor.name])
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [self._end(tensor) for tensor in self._graph.inputs],
            [self._end(tensor) for tensor in self._graph.outputs],
            list(self._initializers.values()),
        )
        model = helper.make_model(
            graph, producer_name="deepfake-operator", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _end(self, tensor: Tensor) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(self._ends[tensor.name], TensorProto.FLOAT, ["n", *tensor.shape[1:]])

    def _write(self, operator: Operator) -> None:
        writer = getattr(self, f"_write_{operator.kind.lower()}", None)
        if writer is None:
            raise ValueError(f"{operator.kind} ({operator.outputs[0].name}) is not understood")
        writer(operator)

    def _add(self, kind: str, inputs: list[str], output: str, **attributes) -> None:
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def _constant(self, name: str, values: numpy.ndarray) -> str:
        """Half precision stays so in the file, where it is half as large; the runtime widens it once."""
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(numpy.ascontiguousarray(values), name)
            if values.dtype == numpy.float16:
                self._add("Cast", [name], f"{name}/float32", to=TensorProto.FLOAT)
        return f"{name}/float32" if values.dtype == numpy.float16 else name

    def _values(self, tensor: Tensor) -> numpy.ndarray:
        values = self._constants.get(tensor.name, tensor.values)
        if values is None:
            raise ValueError(f"{tensor.name} is computed, but has to be constant here")
        return values

    def _finish(self, operator: Operator, produced: str) -> None:
        """Names what was produced as TFLite does, behind the activation that is part of the operator."""
        (output,) = operator.outputs
        activation = operator.options.get("FusedActivationFunction", tflite.ActivationFunctionType.NONE)
        if activation not in _ACTIVATIONS:
            raise ValueError(f"{output.name}: the activation {activation} is not understood")
        self._add(_ACTIVATIONS[activation] or "Identity", [produced], output.name)

    def _pads(self, operator: Operator, kernel: tuple[int, int]) -> list[int]:
        """TFLite's SAME: what an odd sum lacks is added at the end."""
        options = operator.options
        if options["Padding"] == tflite.Padding.VALID:
            return [0, 0, 0, 0]
        source, target = operator.inputs[0].shape, operator.outputs[0].shape
        totals = [
            max(0, (target[axis] - 1) * stride + (size - 1) * dilation + 1 - source[axis])
            for axis, stride, size, dilation in (
                (1, options["StrideH"], kernel[0], options.get("DilationHFactor", 1)),
                (2, options["StrideW"], kernel[1], options.get("DilationWFactor", 1)),
            )
        ]
        begins = [total // 2 for total in totals]
        return [*begins, *(total - begin for total, begin in zip(totals, begins))]

    def _convolution(self, operator: Operator, weights: numpy.ndarray, group: int) -> None:
        source, kernel, bias = operator.inputs
        output = operator.outputs[0].name
        options = operator.options
        inputs = [source.name, self._constant(kernel.name, weights), self._constant(bias.name, self._values(bias))]
        self._add(
            "Conv",
            inputs,
            f"{output}/sum",
            group=group,
            kernel_shape=weights.shape[2:],
            strides=[options["StrideH"], options["StrideW"]],
            dilations=[options["DilationHFactor"], options["DilationWFactor"]],
            pads=self._pads(operator, weights.shape[2:]),
        )
        self._finish(operator, f"{output}/sum")

    def _write_conv_2d(self, operator: Operator) -> None:
        # OHWI to OIHW.
        self._convolution(operator, self._values(operator.inputs[1]).transpose(0, 3, 1, 2), 1)

    def _write_depthwise_conv_2d(self, operator: Operator) -> None:
        # 1HWO to O1HW.
        self._convolution(operator, self._values(operator.inputs[1]).transpose(3, 0, 1, 2), operator.inputs[0].shape[3])

    def _write_dequantize(self, operator: Operator) -> None:
        self._constants[operator.outputs[0].name] = self._values(operator.inputs[0])

    _write_densify = _write_dequantize

    def _write_add(self, operator: Operator) -> None:
        output = operator.outputs[0].name
        self._add("Add", [tensor.name for tensor in operator.inputs], f"{output}/sum")
        self._finish(operator, f"{output}/sum")

    def _write_relu(self, operator: Operator) -> None:
        self._add("Relu", [operator.inputs[0].name], operator.outputs[0].name)

    def _write_prelu(self, operator: Operator) -> None:
        source, slope = operator.inputs
        slopes = self._values(slope).transpose(2, 0, 1)
        self._add("PRelu", [source.name, self._constant(slope.name, slopes)], operator.outputs[0].name)

    def _write_max_pool_2d(self, operator: Operator) -> None:
        options = operator.options
        kernel = (options["FilterHeight"], options["FilterWidth"])
        output = operator.outputs[0].name
        self._add(
            "MaxPool",
            [operator.inputs[0].name],
            f"{output}/most",
            kernel_shape=kernel,
            strides=[options["StrideH"], options["StrideW"]],
            pads=self._pads(operator, kernel),
        )
        self._finish(operator, f"{output}/most")

    def _write_pad(self, operator: Operator) -> None:
        source, amounts = operator.inputs
        begins, ends = self._values(amounts)[_NHWC_TO_NCHW].T
        pads = self._constant(f"{operator.outputs[0].name}/pads", numpy.concatenate([begins, ends]).astype(numpy.int64))
        self._add("Pad", [source.name, pads], operator.outputs[0].name)

    def _write_resize_bilinear(self, operator: Operator) -> None:
        source, output = operator.inputs[0], operator.outputs[0]
        scales = numpy.array([1, 1, output.shape[1] / source.shape[1], output.shape[2] / source.shape[2]], numpy.float32)
        options = operator.options
        mode = "align_corners" if options["AlignCorners"] else "half_pixel" if options["HalfPixelCenters"] else "asymmetric"
        self._add(
            "Resize",
            [source.name, "", self._constant(f"{output.name}/scales", scales)],
            output.name,
            mode="linear",
            coordinate_transformation_mode=mode,
        )

    def _write_depth_to_space(self, operator: Operator) -> None:
        self._add("DepthToSpace", [operator.inputs[0].name], operator.outputs[0].name, blocksize=operator.options["BlockSize"], mode="DCR")

    def _write_reshape(self, operator: Operator) -> None:
        """Numbers are counted in TFLite's order. Only from four axes to others: what comes out is never taken for NCHW."""
        source, output = operator.inputs[0], operator.outputs[0]
        if len(source.shape) != 4 or len(output.shape) == 4:
            raise ValueError(f"{output.name}: a reshape from {source.shape} to {output.shape} is not understood")
        self._add("Transpose", [source.name], f"{output.name}/nhwc", perm=_NCHW_TO_NHWC)
        # 0 keeps the number of items.
        shape = self._constant(f"{output.name}/shape", numpy.array([0, *output.shape[1:]], numpy.int64))
        self._add("Reshape", [f"{output.name}/nhwc", shape], output.name)

    def _write_concatenation(self, operator: Operator) -> None:
        output = operator.outputs[0]
        if len(output.shape) == 4:
            raise ValueError(f"{output.name}: images are not concatenated")
        self._add("Concat", [tensor.name for tensor in operator.inputs], f"{output.name}/all", axis=operator.options["Axis"])
        self._finish(operator, f"{output.name}/all")
