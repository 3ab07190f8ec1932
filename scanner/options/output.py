"""How a command prints its result, and what makes it fail."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scanner.options.parameters import PathParameter

output_option = click.option(
    "--output",
    type=PathParameter(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to FILE (atomically) instead of stdout.",
)

full_option = click.option("--full", is_flag=True, help="Print every figure, not only the summary.")

fail_on_option = click.option(
    "--fail-on",
    type=click.Choice(["ai"]),
    help="Exit with 5 if an image has this verdict.",
)


def _one_format(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - Click's
    other = ({"as_json", "json_lines"} - {parameter.name}).pop()
    # Whichever comes second sees the first.
    if value and ctx.params.get(other):
        raise click.UsageError("--json and --json-lines exclude each other: name one")
    return value


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_one_format, help="Print one JSON object."
)

json_lines_option = click.option(
    "--json-lines",
    is_flag=True,
    callback=_one_format,
    help="Print events as they happen, one JSON object a line: status, error, and last a summary "
    "with all that --json prints.",
)


def refuse_parquet_on_terminal(output_format: str, output: Path | None) -> None:
    """Refuse to print Parquet, which is binary, to a terminal."""
    if output_format == "parquet" and output is None and sys.stdout.isatty():
        raise click.UsageError("Parquet cannot be printed to a terminal: name a file with --output")
