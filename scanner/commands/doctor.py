"""`scanner doctor`: check this set-up."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, FAILED
from scanner.options.broker import hub_broker
from scanner.options.output import json_option
from scanner.options.parameters import PathParameter
from scanner.options.store import store_option

if TYPE_CHECKING:
    from scanner.doctor import Check

MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@click.command()
@click.argument("folder", required=False, type=PathParameter(readable=False, path_type=Path))
@store_option
@click.option(
    "--broker",
    envvar="SCANNER_BROKER_URL",
    show_envvar=True,
    default=hub_broker,
    show_default="the hub's that this machine has joined, if any",
    metavar="URL",
    help="The Redis server to check.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, folder: Path | None, store: str, broker: str | None, as_json: bool
) -> None:
    """Check everything that scanner needs, and print how to fix what is wrong.

    \b
    Examples:
      scanner doctor
      scanner doctor /photos --broker redis://:secret@laptop:6379/0

    Exit codes: 0 nothing is wrong, 1 something is.
    """
    from scanner.doctor import Level, examine

    checks = list(examine(store, broker, folder))
    has_failed = any(check.level is Level.WRONG for check in checks)
    if as_json:
        click.echo(json.dumps({"ok": not has_failed, "checks": [_body(check) for check in checks]}))
    else:
        for check in checks:
            click.echo(f"{MARKS[check.level]} {check.name}: {check.result}")
            if check.fix:
                click.echo(f"      → {check.fix}")
    ctx.exit(FAILED if has_failed else DONE)


def _body(check: Check) -> dict[str, str]:
    # `what`, `found` and `mend` are the names of 0.1.
    return {**asdict(check), "what": check.name, "found": check.result, "mend": check.fix}
