"""`scanner report`: sum up a scan, or two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from scanner.exits import DONE, FAIL_ON
from scanner.options.common import (
    fail_on_option,
    json_option,
    open_store,
    output_option,
    store_option,
)

if TYPE_CHECKING:
    from scanner.report.figures.build import Report
    from scanner.report.figures.compare import Comparison
    from storage.database.store import Store


@click.command()
@click.argument("scans", metavar="[SCAN [LATER]]", type=click.IntRange(1), nargs=-1)
@store_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "parquet", "html"]),
    default="table",
    show_default=True,
    help="For people or for programs; `html` is one file that needs no network, `parquet` needs "
    "the extra of that name.",
)
@output_option
@click.option("--redact", is_flag=True, help="Leave out paths and names, for handing on.")
@click.option("--full", is_flag=True, help="Print every figure, not only the summary.")
@fail_on_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    scans: tuple[int, ...],
    store: str,
    redact: bool,
    fail_on: str | None,
    **given: Any,  # noqa: ANN401
) -> None:
    """Sum up SCAN (default: the latest), finished or not; or what changed from SCAN to LATER.

    How many images look AI-made and how sure that is, what it rests on and where it lies, what
    could not be read, who did the work and how fast; with labels also how right it is. "No
    evidence" never means that a picture is real.

    \b
    Examples:
      scanner report
      scanner report 7 --format json | jq .verdicts
      scanner report --format html --output report.html
      scanner report 7 9 --redact

    Exit codes: 0 done, 5 a --fail-on was met.
    """
    from scanner.report.figures.redact import redacted
    from scanner.report.formats.write import write

    if len(scans) > 2:  # noqa: PLR2004 - one, or two to compare
        raise click.UsageError("Two scans can be compared, no more")
    form = "json" if given["as_json"] else given["form"]
    with open_store(store) as opened:
        found = _found(opened, scans)
        write(redacted(found) if redact else found, form, given["output"], full=given["full"])
    ctx.exit(FAIL_ON if fail_on == "ai" and found.counts.ai else DONE)


def _found(store: Store, scans: tuple[int, ...]) -> Report | Comparison:
    """The report on a scan, or the comparison of two."""
    from scanner.report.figures.build import build
    from scanner.report.figures.compare import compare
    from storage.writes.scans import find_scan

    if len(scans) > 1:
        return compare(store, *(find_scan(store, one) for one in scans))
    return build(store, find_scan(store, scans[0] if scans else None))
