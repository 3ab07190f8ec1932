"""Arrays from pickle files that may be hostile.

Reads pickles of NumPy and of torch before version 1.6, and calls only the few functions that make
arrays.
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

# The first number of a file of torch.
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
# Errors that damaged bytes may cause.
_DAMAGE = (pickle.UnpicklingError, ValueError, LookupError, TypeError, AttributeError, EOFError)
# An array inside its storage: name of the storage, offset, shape, strides.
Tensor = tuple[str, int, tuple[int, ...], tuple[int, ...]]


class UnpickleError(Exception):
    """The file is damaged or contains more than arrays."""


def load_arrays(body: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of a pickle by name, those of nested tables as `outer/inner`."""
    try:
        file = io.BytesIO(body)
        first = _NumpyUnpickler(file).load()
        return _read_torch(file) if first == TORCH_MAGIC else dict(_flat(first))
    except _DAMAGE as error:
        raise UnpickleError(f"arrays cannot be read: {error}") from error


class _NumpyUnpickler(pickle.Unpickler):
    """Unpickler of NumPy arrays of numbers."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as the library has it
        """Return one of the three objects that a pickled array needs."""
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        old_and_new = {"numpy.core.multiarray", "numpy._core.multiarray"}
        if module in old_and_new and name == "_reconstruct":
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]  # noqa: SLF001
        return _refuse(module, name)


class _TorchUnpickler(pickle.Unpickler):
    """Unpickler of a table of tensors; `storages` gets the type of each of their storages."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as the library has it
        """Return one of the four objects that a table of tensors needs."""
        allowed = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
        }
        return allowed.get((module, name)) or _refuse(module, name)

    def persistent_load(self, pid: Any) -> str:  # noqa: ANN401 - as the library has it
        """Record a storage and return its key."""
        _, kind, key, *_ = pid
        self.storages[key] = kind
        return str(key)


def _refuse(module: str, name: str) -> NoReturn:
    raise pickle.UnpicklingError(f"forbidden name {module}.{name}")


def _tensor(
    key: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> Tensor:
    return key, offset, shape, strides


def _read_torch(file: io.BytesIO) -> dict[str, NDArray[Any]]:
    """Read what follows the magic number: version, machine, table, order of storages, storages."""
    _NumpyUnpickler(file).load()
    _NumpyUnpickler(file).load()
    reader = _TorchUnpickler(file)
    table: dict[str, Tensor] = reader.load()
    storages: dict[str, NDArray[Any]] = {}
    for key in _NumpyUnpickler(file).load():
        (count,) = np.frombuffer(file.read(8), "<i8")
        kind = reader.storages[key]
        storages[key] = np.frombuffer(file.read(int(count) * kind.itemsize), kind)
    return {name: _view(storages[tensor[0]], tensor) for name, tensor in table.items()}


def _view(storage: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    """Return a tensor of a storage; ValueError where it would reach beyond the storage."""
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
