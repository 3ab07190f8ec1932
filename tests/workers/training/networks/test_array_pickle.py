"""Pretrained weights are read safely from hostile files."""

from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest

from workers.training.networks.array_pickle import UnpickleError, load_arrays


class Evil:
    """An object with code that `pickle.load` would run."""

    def __reduce__(self) -> tuple[object, ...]:
        return print, ("owned",)


def torch_file(offset: int = 0, strides: tuple[int, int] = (1, 3)) -> bytes:
    """Return what torch 1.5 writes for a tensor of 3 by 2, stored column by column."""
    table = (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n("
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x007X\x03\x00\x00\x00cpuK\x06NtQ"
        b"K"
        + bytes([offset])
        + b"K\x03K\x02\x86K"
        + bytes([strides[0]])
        + b"K"
        + bytes([strides[1]])
        + b"\x86\x89NtRs."
    )
    plain = [pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {})]
    data = struct.pack("<q6f", 6, 1, 2, 3, 4, 5, 6)
    return b"".join([*plain, table, pickle.dumps(["7"], 2), data])


def test_nested_tables_of_arrays_are_read() -> None:
    """Arrays of NumPy are read, named by their nested tables."""
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = load_arrays(pickle.dumps({"net": {"kernel": kernel}}, 4))

    assert ["net/kernel"] == list(found)
    assert kernel.tolist() == found["net/kernel"].tolist()


def test_torch_tensors_are_read_by_their_strides() -> None:
    """A tensor stored column by column is not read row by row."""
    assert [[1, 4], [2, 5], [3, 6]] == load_arrays(torch_file())["w"].tolist()


@pytest.mark.parametrize(("offset", "strides"), [(1, (1, 3)), (0, (1, 9)), (0, (200, 1))])
def test_a_tensor_may_not_reach_beyond_its_storage(offset: int, strides: tuple[int, int]) -> None:
    """Memory outside of the storage is not read."""
    with pytest.raises(UnpickleError, match="beyond its storage"):
        load_arrays(torch_file(offset, strides))


def test_no_other_function_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that names a function is refused, and the error names it."""
    with pytest.raises(UnpickleError, match=r"forbidden name builtins\.print"):
        load_arrays(pickle.dumps({"a": Evil()}, 4))

    with pytest.raises(UnpickleError, match=r"forbidden name os\.system"):
        load_arrays(torch_file().replace(b"torch._utils\n_rebuild_tensor_v2", b"os\nsystem"))

    assert "" == capsys.readouterr().out


@pytest.mark.parametrize("body", [b"", b"no pickle", pickle.dumps([1, 2]), torch_file()[:-30]])
def test_damaged_files_are_one_message(body: bytes) -> None:
    """Any damage is an UnpickleError."""
    with pytest.raises(UnpickleError, match="arrays cannot be read"):
        load_arrays(body)
