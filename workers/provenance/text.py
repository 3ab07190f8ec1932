"""Decoding of metadata texts whose encoding is missing, misdeclared, or declared in part."""

from __future__ import annotations

import re
import unicodedata
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE

_MAX_BYTE = 255

# EXIF's names of encodings, eight bytes before a user comment (EXIF 2.32, 4.6.5).
_UNICODE, _JIS, _ASCII, _UNDEFINED = b"UNICODE\0", b"JIS\0\0\0\0\0", b"ASCII\0\0\0", bytes(8)
_MARKS = ((BOM_UTF8, "utf-8"), (BOM_UTF16_BE, "utf-16-be"), (BOM_UTF16_LE, "utf-16-le"))
# Writers use either byte order, whatever that of the file, and some write UTF-8.
_UNICODE_ENCODINGS = ("utf-16-be", "utf-16-le", "utf-8")
# The name JIS stands for all of these; the first one switches character sets by escapes.
_JIS_ESCAPE, _JIS_ENCODINGS = b"\x1b", ("euc_jp", "shift_jis", "utf-8")

# The bytes of a user comment as numbers, as GIMP, darktable and ImageMagick write what they cannot
# decode.
_NUMBERS = re.compile(r"\d{1,3}(?:[ ,]{1,2}\d{1,3}){15,}")

_MAX_SCORED_CHARACTERS = 2_048
# Categories of characters that text does not contain: controls, surrogates, private, unassigned.
_IMPLAUSIBLE = frozenset({"Cc", "Cs", "Co", "Cn"})


def decode(value: bytes) -> str:
    """Decode a text as UTF-8, which most writers use whatever their standard asks for."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def decode_description(value: bytes) -> str:
    """Decode a text that may be the bytes of a user comment as numbers."""
    text = decode(value)
    if not text[:1].isdigit() or not _NUMBERS.fullmatch(text):
        return text
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return decode_user_comment(bytes(numbers)) if max(numbers) <= _MAX_BYTE else text


def decode_file(value: bytes) -> str:
    """Decode a text file, by the byte order mark that editors of Windows write."""
    for mark, encoding in _MARKS:
        if value.startswith(mark):
            return value.removeprefix(mark).decode(encoding, "replace")
    return decode(value)


def decode_user_comment(value: bytes) -> str:
    """Decode EXIF's UserComment: the encoding that it names, as writers really use it."""
    name, text = value[:8], value[8:]
    if name == _UNICODE:
        return _decode_best(text, _UNICODE_ENCODINGS)
    if name == _JIS:
        return _decode_best(text, ("iso2022_jp",) if _JIS_ESCAPE in text else _JIS_ENCODINGS)
    return decode_description((text if name in (_ASCII, _UNDEFINED) else value).rstrip(b"\0 "))


def _decode_best(text: bytes, encodings: tuple[str, ...]) -> str:
    """Decode by the byte order mark, else by the encoding that gives the most plausible text."""
    for mark, encoding in _MARKS:
        if text.startswith(mark):
            return text.removeprefix(mark).decode(encoding, "replace").rstrip("\0 ")
    readings = [text.decode(encoding, "replace").rstrip("\0 ") for encoding in encodings]
    return max(readings, key=_plausibility)


def _plausibility(text: str) -> float:
    """Return the mean plausibility of the characters: ASCII 1, others of any script a half.

    In the wrong byte order ASCII becomes ideographs, and ideographs become characters of all kinds,
    of which many are unassigned.
    """
    sample = text[:_MAX_SCORED_CHARACTERS]
    return sum(map(_weight, sample)) / max(len(sample), 1)


def _weight(character: str) -> float:
    if character.isascii():
        return 1.0 if character.isprintable() or character in "\t\n\r" else -1.0
    is_implausible = unicodedata.category(character) in _IMPLAUSIBLE or character == "\ufffd"
    return -1.0 if is_implausible else 0.5
