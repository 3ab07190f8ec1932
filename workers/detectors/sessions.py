"""Sessions of any models: one image as numbers in, the model's numbers out.

Built-in int8 models run on `runtimes.LiteRT`, which never processes a pixel in Python. These are
for models that take floats or another order of axes, or need another runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from storage.optional_packages import with_extra
from workers.detectors.runtimes import ModelError
from workers.native_output import without_info_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# No detector takes a wider input; a larger one is an attack on the memory.
MAX_SIDE = 2048
CHANNELS = 3
ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
WITHOUT_ONNX = "ONNX models need a package that is not installed ({name}): " + with_extra("onnx")


class Session(Protocol):
    """A model that is ready to run, in one thread of one process.

    `height` and `width` are those of its input, `count` is the number of its outputs, and `raw`
    tells whether it takes raw pixels. `last` is the name of its last operation, or "".
    """

    height: int
    width: int
    count: int
    raw: bool
    last: str

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the numbers, (count,), for one image, (height, width, 3)."""


class TfLite:
    """A .tflite model on LiteRT; `floats` tells whether it takes floats or quantised numbers.

    `inspect` runs it without XNNPACK, which hides the operations that it replaces.
    """

    def __init__(
        self, path: Path, size: tuple[int, int] | None = None, *, inspect: bool = False
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415 - 0.2 s

        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        auto = OpResolverType.AUTO
        try:
            with without_info_lines():
                self._interpreter = Interpreter(
                    model_path=str(path),
                    num_threads=1,
                    experimental_op_resolver_type=plain if inspect else auto,
                )
                (taken,) = _only(self._interpreter.get_input_details(), path, "input")
                _only(self._interpreter.get_output_details(), path, "output")
                axes = _axes(taken["shape_signature"].tolist(), size, path)
                if taken["shape"].tolist() != axes.shape:
                    self._interpreter.resize_tensor_input(taken["index"], axes.shape, strict=True)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path.name} cannot be run by LiteRT: {error}") from error
        self.height, self.width, self._channels_first = axes.height, axes.width, axes.channels_first
        self._taken, self._returned = taken, self._interpreter.get_output_details()[0]
        self.count = int(np.prod(self._returned["shape"]))
        self.raw = taken["dtype"] is np.uint8 and taken["quantization"][0] in (0.0, 1.0)
        self.floats = bool(np.issubdtype(taken["dtype"], np.floating))
        self.last = self._last_operation() if inspect else ""

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the numbers, (count,), for one image, (height, width, 3)."""
        if self._channels_first:
            values = values.transpose(2, 0, 1)
        self._interpreter.set_tensor(self._taken["index"], _quantised(values[None], self._taken))
        self._interpreter.invoke()
        return _dequantised(self._interpreter.get_tensor(self._returned["index"]), self._returned)

    def _last_operation(self) -> str:
        # Not a public method: if a later version lacks it, the user has to name the output's kind.
        listed: list[Any] = getattr(self._interpreter, "_get_ops_details", list)()
        made_by = {int(index): each["op_name"] for each in listed for index in each["outputs"]}
        return str(made_by.get(self._returned["index"], ""))


class Onnx:
    """An .onnx model on ONNX Runtime, one image at a time."""

    def __init__(self, path: Path, size: tuple[int, int] | None = None, tensor: str = "") -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise ModelError(WITHOUT_ONNX.format(name=error.name)) from error
        options = onnxruntime.SessionOptions()
        # There is a process per core already; threads would only wait for each other.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            # Errors of native code have many types, with no common base but Exception.
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            text = str(error).partition("\n")[0][:200]
            raise ModelError(f"{path.name} cannot be run by ONNX Runtime: {text}") from error
        (taken,) = _only(self._session.get_inputs(), path, "input")
        outputs = self._session.get_outputs()
        if tensor:
            outputs = [output for output in outputs if output.name == tensor]
        (returned,) = _only(outputs, path, "output")
        if taken.type not in ONNX_TYPES:
            raise ModelError(f"{path.name} takes {taken.type}: expected floats or bytes")
        axes = _axes([side if isinstance(side, int) else -1 for side in taken.shape], size, path)
        self.height, self.width, self._channels_first = axes.height, axes.width, axes.channels_first
        self._input, self._output, self._type = taken.name, returned.name, ONNX_TYPES[taken.type]
        self.raw = taken.type == "tensor(uint8)"
        self.last = ""
        self.count = len(self.run(np.zeros((self.height, self.width, CHANNELS), np.float32)))

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the numbers, (count,), for one image, (height, width, 3)."""
        if self._channels_first:
            values = values.transpose(2, 0, 1)
        image = np.ascontiguousarray(values[None], self._type)
        (numbers,) = self._session.run([self._output], {self._input: image})
        return np.asarray(numbers, np.float64).ravel()


