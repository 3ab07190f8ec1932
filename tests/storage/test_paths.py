"""The two forms of a path: shown to people, and on the wire."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import paths


@given(st.binary())
def test_the_wire_gives_every_path_back(path: bytes) -> None:
    """Any bytes whatever survive the way through JSON text and back."""
    sent = json.dumps(paths.to_wire(path))

    assert path == paths.from_wire(json.loads(sent))


def test_utf8_travels_as_text() -> None:
    """A path in UTF-8 is plain text on the wire."""
    assert "Ostsee/Möwe.jpg" == paths.to_wire(b"Ostsee/M\xc3\xb6we.jpg")


def test_other_bytes_travel_as_base64() -> None:
    """A path in Latin-1 is base64 on the wire."""
    assert {"b64": "TfZ3ZS5qcGc="} == paths.to_wire(b"M\xf6we.jpg")


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        ["a.jpg"],
        {},
        {"b64": 7},
        {"b64": "@@@@"},
        {"b64": "TfZ3ZS5qcGc"},
        {"b64": "TfZ3ZS5qcGc=\n"},
        {"b64": "TfZ3ZS5qcGc=", "more": 1},
        {"b64": "YS5qcGc="},
        {"b64": "TfZ3ZS5qcGd="},
        {"b64": "é"},
        "\ud800.jpg",
    ],
)
def test_anything_else_on_the_wire_is_refused(value: object) -> None:
    """What is not exactly as `to_wire` writes it is a ValueError: wrong types, padding, doubles."""
    with pytest.raises(ValueError, match="invalid path"):
        paths.from_wire(value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"a/b c.jpg", "a/b c.jpg"),
        ("日本　旅行/ü.jpg".encode(), "日本　旅行/ü.jpg"),
        ("👩\u200d🚀.jpg".encode(), "👩\u200d🚀.jpg"),
        (b"M\xf6we.jpg", r"M\xf6we.jpg"),
        (b"a\nb\x1b[2J.jpg", r"a\nb\x1b[2J.jpg"),
        ("a\u202egpj.exe".encode(), r"a\u202egpj.exe"),
        ("a\u2028b\x85.jpg".encode(), r"a\u2028b\x85.jpg"),
        ("\U000e0041.jpg".encode(), r"\U000e0041.jpg"),
        (b"\xf6\n", r"\xf6\n"),
    ],
)
def test_shown_is_safe_to_print(path: bytes, expected: str) -> None:
    """People see the name itself, with what is undecodable, unprintable or turns text escaped."""
    assert expected == paths.shown(path)


@given(st.binary())
def test_shown_is_always_one_line_of_utf8(path: bytes) -> None:
    """Whatever the bytes, what is shown can be printed and takes one line."""
    text = paths.shown(path)

    assert [text] == (text.encode().decode().splitlines() or [""])


def test_fields_of_a_utf8_path_are_its_exact_text() -> None:
    """A row's path is exact, even where a terminal would have it escaped."""
    assert {"path": "a\nb.jpg"} == paths.fields(b"a\nb.jpg")


def test_fields_of_other_bytes_carry_both_forms() -> None:
    """A path that is not UTF-8 has its bytes beside the text."""
    assert {"path": r"M\xf6we.jpg", "path_b64": "TfZ3ZS5qcGc="} == paths.fields(b"M\xf6we.jpg")
