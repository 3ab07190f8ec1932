"""`scanner scans`: list scans, or delete one."""

from __future__ import annotations

import json
import sys

import click

from scanner.options.broker import broker_option
from scanner.options.completion import complete_scan
from scanner.options.output import json_option
from scanner.options.parameters import refuse_before_subcommand
from scanner.options.store import ScanNumber, open_store, store_option


@click.group(invoke_without_command=True)
@store_option
@broker_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, store: str, broker: str, as_json: bool) -> None:
    """List the scans of a store, or delete one.

    \b
    Examples:
      scanner scans
      scanner scans --json | jq '.scans[0].verdicts'
      scanner scans forget 7
    """
    # The config file's settings hold for the commands below, too.
    ctx.default_map = dict.fromkeys(command.commands, ctx.default_map)
    refuse_before_subcommand(ctx)
    if ctx.invoked_subcommand is None:
        _list(store, broker, as_json=as_json)


@command.command("list")
@store_option
@broker_option
@json_option
def list_command(*, store: str, broker: str, as_json: bool) -> None:
    """List the scans, latest first.

    \b
    Examples:
      scanner scans list
      scanner scans list --json
    """
    _list(store, broker, as_json=as_json)


@command.command("forget")
@click.argument("scan_id", metavar="SCAN", type=ScanNumber(), shell_complete=complete_scan)
@store_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def forget_command(*, scan_id: int, store: str, yes: bool) -> None:
    """Delete SCAN with its verdicts from the store; the images themselves are not touched.

    Verdicts that a later scan took over stay there.

    \b
    Examples:
      scanner scans forget 7
      scanner scans forget 7 --yes
    """
    from storage.reads.progress import count_images
    from storage.writes.scans import UNFINISHED, find_scan, forget

    with open_store(store) as opened:
        scan = find_scan(opened, scan_id)
        judged = count_images(opened, scan_id).judged
        what = f"scan {scan_id} of {scan.collection} with its {judged:,} verdicts"
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError(f"--yes is required to forget {what}")
            if scan.state == UNFINISHED:
                click.echo("It is not finished: a worker may be working on it.", err=True)
            click.confirm(f"Forget {what}?", abort=True, err=True)
        forget(opened, scan_id)
    click.echo(f"Forgot {what}", err=True)


def _list(store: str, broker: str, *, as_json: bool) -> None:
    from scanner.follow.phase import phases_of
    from scanner.report.text.console import ReportConsole
    from scanner.report.text.scan_list import listed_scans, print_scans, scans_json

    with open_store(store) as opened:
        scans = listed_scans(opened, phases_of(opened, broker).of)
    if as_json:
        click.echo(json.dumps(scans_json(scans), indent=2))
    else:
        print_scans(scans, ReportConsole(highlight=False))
