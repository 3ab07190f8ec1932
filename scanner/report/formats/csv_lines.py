"""Lines of CSV as RFC 4180 quotes them, for programs, spreadsheets and terminals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

# Python before 3.13 leaves a carriage return unquoted that is not its own end of a line, and
# spreadsheets take it for one.
_QUOTED = re.compile(r'[",\r\n]|^\s|\s$')


def csv_line(cells: Iterable[object], *, for_terminal: bool = False) -> str:
    """Return a line of CSV; for a terminal, control characters in it are escaped."""
    return ",".join(_cell(value, for_terminal=for_terminal) for value in cells) + "\n"


def _cell(value: object, *, for_terminal: bool) -> str:
    text = "" if value is None else str(value)
    if for_terminal:
        text = shown(text.encode(errors="backslashreplace"))
    if _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
