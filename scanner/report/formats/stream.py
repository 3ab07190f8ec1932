"""Rows of verdicts, one at a time, as JSON lines, CSV, Parquet or a table."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scanner.processes.atomic_write import atomic_write
from scanner.report.formats.csv_lines import csv_line
from scanner.report.formats.row import COLUMNS
from storage.errors import ScannerError
from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    Rows = Iterable[Mapping[str, Any]]

CSV_COLUMNS = ("path", "path_b64", *COLUMNS[1:])
# A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_jsonl(rows: Rows, out: BinaryIO) -> None:
    """Write one JSON object per line, in ASCII: no name can affect a terminal."""
    out.writelines(json.dumps(row).encode() + b"\n" for row in rows)


def write_csv(rows: Rows, out: BinaryIO) -> None:
    """Write CSV with a header, in UTF-8; findings are JSON in their cell.

    Spreadsheets take no cell for a formula: a path that looks like one gets the prefix `./`, which
    names the same file, any other text an apostrophe. In a terminal, control characters are
    escaped.
    """
    for_terminal = out.isatty()
    out.write(csv_line(CSV_COLUMNS).encode())
    for row in rows:
        cells = (cell(name, row.get(name)) for name in CSV_COLUMNS)
        out.write(csv_line(cells, for_terminal=for_terminal).encode())


def write_table(rows: Rows, out: BinaryIO) -> None:
    """Write a line per image: verdict, score, detector, and the path, which may be long."""
    out.write(b"verdict      score  detector      path\n")
    for row in rows:
        score = "" if row["score"] is None else f"{row['score']:.3f}"
        path = shown(row["path"].encode(errors="replace"))
        detector = shown((row["detector"] or row["error"] or "").encode())
        line = f"{row['verdict']:<12} {score:>5}  {detector:<12}  {path}\n"
        out.write(line.encode(errors="replace"))


def write_parquet(rows: Rows, out: BinaryIO) -> None:
    """Write Parquet, for pandas, DuckDB and Polars."""
    from scanner.report.formats.parquet import write_verdicts  # noqa: PLC0415 - an extra

    write_verdicts(rows, out)


WRITERS: Mapping[str, Callable[[Rows, BinaryIO], None]] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": write_parquet,
    "table": write_table,
}


def cell(name: str, value: object) -> object:
    """Return a value as it is written to CSV."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if name == "findings":
        return json.dumps(value)
    # In base64, nothing but a reference to a cell would fit behind a plus sign.
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS) and name != "path_b64":
        return ("./" if name == "path" else "'") + value
    return value


@contextmanager
def stdout() -> Iterator[BinaryIO]:
    """Open stdout for bytes."""
    # None if it was closed (`>&-`), despite its type.
    if not sys.stdout:
        raise ScannerError("Cannot print: standard output is closed")
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def written(file: Path) -> Iterator[BinaryIO]:
    """Open a file for atomic writing: where that fails, it stays as it was."""
    try:
        # With the permissions of any new file.
        with atomic_write(file, 0o666 & ~_umask()) as out:
            yield out
    except OSError as error:
        path = shown(os.fsencode(file))
        raise ScannerError(f"{path} cannot be written: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
