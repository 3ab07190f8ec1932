"""Texts in the encodings that writers really use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.provenance.text import decode, decode_user_comment

TEXTS = {
    "latin": "a lighthouse at dusk, Steps: 20, Seed: 1234",
    "cyrillic": "маяк на закате, Steps: 20",
    "chinese": "黄昏的灯塔、油画、高质量、细节丰富",
    "chinese with settings": "黄昏的灯塔\nSteps: 20, Seed: 1234",
    "japanese": "夕暮れの灯台、油絵、とても美しい",
    "korean": "해질녘의 등대, 유화",
    "emoji": "🌅 a lighthouse 🗼",
    "bracket first": "(masterpiece:1.2), a lighthouse",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-8"])
@pytest.mark.parametrize("marked", [False, True])
def test_unicode_comment(text: str, encoding: str, *, marked: bool) -> None:
    """A comment named UNICODE is read in each encoding, with a byte order mark or without."""
    mark = "\ufeff" if marked else ""

    assert text == decode_user_comment(b"UNICODE\0" + (mark + text).encode(encoding))


@pytest.mark.parametrize("encoding", ["iso2022_jp", "euc_jp", "shift_jis"])
def test_jis_comment(encoding: str) -> None:
    """A comment named JIS is read in each of the encodings that the name stands for."""
    text = TEXTS["japanese"]

    assert text == decode_user_comment(b"JIS\0\0\0\0\0" + text.encode(encoding))


@pytest.mark.parametrize("name", [b"ASCII\0\0\0", bytes(8), b""])
def test_other_comments(name: bytes) -> None:
    """Comments named ASCII, undefined or not at all are read as UTF-8."""
    assert "dü" == decode_user_comment(name + "dü".encode() + bytes(3))


def test_latin_1_is_read_where_utf_8_is_not() -> None:
    """A text that is not UTF-8 is read as Latin-1."""
    assert "dü" == decode("dü".encode("latin-1"))


@given(st.binary(max_size=64))
def test_nothing_is_raised(value: bytes) -> None:
    """Any bytes are some text."""
    for name in (b"UNICODE\0", b"JIS\0\0\0\0\0", b"ASCII\0\0\0", b""):
        assert isinstance(decode_user_comment(name + value), str)