def open_session(path: Path, size: tuple[int, int] | None = None, tensor: str = "") -> Session:
    """Open a model by its extension; `size` is (height, width) for a model that leaves it open.

    Raises ModelError for a model that cannot be run on one image.
    """
    if path.suffix == ".onnx":
        return Onnx(path, size, tensor)
    return TfLite(path, size)


class _Axes:
    """Order and lengths of an input's axes."""

    def __init__(self, *, channels_first: bool, height: int, width: int) -> None:
        self.channels_first = channels_first
        self.height, self.width = height, width
        image = [CHANNELS, height, width] if channels_first else [height, width, CHANNELS]
        self.shape = [1, *image]


def _axes(shape: Sequence[int], size: tuple[int, int] | None, path: Path) -> _Axes:
    """Read a shape of four axes, -1 where it is open; ModelError unless it is that of an image."""
    if len(shape) != 4 or CHANNELS not in (shape[1], shape[3]) or shape[0] not in (1, -1):  # noqa: PLR2004
        raise ModelError(
            f"{path.name} takes an input of shape {list(shape)}: expected one image of three "
            "channels (1 x height x width x 3 or 1 x 3 x height x width)"
        )
    channels_first = shape[3] != CHANNELS
    height, width = shape[2:4] if channels_first else shape[1:3]
    if size is not None:
        if (height not in (size[0], -1)) or (width not in (size[1], -1)):
            raise ModelError(f"{path.name} takes images of {width}x{height}, see --input")
        height, width = size
    if min(height, width) < 1:
        raise ModelError(f"{path.name} takes images of any size: say which with --input")
    if max(height, width) > MAX_SIDE:
        raise ModelError(
            f"{path.name} takes images of {width}x{height}: more than {MAX_SIDE} pixels a side"
        )
    return _Axes(channels_first=channels_first, height=height, width=width)


def _only(tensors: Sequence[Any], path: Path, what: str) -> Sequence[Any]:
    if len(tensors) != 1:
        raise ModelError(f"{path.name} has {len(tensors)} {what}s: expected one")
    return tensors


def _quantised(values: NDArray[np.float32], tensor: dict[str, Any]) -> NDArray[Any]:
    """Convert values to the type of an input."""
    kind = tensor["dtype"]
    if not np.issubdtype(kind, np.integer):
        return values.astype(kind)
    scale, zero = tensor["quantization"]
    steps = np.rint(values / (scale or 1.0) + zero)
    quantised: NDArray[Any] = np.clip(steps, np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)
    return quantised


def _dequantised(numbers: NDArray[Any], tensor: dict[str, Any]) -> NDArray[np.float64]:
    """Return the numbers that an output stands for, (count,)."""
    scale, zero = tensor["quantization"]
    plain: NDArray[np.float64] = numbers.astype(np.float64).ravel()
    if np.issubdtype(tensor["dtype"], np.integer) and scale:
        plain = (plain - zero) * scale
    return plain
