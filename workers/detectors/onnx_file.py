"""The check of an .onnx file before ONNX Runtime opens it: it is whole, and has no code of its own.

Such a file is a message of protocol buffers (onnx.proto3), of which only the parts are read that
could name other files or other operations. The runtime would take both from wherever they say.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from workers.detectors.runtimes import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Sets of operations that ONNX Runtime has itself.
_DOMAINS = frozenset({b"", b"ai.onnx", b"ai.onnx.ml", b"com.microsoft"})
_FUNCTIONS = "functions of its own: save it with its functions inlined"
_OUTSIDE = "numbers in another file: save it with its data inside"
# The parts that are read, by message and number of the field: another message, or what it means
# that the field is there.
_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "operations", 20: "training", 25: _FUNCTIONS},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute", 7: "domain"},
    "operations": {1: "domain"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: _OUTSIDE, 14: "location"},
}
_VARINT, _EIGHT_BYTES, _MESSAGE, _FOUR_BYTES = 0, 1, 2, 5
_MAX_DEPTH = 100


def require_self_contained(path: Path) -> None:
    """Raise ModelError for a file that needs other files, or operations that only others have."""
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped,
            memoryview(mapped) as whole,
        ):
            for problem in _problems(whole):
                raise ModelError(f"{path.name} has {problem}")
    except (IndexError, ValueError) as error:
        raise ModelError(f"{path.name} is not an ONNX file, or damaged") from error


def _problems(whole: memoryview) -> Iterator[str]:
    waiting = [("model", whole, 0)]
    while waiting:
        kind, message, depth = waiting.pop()
        for number, value in _fields(message):
            part = _PARTS[kind].get(number)
            if part == "domain" and bytes(value[:80]) not in _DOMAINS:
                yield f"operations of {bytes(value[:80])!r}, which ONNX Runtime has not"
            elif part == "location" and any(value):
                yield _OUTSIDE
            elif part in _PARTS and depth < _MAX_DEPTH:
                waiting.append((part, value, depth + 1))
            elif part in _PARTS:
                yield "graphs in graphs beyond reason"
            elif part is not None and part not in ("domain", "location"):
                yield part


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of each field; IndexError or ValueError where it is damaged."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        start = at
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind == _MESSAGE:
            size, start = _varint(message, at)
            at = start + size
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at > len(message):
            raise ValueError("beyond the end")
        yield number, message[start:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte
            return value, at
        if shift > 63:  # noqa: PLR2004 - of 64 bits
            raise ValueError("too long")
