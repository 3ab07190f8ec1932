"""Plain tables and headings on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from storage.paths import shown

if TYPE_CHECKING:
    from rich.console import Console


def columns(*headers: str, left: int = 1) -> Table:
    """Return a plain table: the first `left` columns hold words, the others numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, header in enumerate(headers):
        if place < left:
            table.add_column(header, overflow="fold")
        else:
            table.add_column(header, justify="right", no_wrap=True)
    return table


def heading(console: Console, title: str) -> None:
    """Print an empty line and a title."""
    console.print()
    console.print(Text(title, style="bold"))


def safe(text: str) -> str:
    """Return text from a file, a host or a user as one line without control characters."""
    return shown(text.encode(errors="replace"))
