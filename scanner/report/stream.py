"""Rows of verdicts on stdout, one at a time, as JSON lines or CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scanner.exits import Failed
from scanner.report.row import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TextIO

CSV_COLUMNS = ("path", "path_b64", *COLUMNS[1:])
# A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def print_jsonl(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line, in ASCII: no name can do anything to a terminal."""
    with _stdout() as out:
        for row in rows:
            out.write(json.dumps(row) + "\n")


def print_csv(rows: Iterable[Mapping[str, Any]]) -> None:
    """CSV with a header, in UTF-8; findings are JSON in their cell.

    No cell can be taken for a formula: a path that looks like one has `./` before it, which names
    the same file, any other text an apostrophe.
    """
    with _stdout() as out:
        writer = csv.DictWriter(out, CSV_COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(name, value) for name, value in row.items()})


PRINTERS: Mapping[str, Callable[[Iterable[Mapping[str, Any]]], None]] = {
    "jsonl": print_jsonl,
    "csv": print_csv,
}


def _cell(name: str, value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if name == "findings":
        return json.dumps(value)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return ("./" if name == "path" else "'") + value
    return value


@contextmanager
def _stdout() -> Iterator[TextIO]:
    """Stdout as UTF-8; a reader who has had enough (`| head`) is no error."""
    # None where it was closed (`>&-`), whatever its type says.
    if not sys.stdout:
        raise Failed("Nothing can be printed: standard output is closed")
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=False)
    try:
        yield out
        out.flush()
    except OSError as error:
        # What is still in the buffers has nowhere to go, and Python flushes them once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise
    finally:
        out.detach()
