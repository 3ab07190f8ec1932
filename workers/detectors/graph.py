"""A .tflite net on TensorFlow: the same operations on the same weights, on a GPU if there is one.

For machines that have TensorFlow; the nets that ship, and most others, are made of few operations.
What is quantised is computed in floats and rounded to its levels after each operation.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from workers.detectors.runtimes import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

log = logging.getLogger(__name__)

WITHOUT_TENSORFLOW = (
    "TensorFlow is not installed here: pip install tensorflow, or leave --runtime away"
)
TYPES: dict[int, Any] = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT8: np.int8,
}
NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}


def tensorflow() -> Any:  # noqa: ANN401 - it has no types
    """TensorFlow, with a core for this process and no more of a GPU than it needs.

    Raises ModelError where it is not installed.
    """
    # Its words about processors and drivers are not for a worker's log.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf  # noqa: PLC0415 - 3 s, and only where it is asked for
    except ModuleNotFoundError as error:
        raise ModelError(WITHOUT_TENSORFLOW) from error
    # Refused where it has run something in this process before: then it goes on as it did.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    return tf


def name() -> str:
    """What is recorded of a machine that runs its nets on it."""
    tf = tensorflow()
    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"TensorFlow {tf.__version__} ({f'{gpus} GPU' if gpus else 'CPU'})"


class Graph:
    """A net with one input and one output, as a function of batches.

    ModelError where it has an operation that is not known here.
    """

    def __init__(self, path: Path) -> None:
        self._tf = tensorflow()
        try:
            model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
            (net,) = model.subgraphs
            (self._given,), (self._got,) = net.inputs, net.outputs
        except (ValueError, TypeError, IndexError, AttributeError, struct.error) as error:
            raise ModelError(f"{path.name} is no net of one input and one output") from error
        self._tensors = net.tensors
        self._constants = {
            number: _constant(tensor, model.buffers[tensor.buffer].data)
            for number, tensor in enumerate(net.tensors)
            if model.buffers[tensor.buffer].data is not None
        }
        self._steps = [(self._step(model, one), one) for one in net.operators]
        self.shape: tuple[int, ...] = tuple(int(side) for side in self._tensor(0).shape[1:])
        kind = self._tf.float32
        self.call = self._tf.function(
            self._run, input_signature=[self._tf.TensorSpec([None, *self.shape], kind)]
        )

    def _tensor(self, which: int) -> Any:  # noqa: ANN401
        """The input's (0) or the output's (1) description."""
        return self._tensors[(self._given, self._got)[which]]

    def quantisation(self, which: int) -> tuple[float, int]:
        """Scale and zero point of the input (0) or the output (1)."""
        scale, zero = _quantisation(self._tensor(which))
        return float(scale.item()), int(zero.item())

    def is_quantised(self) -> bool:
        """Whether it takes and gives bytes."""
        return all(self._tensor(which).type == schema.TensorType.UINT8 for which in (0, 1))

    def _step(self, model: Any, operator: Any) -> Callable[..., Any]:  # noqa: ANN401
        code = model.operatorCodes[operator.opcodeIndex]
        called = NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "a custom one")
        step: Callable[..., Any] | None = getattr(self, f"_{called.lower()}", None)
        if step is None:
            raise ModelError(f"the operation {called} is not known here")
        return step

    def _run(self, pixels: Any) -> Any:  # noqa: ANN401
        """Numbers (n, height, width, 3) in, the output's numbers (n, count) out."""
        values: dict[int, Any] = {**self._constants, self._given: pixels}
        for step, operator in self._steps:
            inputs = [values.get(number) for number in operator.inputs]
            (made,) = operator.outputs
            values[made] = self._levels(step(operator.builtinOptions, *inputs), made)
        return self._tf.reshape(values[self._got], [self._tf.shape(pixels)[0], -1])

    def _levels(self, value: Any, number: int) -> Any:  # noqa: ANN401
        """The value rounded to the levels of a tensor that is quantised."""
        tensor = self._tensors[number]
        if tensor.type not in (schema.TensorType.INT8, schema.TensorType.UINT8):
            return value
        scale, zero = _quantisation(tensor)
        least, most = np.iinfo(TYPES[tensor.type]).min, np.iinfo(TYPES[tensor.type]).max
        level = self._tf.round(value / scale) + zero
        return (self._tf.clip_by_value(level, least, most) - zero) * scale

    def _active(self, value: Any, options: Any) -> Any:  # noqa: ANN401
        function = options.fusedActivationFunction
        if function == schema.ActivationFunctionType.RELU:
            return self._tf.nn.relu(value)
        if function == schema.ActivationFunctionType.RELU6:
            return self._tf.nn.relu6(value)
        if function != schema.ActivationFunctionType.NONE:
            raise ModelError("an activation is not known here")
        return value

    def _conv_2d(self, options: Any, value: Any, weights: Any, bias: Any = 0.0) -> Any:  # noqa: ANN401
        made = self._tf.nn.conv2d(
            value,
            weights.transpose(1, 2, 3, 0),
            [options.strideH, options.strideW],
            _padding(options),
            dilations=[options.dilationHFactor, options.dilationWFactor],
        )
        return self._active(made + bias, options)

    def _depthwise_conv_2d(self, options: Any, value: Any, weights: Any, bias: Any = 0.0) -> Any:  # noqa: ANN401
        _, height, width, channels = weights.shape
        made = self._tf.nn.depthwise_conv2d(
            value,
            weights.reshape(height, width, channels // options.depthMultiplier, -1),
            [1, options.strideH, options.strideW, 1],
            _padding(options),
            dilations=[options.dilationHFactor, options.dilationWFactor],
        )
        return self._active(made + bias, options)

    def _fully_connected(self, options: Any, value: Any, weights: Any, bias: Any = 0.0) -> Any:  # noqa: ANN401
        flat = self._tf.reshape(value, [-1, weights.shape[1]])
        return self._active(flat @ weights.T + bias, options)

    def _add(self, options: Any, first: Any, second: Any) -> Any:  # noqa: ANN401
        return self._active(first + second, options)

    def _mul(self, options: Any, first: Any, second: Any) -> Any:  # noqa: ANN401
        return self._active(first * second, options)

    def _mean(self, options: Any, value: Any, axes: Any) -> Any:  # noqa: ANN401
        return self._tf.reduce_mean(value, axes.tolist(), keepdims=options.keepDims)

    def _reshape(self, _options: Any, value: Any, shape: Any) -> Any:  # noqa: ANN401
        return self._tf.reshape(value, [-1, *shape.tolist()[1:]])

    def _concatenation(self, options: Any, *values: Any) -> Any:  # noqa: ANN401
        return self._active(self._tf.concat(values, options.axis), options)

    def _squared_difference(self, _options: Any, first: Any, second: Any) -> Any:  # noqa: ANN401
        return self._tf.math.squared_difference(first, second)

    def _sqrt(self, _options: Any, value: Any) -> Any:  # noqa: ANN401
        return self._tf.sqrt(value)

    def _quantize(self, _options: Any, value: Any) -> Any:  # noqa: ANN401
        return value

    _dequantize = _quantize


def _padding(options: Any) -> str:  # noqa: ANN401
    return "SAME" if options.padding == schema.Padding.SAME else "VALID"


def _quantisation(tensor: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # noqa: ANN401
    """Scales and zero points: one, or one a channel, shaped so that they go with the weights."""
    how = tensor.quantization
    if how is None or how.scale is None:
        return np.ones(1, np.float32), np.zeros(1, np.float32)
    shape = [1] * max(1, len(tensor.shape))
    shape[how.quantizedDimension if len(how.scale) > 1 else 0] = len(how.scale)
    scale, zero = (np.asarray(one, np.float32).reshape(shape) for one in (how.scale, how.zeroPoint))
    return scale, zero


def _constant(tensor: Any, data: Any) -> NDArray[Any]:  # noqa: ANN401
    """Weights as the floats that they stand for; whole numbers without a scale as they are."""
    if tensor.type not in TYPES:
        raise ModelError("weights are of a type that is not known here")
    values = np.frombuffer(bytes(data), TYPES[tensor.type]).reshape(tensor.shape)
    if np.issubdtype(values.dtype, np.floating):
        return values.astype(np.float32)
    how = tensor.quantization
    if how is None or how.scale is None:
        return values
    scale, zero = _quantisation(tensor)
    plain: NDArray[Any] = (values.astype(np.float32) - zero) * scale
    return plain


def quantised_graph(path: Path) -> QuantisedGraph | None:
    """A net of bytes on TensorFlow; None, and a line in the log, where that cannot be."""
    graph = _graph(path)
    return QuantisedGraph(graph) if graph is not None and graph.is_quantised() else None


def float_graph(path: Path, size: tuple[int, int]) -> FloatGraph | None:
    """A net of floats for pictures of (height, width) on TensorFlow; None as above."""
    graph = _graph(path)
    if graph is None or graph.is_quantised() or graph.shape[:2] != size:
        return None
    return FloatGraph(graph)


def _graph(path: Path) -> Graph | None:
    tensorflow()
    try:
        return Graph(path)
    except ModelError as error:
        log.warning("%s runs on LiteRT, not on TensorFlow: %s", path.name, error)
        return None


class QuantisedGraph:
    """What `runtimes.LiteRT` is, on TensorFlow: bytes of pixels in, one byte out."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.shape = graph.shape
        self._scale, self._zero = graph.quantisation(1)

    def run(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Run images of `shape`; the raw outputs, (n,), see `levels`."""
        numbers = self._graph.call(np.stack(images).astype(np.float32)).numpy()[:, 0]
        raw: NDArray[np.uint8] = np.rint(numbers / self._scale + self._zero).astype(np.uint8)
        return raw

    def levels(self) -> NDArray[np.float64]:
        """The number that each of the 256 raw outputs stands for, (256,)."""
        return np.arange(-self._zero, 256 - self._zero) * np.float64(self._scale)


class FloatGraph:
    """What `sessions.TfLite` is, on TensorFlow, for pictures of one size."""

    raw = False
    last = ""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.height, self.width, _ = graph.shape
        self.count = int(self.run(np.zeros(graph.shape, np.float32)).size)

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the numbers, (count,), for one picture, (height, width, 3)."""
        numbers: NDArray[np.float64] = self._graph.call(values[None]).numpy()[0].astype(np.float64)
        return numbers
