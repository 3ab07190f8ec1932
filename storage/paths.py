"""Relative paths as bytes: how they are shown to people and how they travel in JSON.

A file's name on POSIX is bytes, and not all of them are UTF-8. So paths are bytes from the walk to
the store and back; only what people read or JSON carries becomes text, and only here.
"""

from __future__ import annotations

import base64
import binascii
import unicodedata

# Characters that move, hide or end the text around them: controls, formats (bidi), surrogates,
# line and paragraph separators. A name that holds one could forge a second line in a report.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# Formats that ordinary names hold: the joiners of emoji and of Persian and Indic script.
_JOINERS = frozenset("\u200c\u200d")


def shown(path: bytes) -> str:
    r"""The path as one line of text for people; never fails, not made to be read back.

    Bytes that are not UTF-8 become `\xNN`; control and bidi characters become their escapes, so
    that a name cannot break a line, clear a terminal or turn the text around it.
    """
    text = path.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _ESCAPED_CATEGORIES or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode("ascii")


def fields(path: bytes) -> dict[str, str]:
    """The columns of one row of output that name this path.

    `path` is the exact text where the path is UTF-8; where it is not, `path` is the text as shown
    and `path_b64` beside it has the exact bytes (standard base64).
    """
    try:
        return {"path": path.decode()}
    except UnicodeDecodeError:
        return {"path": shown(path), "path_b64": base64.b64encode(path).decode("ascii")}


def to_wire(path: bytes) -> str | dict[str, str]:
    """The path as a JSON value: its text where it is UTF-8, else `{"b64": …}`; exact either way."""
    try:
        return path.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(path).decode("ascii")}


def from_wire(value: object) -> bytes:
    """The path that `to_wire` made this JSON value of.

    Raises `ValueError` for everything that `to_wire` does not write, so that each path has one
    form on the wire. Says nothing of where the path leads: `workers.sources.local` confines it.
    """
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise ValueError("a path on the wire holds half of a surrogate pair") from error
    if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
        try:
            path = base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("a path on the wire is not valid base64") from error
        if to_wire(path) == value:
            return path
    raise ValueError('a path on the wire is neither a text nor {"b64": …} of bytes not in UTF-8')
