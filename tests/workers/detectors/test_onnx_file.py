"""The check of .onnx files: what could lead to other files or to foreign code is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from workers.detectors.onnx_file import require_self_contained
from workers.detectors.runtimes import ModelError
from workers.detectors.trial_run import Examined, examine

MODELS = Path(__file__).parent / "models"
FLOAT, INT64 = 1, 7


def number(value: int) -> bytes:
    """Return a number of variable length."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + number(rest) if rest else bytes([low])


def field(key: int, value: bytes | str | int) -> bytes:
    """Return a field of a message, as of onnx.proto3."""
    if isinstance(value, int):
        return number(key << 3) + number(value)
    body = value.encode() if isinstance(value, str) else value
    return number(key << 3 | 2) + number(len(body)) + body


def node(kind: str, inputs: str, output: str, *attributes: bytes, domain: str = "") -> bytes:
    """Return a node: its inputs are named by single letters."""
    names = b"".join(field(1, each) for each in inputs)
    parts = names + field(2, output) + field(4, kind) + field(7, domain)
    return parts + b"".join(field(5, each) for each in attributes)


def tensor(name: str, kind: int, shape: tuple[int, ...], raw: bytes) -> bytes:
    """Return a tensor whose numbers are in it."""
    dims = b"".join(field(1, side) for side in shape)
    return dims + field(2, kind) + field(8, name) + field(9, raw)


def elsewhere(path: str) -> bytes:
    """Return a tensor whose numbers are in another file."""
    entry = field(1, "location") + field(2, path)
    return field(1, 1) + field(2, FLOAT) + field(8, "k") + field(13, entry) + field(14, 1)


def value(name: str, *shape: int) -> bytes:
    """Return an input or output of floats."""
    sides = b"".join(field(1, field(1, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, sides)))


def graph(*nodes: bytes, tensors: tuple[bytes, ...] = ()) -> bytes:
    """Return a graph with the image `x` in and the number `y` out."""
    parts = [field(1, each) for each in nodes] + [field(2, "g")]
    parts += [field(5, each) for each in tensors]
    return b"".join([*parts, field(11, value("x", 1, 3, 8, 8)), field(12, value("y", 1))])


def model(body: bytes, *more: bytes) -> bytes:
    """Return a whole file of a graph."""
    return b"".join([field(1, 8), field(7, body), field(8, field(1, "") + field(2, 13)), *more])


MEAN = node("ReduceMean", "x", "y", field(1, "keepdims") + field(3, 0) + field(20, 2))
HOSTILE = [
    *(
        (model(graph(MEAN, tensors=(elsewhere(path),))), "numbers in another file")
        for path in ("/etc/passwd", "../../secret", "weights.bin")
    ),
    # In an attribute, in the graph of a branch, and in a sparse tensor.
    (
        model(graph(node("Constant", "", "y", field(1, "value") + field(5, elsewhere("/x"))))),
        "numbers in another file",
    ),
    (
        model(graph(node("If", "x", "y", field(6, graph(MEAN, tensors=(elsewhere("/x"),)))))),
        "numbers in another file",
    ),
    (model(graph(MEAN) + field(15, field(1, elsewhere("/x")))), "numbers in another file"),
    (
        model(graph(node("PyOp", "x", "y", domain="ai.onnx.contrib"))),
        "operations of b'ai.onnx.contrib'",
    ),
    (model(graph(MEAN), field(8, field(1, "mine") + field(2, 1))), "operations of b'mine'"),
    (model(graph(MEAN), field(25, field(1, "Twice"))), "functions of its own"),
]


@pytest.mark.parametrize(("body", "said"), HOSTILE)
def test_what_leads_elsewhere_is_refused(body: bytes, said: str, tmp_path: Path) -> None:
    """Other files, other operations and functions are refused before the runtime opens the file."""
    file = tmp_path / "hostile.onnx"
    file.write_bytes(body)

    with pytest.raises(ModelError, match=said):
        require_self_contained(file)


@pytest.mark.parametrize(
    "body", [b"\x0b", b"\x3a\xff\xff\xff\x7f", b"\x3a" + b"\xff" * 12, b"\x08"]
)
def test_damaged_files_are_refused(body: bytes, tmp_path: Path) -> None:
    """Groups, lengths beyond the end and numbers without end are one sentence."""
    file = tmp_path / "hostile.onnx"
    file.write_bytes(body)

    with pytest.raises(ModelError, match="not an ONNX file, or damaged"):
        require_self_contained(file)


def test_an_ordinary_model_passes() -> None:
    """The check finds nothing in a model of ordinary operations."""
    require_self_contained(MODELS / "small.onnx")


def test_huge_shapes_end_in_a_sentence(tmp_path: Path) -> None:
    """A model that would take a terabyte ends its own process, not scanner."""
    pytest.importorskip("onnxruntime")
    shape = tensor("s", INT64, (3,), struct.pack("<3q", 10**4, 10**4, 10**4))
    zero = tensor("z", FLOAT, (1, 1, 1), bytes(4))
    none = field(1, "keepdims") + field(3, 0) + field(20, 2)
    nodes = (
        node("Expand", "zs", "h"),
        node("ReduceMax", "h", "a", none),
        node("ReduceMax", "x", "b", none),
        node("Add", "ab", "y"),
    )
    file = tmp_path / "huge.onnx"
    file.write_bytes(model(graph(*nodes, tensors=(shape, zero))))
    require_self_contained(file)

    with pytest.raises(ModelError, match=r"huge\.onnx"):
        examine(file, None)


def test_the_models_made_here_run(tmp_path: Path) -> None:
    """The same parts make a model that runs, so that what is refused is refused for its harm."""
    pytest.importorskip("onnxruntime")
    file = tmp_path / "fine.onnx"
    file.write_bytes(model(graph(MEAN)))

    assert Examined(8, 8, 1, raw=False) == examine(file, None)
