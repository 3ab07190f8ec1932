"""Read the weights of a PyTorch state dict without PyTorch and without running what is in it.

A state dict is a pickle, and a pickle is a program: this reader knows the five names that a plain
dict of tensors needs and refuses every other. Both layouts are read: the zip of today and the
stream of before 2020.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from workers.training.data import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_KINDS = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
}
# The pickles before that of the state dict in the older layout: magic number, version, platform.
_PREAMBLE = 3


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    kind: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage; strides are in elements, and need not be contiguous."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """Give the arrays of a state dict by their names; DataError where it is anything else."""
    try:
        with path.open("rb") as file:
            return _read_zip(file) if zipfile.is_zipfile(file) else _read_stream(file)
    except (pickle.UnpicklingError, zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise DataError(f"{path.name} does not hold the weights of a net: {error}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _read_zip(file: BinaryIO) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(file) as archive:
        (index,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        folder = index.removesuffix("data.pkl")
        state = _Unpickler(io.BytesIO(archive.read(index))).load()
        return _arrays(
            state, lambda key, kind: np.frombuffer(archive.read(folder + "data/" + key), kind)
        )


def _read_stream(file: BinaryIO) -> dict[str, NDArray[Any]]:
    file.seek(0)
    for _ in range(_PREAMBLE):
        _Unpickler(file).load()
    state = _Unpickler(file).load()
    kinds = {tensor.storage.key: tensor.storage.kind for tensor in state.values()}
    storages: dict[str, NDArray[Any]] = {}
    for key in _Unpickler(file).load():
        count = int.from_bytes(file.read(8), "little")
        storages[key] = np.frombuffer(file.read(count * kinds[key].itemsize), kinds[key])
    return _arrays(state, lambda key, _: storages[key])


def _arrays(
    state: Mapping[str, _Tensor], storage: Callable[[str, np.dtype[Any]], NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    found = {}
    for name, tensor in state.items():
        kind = tensor.storage.kind
        flat = storage(tensor.storage.key, kind)[tensor.offset :]
        needed = 1 + sum(
            (n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)
        )
        if (
            min(tensor.shape, default=1) < 1
            or min(tensor.strides, default=0) < 0
            or needed > len(flat)
        ):
            raise ValueError(f"{name} lies outside its storage")
        strides = [step * kind.itemsize for step in tensor.strides]
        found[name] = np.lib.stride_tricks.as_strided(flat, tensor.shape, strides).copy()
    return found


class _Unpickler(pickle.Unpickler):
    """Knows plain values, ordered dicts and tensors."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - what a pickle calls
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _KINDS:
            return _KINDS[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which weights do not need")

    def persistent_load(self, pid: Any) -> _Storage:  # noqa: ANN401
        what, kind, key = pid[:3]
        if what != "storage":
            raise pickle.UnpicklingError(f"it refers to {what!r}")
        return _Storage(key, kind)


def _tensor(
    storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *_: object
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))
