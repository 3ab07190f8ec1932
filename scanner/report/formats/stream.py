"""Rows of verdicts, one at a time, as JSON lines, CSV, Parquet or a table."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scanner.processes.atomic_write import atomic_write
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
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_jsonl(rows: Rows, out: BinaryIO) -> None:
    """One JSON object a line, in ASCII: no name can do anything to a terminal."""
    out.writelines(json.dumps(row).encode() + b"\n" for row in rows)


def write_csv(rows: Rows, out: BinaryIO) -> None:
    """CSV with a header, in UTF-8; findings are JSON in their cell.

    No cell can be taken for a formula: a path that looks like one has `./` before it, which names
    the same file, any other text an apostrophe.
    """
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=False)
    try:
        writer = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: cell(name, value) for name, value in row.items()})
        text.flush()
    finally:
        text.detach()


def write_table(rows: Rows, out: BinaryIO) -> None:
    """A line for people: verdict, score, detector, path, the path last for it may be long."""
    out.write(b"verdict      score  detector      path\n")
    for row in rows:
        score = "" if row["score"] is None else f"{row['score']:.3f}"
        path = shown(row["path"].encode(errors="replace"))
        detector = row["detector"] or row["error"] or ""
        line = f"{row['verdict']:<12} {score:>5}  {detector:<12}  {path}\n"
        out.write(line.encode(errors="replace"))


def write_parquet(rows: Rows, out: BinaryIO) -> None:
    """Parquet, for pandas, DuckDB and Polars."""
    from scanner.report.formats.parquet import write_verdicts  # noqa: PLC0415 - an extra

    write_verdicts(rows, out)


WRITERS: Mapping[str, Callable[[Rows, BinaryIO], None]] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": write_parquet,
    "table": write_table,
}


def cell(name: str, value: object) -> object:
    """A value as it stands in CSV."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if name == "findings":
        return json.dumps(value)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return ("./" if name == "path" else "'") + value
    return value


@contextmanager
def stdout() -> Iterator[BinaryIO]:
    """Stdout for bytes; a reader who has had enough (`| head`) is no error."""
    # None where it was closed (`>&-`), whatever its type says.
    if not sys.stdout:
        raise ScannerError("Nothing can be printed: standard output is closed")
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        # What is still in the buffers has nowhere to go, and Python flushes them once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


@contextmanager
def written(file: Path) -> Iterator[BinaryIO]:
    """A file that is there as a whole or, where writing fails, as it was before."""
    try:
        # As any new file is.
        with atomic_write(file, 0o666 & ~_umask()) as made:
            yield made
    except OSError as error:
        named = shown(os.fsencode(file))
        raise ScannerError(f"{named} cannot be written: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
