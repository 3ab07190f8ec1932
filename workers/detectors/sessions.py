"""Models of any making: sessions that take one picture as numbers and give the model's numbers.

The detectors that ship run on `runtimes.LiteRT`, which never touches a pixel in Python; these here
are for models that want floats, other orders of axes, or another runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from storage.extras import with_extra
from workers.detectors.runtimes import ModelError
from workers.native_output import without_info_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# Wider than any picture that a detector looks at as a whole; more is an attack on the memory.
MAX_SIDE = 2048
CHANNELS = 3
ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
WITHOUT_ONNX = "ONNX models need a package that is not installed ({name}): " + with_extra("onnx")


class Session(Protocol):
    """A model that is ready to run; not to be shared between threads, nor carried over a fork.

    `height` and `width` are those of its picture, `count` is how many numbers it gives, `raw`
    whether it takes nothing but pixels as they are. `last` is the name of its last operation,
    where the runtime tells.
    """

    height: int
    width: int
    count: int
    raw: bool
    last: str

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the numbers, (count,), for one picture, (height, width, 3)."""


class TfLite:
    """A .tflite model of floats or of quantised numbers, on LiteRT; `floats` says which it takes.

    `inspect` runs it without XNNPACK, which hides the operations that it takes over.
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
                (given,) = _only(self._interpreter.get_input_details(), path, "takes", "input")
                _only(self._interpreter.get_output_details(), path, "gives", "output")
                axes = _axes(given["shape_signature"].tolist(), size, path)
                if given["shape"].tolist() != axes.shape:
                    self._interpreter.resize_tensor_input(given["index"], axes.shape, strict=True)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path.name} is no model that LiteRT can run: {error}") from error
        self.height, self.width, self._channels_first = axes.height, axes.width, axes.channels_first
        self._given, self._got = given, self._interpreter.get_output_details()[0]
        self.count = int(np.prod(self._got["shape"]))
        self.raw = given["dtype"] is np.uint8 and given["quantization"][0] in (0.0, 1.0)
        self.floats = bool(np.issubdtype(given["dtype"], np.floating))
        self.last = self._last_operation() if inspect else ""

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the numbers, (count,), for one picture, (height, width, 3)."""
        if self._channels_first:
            values = values.transpose(2, 0, 1)
        self._interpreter.set_tensor(self._given["index"], _quantised(values[None], self._given))
        self._interpreter.invoke()
        return _plain(self._interpreter.get_tensor(self._got["index"]), self._got)

    def _last_operation(self) -> str:
        # Not public, and worth nothing more than a question to the user where it is gone.
        listed: list[Any] = getattr(self._interpreter, "_get_ops_details", list)()
        wanted = self._got["index"]
        made_by = {int(one): each["op_name"] for each in listed for one in each["outputs"]}
        return str(made_by.get(wanted, ""))


class Onnx:
    """An .onnx model on ONNX Runtime, one picture at a time."""

    def __init__(self, path: Path, size: tuple[int, int] | None = None, tensor: str = "") -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise ModelError(WITHOUT_ONNX.format(name=error.name)) from error
        options = onnxruntime.SessionOptions()
        # A process per core looks at images; threads that wait for each other would cost more.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            # What comes from native code is of many kinds, all of them below Exception alone.
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            said = str(error).partition("\n")[0][:200]
            raise ModelError(
                f"{path.name} is no model that ONNX Runtime can run: {said}"
            ) from error
        (given,) = _only(self._session.get_inputs(), path, "takes", "input")
        outputs = self._session.get_outputs()
        if tensor:
            outputs = [one for one in outputs if one.name == tensor]
        (got,) = _only(outputs, path, "gives", "output")
        if given.type not in ONNX_TYPES:
            raise ModelError(f"{path.name} takes {given.type}, no picture of floats or bytes")
        axes = _axes([one if isinstance(one, int) else -1 for one in given.shape], size, path)
        self.height, self.width, self._channels_first = axes.height, axes.width, axes.channels_first
        self._input, self._output, self._type = given.name, got.name, ONNX_TYPES[given.type]
        self.raw = given.type == "tensor(uint8)"
        self.last = ""
        self.count = len(self.run(np.zeros((self.height, self.width, CHANNELS), np.float32)))

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the numbers, (count,), for one picture, (height, width, 3)."""
        if self._channels_first:
            values = values.transpose(2, 0, 1)
        picture = np.ascontiguousarray(values[None], self._type)
        (numbers,) = self._session.run([self._output], {self._input: picture})
        return np.asarray(numbers, np.float64).ravel()


def open_session(path: Path, size: tuple[int, int] | None = None, tensor: str = "") -> Session:
    """Open a model by its suffix; `size` is (height, width) where the model leaves it open.

    Raises ModelError for whatever cannot be run on one picture.
    """
    if path.suffix == ".onnx":
        return Onnx(path, size, tensor)
    return TfLite(path, size)


class _Axes:
    """The order and the lengths of an input's axes."""

    def __init__(self, *, channels_first: bool, height: int, width: int) -> None:
        self.channels_first = channels_first
        self.height, self.width = height, width
        picture = [CHANNELS, height, width] if channels_first else [height, width, CHANNELS]
        self.shape = [1, *picture]


def _axes(shape: Sequence[int], size: tuple[int, int] | None, path: Path) -> _Axes:
    """Read a shape of four axes, -1 where it is open; ModelError where it is no picture's."""
    if len(shape) != 4 or CHANNELS not in (shape[1], shape[3]) or shape[0] not in (1, -1):  # noqa: PLR2004
        raise ModelError(
            f"{path.name} takes an input of shape {list(shape)}, where one picture of three "
            "channels is wanted (1 x height x width x 3 or 1 x 3 x height x width)"
        )
    channels_first = shape[3] != CHANNELS
    height, width = shape[2:4] if channels_first else shape[1:3]
    if size is not None:
        if (height not in (size[0], -1)) or (width not in (size[1], -1)):
            raise ModelError(f"{path.name} takes pictures of {width}x{height}, see --input")
        height, width = size
    if min(height, width) < 1:
        raise ModelError(f"{path.name} takes pictures of any size: say which with --input")
    if max(height, width) > MAX_SIDE:
        raise ModelError(f"{path.name} takes pictures of {width}x{height}, over {MAX_SIDE} pixels")
    return _Axes(channels_first=channels_first, height=height, width=width)


def _only(found: Sequence[Any], path: Path, verb: str, what: str) -> Sequence[Any]:
    if len(found) != 1:
        raise ModelError(f"{path.name} {verb} {len(found)} {what}s, where one is wanted")
    return found


def _quantised(values: NDArray[np.float32], given: dict[str, Any]) -> NDArray[Any]:
    """Give the values as the input's type wants them."""
    kind = given["dtype"]
    if not np.issubdtype(kind, np.integer):
        return values.astype(kind)
    scale, zero = given["quantization"]
    steps = np.rint(values / (scale or 1.0) + zero)
    quantised: NDArray[Any] = np.clip(steps, np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)
    return quantised


def _plain(numbers: NDArray[Any], got: dict[str, Any]) -> NDArray[np.float64]:
    """Give an output's numbers as what they stand for, (count,)."""
    scale, zero = got["quantization"]
    plain: NDArray[np.float64] = numbers.astype(np.float64).ravel()
    if np.issubdtype(got["dtype"], np.integer) and scale:
        plain = (plain - zero) * scale
    return plain
