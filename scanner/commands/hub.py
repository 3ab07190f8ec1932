"""`scanner hub`: be the machine that the others join."""

from __future__ import annotations

import ipaddress
import json
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from scanner.exits import DONE, INTERRUPTED
from scanner.options.completion import complete_member
from scanner.options.output import json_option
from scanner.options.parameters import FiniteRange, PathParameter, refuse_before_subcommand
from scanner.options.record import as_record
from scanner.options.store import open_store, store_option
from storage.errors import ScannerError

DEFAULT_PORT = 6380
DEFAULT_RATE_MB = 100
LAST_PORT = 2**16 - 1


def _listen(_ctx: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, int]:
    """Parse ADDRESS or ADDRESS:PORT; an IPv6 address with a port stands in brackets."""
    address, port = value, str(DEFAULT_PORT)
    if value.startswith("[") or value.count(":") == 1:
        address, _, port = value.rpartition(":")
    try:
        # Numbers only: a name may resolve to another address tomorrow.
        parsed, number = str(ipaddress.ip_address(address.strip("[]"))), int(port)
    except ValueError:
        parsed, number = "", 0
    # The share has the port after it.
    if not 0 < number < LAST_PORT:
        raise click.BadParameter(
            f"invalid address {value!r}: expected one of this machine, as in 192.168.1.5 or "
            f"192.168.1.5:{DEFAULT_PORT}, or 0.0.0.0 for all"
        )
    return parsed, number


@dataclass(frozen=True, slots=True)
class Options:
    """What the hub offers and where it listens."""

    store: str
    listen: tuple[str, int]
    broker: str | None
    share: bool
    share_rate: float
    tls: bool
    new_line: bool
    write_line: Path | None


