"""The two forms of a path: text for people, and JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import paths


@given(st.binary())
def test_the_wire_gives_every_path_back(path: bytes) -> None:
    """Any bytes survive conversion to JSON and back."""
    sent = json.dumps(paths.to_wire(path))

    assert path == paths.from_wire(json.loads(sent))


def test_utf8_travels_as_text() -> None:
    """A path in UTF-8 is text in JSON."""
    assert "Ostsee/Möwe.jpg" == paths.to_wire(b"Ostsee/M\xc3\xb6we.jpg")


def test_other_bytes_travel_as_base64() -> None:
    """A path in Latin-1 is base64 in JSON."""
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
    """Anything that `to_wire` does not write is a ValueError: wrong types, padding, duplicates."""
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
    """Text for people escapes undecodable, unprintable and bidirectional characters."""
    assert expected == paths.shown(path)


@given(st.binary())
def test_shown_is_always_one_line_of_utf8(path: bytes) -> None:
    """Text for people is printable and one line, whatever the bytes."""
    text = paths.shown(path)

    assert [text] == (text.encode().decode().splitlines() or [""])


def test_fields_of_a_utf8_path_are_its_exact_text() -> None:
    """The path in a row of output is exact, even where a terminal escapes it."""
    assert {"path": "a\nb.jpg"} == paths.fields(b"a\nb.jpg")


def test_fields_of_other_bytes_carry_both_forms() -> None:
    """A row has the bytes of a path that is not UTF-8, beside the text."""
    assert {"path": r"M\xf6we.jpg", "path_b64": "TfZ3ZS5qcGc="} == paths.fields(b"M\xf6we.jpg")
