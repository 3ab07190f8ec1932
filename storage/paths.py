"""Relative paths, which are bytes: as text for people and as JSON.

File names on POSIX are bytes, and may not be UTF-8. So paths stay bytes from the walk to the store
and back, and become text only here.
"""

from __future__ import annotations

import base64
import binascii
import unicodedata

# Characters that move, hide or end the text around them: control, format (bidi) and surrogate
# characters, line and paragraph separators. A file name could forge a line of a report with one.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# Format characters of ordinary names: the joiners in emoji and in Persian and Indic script.
_JOINERS = frozenset("\u200c\u200d")


def shown(path: bytes) -> str:
    r"""Return the path as one line of text for people; it cannot be converted back.

    Bytes that are not UTF-8 become `\xNN`; control and bidi characters become escapes, so that a
    name cannot break a line, clear a terminal or reverse the text around it.
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
    """Return the fields of a row of output that name this path.

    `path` is the exact text of a path in UTF-8. Otherwise `path` is the text for people, and
    `path_b64` has the exact bytes (standard base64).
    """
    try:
        return {"path": path.decode()}
    except UnicodeDecodeError:
        return {"path": shown(path), "path_b64": base64.b64encode(path).decode("ascii")}


def to_wire(path: bytes) -> str | dict[str, str]:
    """Return the path as JSON: text for a path in UTF-8, otherwise `{"b64": …}`; both are exact."""
    try:
        return path.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(path).decode("ascii")}


def from_wire(value: object) -> bytes:
    """Return the path that `to_wire` wrote as this JSON.

    Raises ValueError for anything that `to_wire` does not write: each path has one form. The path
    may lead anywhere: `workers.sources.local` confines it to a folder.
    """
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise ValueError("invalid path: it contains a surrogate") from error
    if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
        try:
            path = base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("invalid path: it is not valid base64") from error
        if to_wire(path) == value:
            return path
    raise ValueError('invalid path: expected text, or {"b64": …} of bytes that are not UTF-8')
