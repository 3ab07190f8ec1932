"""`scanner join`: remember a hub."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from scanner.exits import Failed


@click.command()
@click.argument("line", metavar="URL|-")
@click.option("--work", is_flag=True, help="Then work, as `scanner worker` does.")
@click.pass_context
def command(ctx: click.Context, *, line: str, work: bool) -> None:
    """Make this machine one of a hub's: from now on `scanner worker` suffices.

    URL is the line that `scanner hub` prints; with - it is read from standard input, so that it
    stands in no process list and no history. It is kept in a file that only you can read.

    \b
    Examples:
      scanner join - < line
      scanner join --work scanner+redis://:secret@laptop:6380/0?store=…
    """
    from scanner.fleet.hub_config import NO_JOIN_URL, JoinError, parse_line, remember
    from scanner.options.common import open_broker, without_password

    try:
        hub = parse_line(sys.stdin.readline() if line == "-" else line)
    except (JoinError, UnicodeDecodeError) as error:
        why = str(error) if isinstance(error, JoinError) else NO_JOIN_URL
        raise click.BadParameter(why, param_hint="URL") from error
    try:
        with tempfile.TemporaryDirectory() as folder:
            cert = Path(folder) / "hub.pem"
            cert.write_text(hub.cert or "", encoding="ascii")
            # One that does not answer, or not to this password, takes no other one's place.
            with open_broker(hub.broker_url(cert), hub.store):
                file = remember(hub)
    except OSError as error:
        raise Failed(f"The hub cannot be remembered: {error}") from error
    click.echo(
        f"joined {without_password(hub.broker)}, kept in {file}: `scanner worker` works for it",
        err=True,
    )
    if work:
        from scanner.commands.worker import command as worker

        # A context of its own, with the options' defaults and what the environment says.
        with worker.make_context("worker", [], parent=ctx.parent) as inner:
            worker.invoke(inner)
