"""`scanner join`: save the hub of a join line."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from storage.errors import ScannerError


@click.command()
@click.argument("line", metavar="URL|-")
@click.option("--work", is_flag=True, help="Then start `scanner worker`.")
@click.pass_context
def command(ctx: click.Context, *, line: str, work: bool) -> None:
    """Join a hub: from now on `scanner worker` needs no options on this machine.

    URL is the line that `scanner hub` prints; with - it is read from standard input, so that the
    password does not end up in the process list or shell history. It is kept in a file that only
    you can read.

    \b
    Examples:
      scanner join - < line
      scanner join --work scanner+redis://:secret@laptop:6380/0?store=…
    """
    from scanner.fleet.broker import open_broker, without_password
    from scanner.fleet.hub_config import INVALID_LINE, JoinError, parse_join_line, save_hub

    try:
        hub = parse_join_line(sys.stdin.readline() if line == "-" else line)
    except (JoinError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, JoinError) else INVALID_LINE
        raise click.BadParameter(reason, param_hint="URL") from error
    try:
        with tempfile.TemporaryDirectory() as folder:
            cert = Path(folder) / "hub.pem"
            cert.write_text(hub.cert or "", encoding="ascii")
            # Only a hub that answers to this password replaces another one.
            with open_broker(hub.broker_url(cert), hub.store):
                file = save_hub(hub)
    except OSError as error:
        raise ScannerError(f"the hub cannot be remembered: {error}") from error
    click.echo(
        f"joined {without_password(hub.broker)} (kept in {file}); start `scanner worker` to work",
        err=True,
    )
    if work:
        from scanner.commands.worker import command as worker

        # A context of its own, with the options' defaults and the environment.
        with worker.make_context("worker", [], parent=ctx.parent) as inner:
            worker.invoke(inner)
