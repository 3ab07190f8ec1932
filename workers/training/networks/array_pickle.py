"""Arrays out of pickles that are trusted with nothing else.

Reads what NumPy pickles and what torch wrote before version 1.6, and calls no function that a file
names but the few that make arrays.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.lib.stride_tricks import as_strided

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

# How a file of torch begins.
TORCH = 0x1950A86A20F9469CFC6C
# What reading damaged bytes may raise.
_TROUBLE = (pickle.UnpicklingError, ValueError, LookupError, TypeError, AttributeError, EOFError)
# An array that is yet to be cut out of its storage: storage, offset, shape, strides.
Tensor = tuple[str, int, tuple[int, ...], tuple[int, ...]]


class UnpickleError(Exception):
    """The file is damaged or asks for more than arrays."""


def arrays(body: bytes) -> dict[str, NDArray[Any]]:
    """Give the arrays of a pickle by name, those of nested tables as `outer/inner`."""
    try:
        file = io.BytesIO(body)
        first = _Numpy(file).load()
        return _torch(file) if first == TORCH else dict(_flat(first))
    except _TROUBLE as error:
        raise UnpickleError(f"no arrays can be read: {error}") from error


class _Numpy(pickle.Unpickler):
    """Makes NumPy arrays of numbers."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as the library has it
        """Give one of the three names that an array's pickle needs."""
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        old_and_new = {"numpy.core.multiarray", "numpy._core.multiarray"}
        if module in old_and_new and name == "_reconstruct":
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]  # noqa: SLF001
        return _refuse(module, name)


class _Torch(pickle.Unpickler):
    """Makes descriptions of tensors; `storages` gets the type of each storage that they lie in."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as the library has it
        """Give one of the four names that a table of tensors needs."""
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _described,
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
        }
        return known.get((module, name)) or _refuse(module, name)

    def persistent_load(self, pid: Any) -> str:  # noqa: ANN401 - as the library has it
        """Note a storage and give its key."""
        _, kind, key, *_ = pid
        self.storages[key] = kind
        return str(key)


def _refuse(module: str, name: str) -> NoReturn:
    raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _described(
    key: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> Tensor:
    return key, offset, shape, strides


def _torch(file: io.BytesIO) -> dict[str, NDArray[Any]]:
    """Read on after the first number: version, machine, table, order of storages, storages."""
    _Numpy(file).load()
    _Numpy(file).load()
    reader = _Torch(file)
    table: dict[str, Tensor] = reader.load()
    kept: dict[str, NDArray[Any]] = {}
    for key in _Numpy(file).load():
        (count,) = np.frombuffer(file.read(8), "<i8")
        kind = reader.storages[key]
        kept[key] = np.frombuffer(file.read(int(count) * kind.itemsize), kind)
    return {name: _cut(kept[tensor[0]], tensor) for name, tensor in table.items()}


def _cut(storage: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    """Cut a tensor out of its storage; ValueError where it would reach beyond."""
    _, offset, shape, strides = tensor
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if (
        min((offset, *shape, *strides), default=0) < 0
        or last >= len(storage)
        or not math.prod(shape)
    ):
        raise ValueError("a tensor reaches beyond its storage")
    steps = [step * storage.itemsize for step in strides]
    return np.array(as_strided(storage[offset:], shape, steps))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    for name, value in table.items():
        if isinstance(value, np.ndarray):
            yield f"{prefix}{name}", value
        else:
            yield from _flat(value, f"{prefix}{name}/")
