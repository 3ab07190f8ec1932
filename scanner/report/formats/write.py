"""Output of a report as a table, JSON, CSV, Parquet or HTML, to stdout or a file."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

from scanner.report.figures.compare import Comparison
from scanner.report.formats.csv_lines import csv_line
from scanner.report.formats.json import comparison_json, to_json
from scanner.report.formats.stream import cell, written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from scanner.report.figures.build import Report

# Columns of text at most, however wide the terminal; and in a file.
MAX_COLUMNS = 100
FILE_COLUMNS = 80
# Columns of CSV and Parquet: a figure's path in the JSON, and its value as number or text.
COLUMNS = ("figure", "number", "text")


def write(
    report: Report | Comparison,
    form: str,
    file: Path | None,
    *,
    full: bool = False,
    thumbnails: Mapping[int, bytes] | None = None,
) -> None:
    """Write a report, or a comparison of two, in a format; to stdout without a file.

    A file is replaced atomically. `full` has tables show every figure. `thumbnails` by the id of
    the image are for HTML.
    """
    if form == "table" and file is None:
        _print_table(report, full=full)
        return
    data = _html(report, thumbnails) if form == "html" else _rendered(report, form, file, full=full)
    if file is not None:
        with written(file) as out:
            out.write(data)
    # None where it was closed (`>&-`), whatever its type says.
    elif sys.stdout:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def body(report: Report | Comparison) -> dict[str, Any]:
    """Return a report, or a comparison of two, as one JSON object."""
    return comparison_json(report) if isinstance(report, Comparison) else to_json(report)


def _rendered(report: Report | Comparison, form: str, file: Path | None, *, full: bool) -> bytes:
    if form == "json":
        return (json.dumps(body(report), indent=2, allow_nan=False) + "\n").encode()
    if form == "csv":
        return _csv(report, for_terminal=file is None and _is_terminal())
    if form == "parquet":
        return _parquet(report)
    out = io.StringIO()
    _print_table(report, out, full=full)
    return out.getvalue().encode()


def _html(report: Report | Comparison, thumbnails: Mapping[int, bytes] | None) -> bytes:
    from scanner.report.formats.html import comparison_html, report_html  # noqa: PLC0415 - 0.2 s

    if isinstance(report, Comparison):
        return comparison_html(report, thumbnails).encode()
    return report_html(report, thumbnails).encode()


def _is_terminal() -> bool:
    # None where it was closed (`>&-`), whatever its type says.
    return bool(sys.stdout) and sys.stdout.isatty()


def _print_table(
    report: Report | Comparison, out: io.StringIO | None = None, *, full: bool
) -> None:

    from scanner.report.text.comparison import print_comparison  # noqa: PLC0415
    from scanner.report.text.console import ReportConsole  # noqa: PLC0415 - not needed for JSON
    from scanner.report.text.full_report import print_report  # noqa: PLC0415
    from scanner.report.text.summary import print_summary  # noqa: PLC0415

    console = ReportConsole(highlight=False, file=out, width=None if out is None else FILE_COLUMNS)
    # Lines with paths are cut for a terminal only, to all of its width.
    columns = console.width if console.is_terminal else None
    console.width = min(console.width, MAX_COLUMNS)
    if isinstance(report, Comparison):
        print_comparison(report, console, full=full)
    elif full:
        print_report(report, console)
    else:
        print_summary(report, console, columns)


def figures(value: Any, path: str = "") -> Iterator[tuple[str, float | int | None, str | None]]:  # noqa: ANN401 - JSON
    """Yield each figure of a JSON object as (path, number, text)."""
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


def _csv(report: Report | Comparison, *, for_terminal: bool) -> bytes:
    lines = [csv_line(COLUMNS)]
    for path, number, text in figures(body(report)):
        cells = (path, number, cell("text", text))
        lines.append(csv_line(cells, for_terminal=for_terminal))
    return "".join(lines).encode()


def _parquet(report: Report | Comparison) -> bytes:
    from scanner.report.formats.parquet import parquet_of  # noqa: PLC0415 - an extra

    rows = [
        (path, None if number is None else float(number), text)
        for path, number, text in figures(body(report))
    ]
    return parquet_of(rows)
