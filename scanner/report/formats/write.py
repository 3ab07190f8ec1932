"""The forms of a report: a table, JSON, CSV, Parquet, HTML; on stdout or in a file."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from scanner.report.figures.compare import Comparison
from scanner.report.formats.json import comparison_json, to_json
from scanner.report.formats.stream import cell, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scanner.report.figures.build import Report

# A table wider than this is no easier to read; in a file it has as many columns as a terminal.
MAX_COLUMNS = 100
FILE_COLUMNS = 80
# What CSV and Parquet have: a figure by its path in the JSON, as a number or as a text.
COLUMNS = ("figure", "number", "text")


def write(what: Report | Comparison, form: str, file: Path | None) -> None:
    """Write a report, or a comparison of two, as `--format` has it; to stdout without a file.

    A file is there as a whole or, where writing fails, as it was before.
    """
    if form == "table" and file is None:
        _print_table(what)
        return
    if form == "parquet" and file is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal: name a file with --output")
    data = _rendered(what, form)
    if file is None:
        click.echo(data, nl=False)
    else:
        with written(file) as out:
            out.write(data)


def body(what: Report | Comparison) -> dict[str, Any]:
    """It as one JSON-able object."""
    return comparison_json(what) if isinstance(what, Comparison) else to_json(what)


def _rendered(what: Report | Comparison, form: str) -> bytes:
    if form == "json":
        return (json.dumps(body(what), indent=2, allow_nan=False) + "\n").encode()
    if form == "csv":
        return _csv(what)
    if form == "parquet":
        return _parquet(what)
    if form == "html":
        from scanner.report.formats.html import comparison_html, report_html  # noqa: PLC0415 - 0.2 s

        page = comparison_html(what) if isinstance(what, Comparison) else report_html(what)
        return page.encode()
    out = io.StringIO()
    _print_table(what, out)
    return out.getvalue().encode()


def _print_table(what: Report | Comparison, out: io.StringIO | None = None) -> None:
    from rich.console import Console  # noqa: PLC0415 - programs need it not

    from scanner.report.text.comparison import print_comparison  # noqa: PLC0415
    from scanner.report.text.report import print_table  # noqa: PLC0415

    console = Console(highlight=False, file=out, width=None if out is None else FILE_COLUMNS)
    console.width = min(console.width, MAX_COLUMNS)
    if isinstance(what, Comparison):
        print_comparison(what, console)
    else:
        print_table(what, console)


def figures(value: Any, path: str = "") -> Iterator[tuple[str, float | int | None, str | None]]:  # noqa: ANN401 - JSON
    """Each figure of a JSON object as (its path, the number, the text)."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from figures(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from figures(inner, f"{path}[{place}]")
    elif isinstance(value, bool):
        yield path, None, "true" if value else "false"
    elif isinstance(value, int | float):
        yield path, value, None
    else:
        yield path, None, value


def _csv(what: Report | Comparison) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for path, number, text in figures(body(what)):
        writer.writerow((path, number, cell("text", text)))
    return out.getvalue().encode()


def _parquet(what: Report | Comparison) -> bytes:
    from scanner.report.formats.parquet import parquet_of  # noqa: PLC0415 - an extra

    rows = [
        (path, None if number is None else float(number), text)
        for path, number, text in figures(body(what))
    ]
    return parquet_of(rows)
