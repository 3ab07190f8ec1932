"""`scanner join`: remember a hub."""

from __future__ import annotations

import sys

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
    from scanner.joined import JoinError, parse_line, remember
    from scanner.options import open_broker, without_password

    if line == "-":
        line = sys.stdin.readline()
    try:
        hub = parse_line(line)
    except JoinError as error:
        raise click.BadParameter(str(error), param_hint="URL") from error
    try:
        file = remember(hub)
    except OSError as error:
        raise Failed(f"The hub cannot be remembered: {error}") from error
    with open_broker(hub.broker_url(), hub.store):
        pass  # it answers, and takes the password
    click.echo(
        f"joined {without_password(hub.broker)}, kept in {file}: `scanner worker` works for it",
        err=True,
    )
    if work:
        from scanner.commands.worker import command as worker

        # A context of its own, with the options' defaults and what the environment says.
        with worker.make_context("worker", [], parent=ctx.parent) as inner:
            worker.invoke(inner)