@click.group(invoke_without_command=True)
@store_option
@click.option(
    "--listen",
    callback=_listen,
    metavar="ADDRESS[:PORT]",
    default=f"127.0.0.1:{DEFAULT_PORT}",
    show_default=True,
    help="Address to listen on.",
)
@click.option(
    "--broker",
    metavar="URL",
    envvar="SCANNER_BROKER_URL",
    show_envvar=True,
    help="A running Redis server with a password.  [default: one that the hub starts]",
)
@click.option(
    "--share",
    is_flag=True,
    help="Serve the images to workers without access to them, on the port after the queue's.",
)
@click.option(
    "--share-rate",
    type=FiniteRange(0.01),
    default=DEFAULT_RATE_MB,
    show_default=True,
    metavar="MB",
    help="Megabytes a second that all of them together may fetch.",
)
@click.option(
    "--tls",
    is_flag=True,
    help="Encrypt with a self-signed certificate (needs the system's valkey-server or "
    "redis-server, and openssl).",
)
@click.option(
    "--new-line",
    is_flag=True,
    help="Change the join line, print the new one and end; machines that have joined stay.",
)
@click.option(
    "--write-line",
    type=PathParameter(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the join line to FILE, which only you can read, instead of stdout.",
)
@as_record(Options)
@click.pass_context
def command(ctx: click.Context, *, options: Options) -> None:
    """Be the hub of a fleet: run its queue and write the workers' results into the store.

    Prints the line to run once on each further machine, or to pass to `scanner join -`. Who has the
    line may join; each machine then has a key and a password of its own. Queue, secrets and
    certificate are kept: a hub that is started again finds its fleet.

    \b
    Examples:
      scanner hub --listen 192.168.1.5 --share
      scanner hub --listen 0.0.0.0 --tls --write-line line
      scanner hub --new-line --write-line line
    """
    # The config file's settings hold for the commands below, too.
    ctx.default_map = dict.fromkeys(command.commands, ctx.default_map)
    refuse_before_subcommand(ctx)
    if ctx.invoked_subcommand is not None:
        return
    from scanner.config import state_dir
    from scanner.fleet.hub_secrets import hub_folder, new_line
    from scanner.processes.logs import log_to_stderr

    log_to_stderr(verbose=False)
    if options.new_line:
        _give_line(new_line(hub_folder(state_dir())), options.write_line)
        ctx.exit(DONE)
    if options.broker and options.tls:
        raise click.UsageError("--tls and --broker exclude each other: a broker has its own TLS")
    ctx.exit(_run(options))


def _run(options: Options) -> int:
    """Run the hub until a signal; return the exit code."""
    from scanner.config import state_dir
    from scanner.fleet.hub import HubOptions, run_hub
    from scanner.processes.embedded_broker import EmbeddedServerError
    from storage.database.engine import WORK_ANSWER_S

    address, port = options.listen
    hub_options = HubOptions(
        address=address,
        port=port,
        store_url=options.store,
        broker_url=options.broker,
        share_port=port + 1 if options.share else None,
        share_bytes_per_second=options.share_rate * 1e6,
        tls=options.tls,
    )
    stop = threading.Event()
    signals: list[int] = []

    def end(number: int, _frame: object) -> None:
        signals.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        with (
            open_store(options.store, make=True, answer_s=WORK_ANSWER_S) as store,
            run_hub(hub_options, store, state_dir()) as running,
        ):
            _give_line(running.config.join_line(), options.write_line)
            click.echo(
                "The hub runs; Ctrl-C stops it. On each further machine, run the line that begins "
                "with `scanner join`, then `scanner worker`.",
                err=True,
            )
            while not stop.wait(1.0):
                running.check()
    except EmbeddedServerError as error:
        # The hub itself is the service here: its exit code is that of a failure.
        raise ScannerError(str(error)) from error
    return INTERRUPTED if signal.SIGINT in signals else DONE


def _give_line(line: str, file: Path | None) -> None:
    """Print the command that joins, or write it to a file of mode 0600: it has a password."""
    from scanner.fleet.hub_config import write_private

    text = f"scanner join '{line}'\n"
    if file is None:
        click.echo(text, nl=False)
    else:
        write_private(file, text)


@command.command()
@store_option
@json_option
def machines(*, store: str, as_json: bool) -> None:
    """List the machines that have joined.

    \b
    Examples:
      scanner hub machines
      scanner hub machines --json
    """
    from storage.writes.machines import list_machines

    with open_store(store) as opened:
        known = list_machines(opened)
    if as_json:
        bodies = [
            {
                "id": one.machine_id,
                "name": one.label,
                "joined_at": one.joined_at,
                "revoked_at": one.revoked_at,
            }
            for one in known
        ]
        click.echo(json.dumps({"machines": bodies}))
        return
    for one in known:
        joined = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.joined_at))
        state = "" if one.revoked_at is None else ", shut out"
        click.echo(f"{one.label} ({one.machine_id}): joined {joined}{state}")
    if not known:
        click.echo("no machine has joined yet", err=True)


@command.command()
@click.argument("host", shell_complete=complete_member)
@store_option
def revoke(*, host: str, store: str) -> None:
    """Shut out HOST, a machine that has joined, by its name or id.

    From now on none of its results are taken, and the hub's queue and share refuse it. The join
    line changes, too, since the machine has the old one; other machines stay. The verdicts that it
    has given stay: `scanner verdicts` has the host of each.

    \b
    Example:
      scanner hub revoke attic-pi
    """
    from scanner.config import state_dir
    from scanner.fleet.hub_secrets import HubError, hub_folder, new_line
    from storage.writes.machines import revoke as revoke_machines

    with open_store(store) as opened:
        revoked = revoke_machines(opened, host)
    for machine in revoked:
        click.echo(f"{machine.label} ({machine.machine_id}) is shut out")
    # There is no line where the hub runs on another machine.
    with suppress(HubError):
        new_line(hub_folder(state_dir()))
        click.echo("the join line has changed: `scanner hub --new-line` prints one", err=True)
