"""`scanner doctor`: what is wrong with this set-up."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from scanner.exits import DONE, FAILED
from scanner.options.broker import hub_broker
from scanner.options.output import json_option
from scanner.options.store import store_option

MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@click.command()
@click.argument("folder", required=False, type=click.Path(readable=False, path_type=Path))
@store_option
@click.option(
    "--broker",
    envvar="SCANNER_BROKER_URL",
    show_envvar=True,
    default=hub_broker,
    show_default="the hub's that this machine has joined, if it has",
    metavar="URL",
    help="The Redis to look at.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, folder: Path | None, store: str, broker: str | None, as_json: bool
) -> None:
    """Look at everything that scanner needs and say what is wrong and how to mend it.

    \b
    Examples:
      scanner doctor
      scanner doctor /photos --broker redis://:secret@laptop:6379/0

    Exit codes: 0 nothing is wrong, 1 something is.
    """
    from scanner.doctor import Level, examine

    checked = list(examine(store, broker, folder))
    wrong = any(one.level is Level.WRONG for one in checked)
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "checks": [asdict(one) for one in checked]}))
    else:
        for one in checked:
            click.echo(f"{MARKS[one.level]} {one.what}: {one.found}")
            if one.mend:
                click.echo(f"      → {one.mend}")
    ctx.exit(FAILED if wrong else DONE)
