"""`scanner join`: save the hub of a join line."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from scanner.options.work import host_name_option
from storage.errors import ScannerError


@click.command()
@click.argument("line", metavar="URL|-")
@host_name_option
@click.option("--work", is_flag=True, help="Then start `scanner worker`.")
@click.pass_context
def command(ctx: click.Context, *, line: str, name: str, work: bool) -> None:
    """Join a hub: from now on `scanner worker` needs no options on this machine.

    URL is the line that `scanner hub` prints; with - it is read from standard input, so that its
    secret does not end up in the process list or shell history. The hub answers with a password for
    this machine alone, which is kept in a file that only you can read.

    \b
    Examples:
      scanner join - < line
      scanner join --work scanner+redis://join:secret@laptop:6380/0?store=…
    """
    from scanner.config import state_dir
    from scanner.fleet.broker import JOIN_ADVICE, open_broker, without_password
    from scanner.fleet.hub_config import INVALID_LINE, JoinError, parse_join_line, save_hub
    from scanner.fleet.joining import ensure_machine_key, request_to_join
    from workers.host.identity import this_host

    try:
        hub = parse_join_line(sys.stdin.readline() if line == "-" else line)
    except (JoinError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, JoinError) else INVALID_LINE
        raise click.BadParameter(reason, param_hint="URL") from error
    try:
        with tempfile.TemporaryDirectory() as folder:
            cert = Path(folder) / "hub.pem"
            cert.write_text(hub.cert or "", encoding="ascii")
            host, key = this_host(state_dir(), name), ensure_machine_key(state_dir())
            # Only a hub that admits this machine replaces another one.
            with open_broker(hub.broker_url(cert), hub.store, JOIN_ADVICE) as broker:
                hub = request_to_join(hub, broker.namespace, host, key)
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
        with worker.make_context("worker", ["--name", name], parent=ctx.parent) as inner:
            worker.invoke(inner)
