"""`scanner hub`: be the machine that the others join."""

from __future__ import annotations

import ipaddress
import signal
import threading
from dataclasses import dataclass

import click

from scanner.exits import DONE, INTERRUPTED
from scanner.options.parameters import FiniteRange
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


@click.command()
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
@as_record(Options)
@click.pass_context
def command(ctx: click.Context, *, options: Options) -> None:
    """Be the hub of a fleet: run its queue and write the workers' results into the store.

    Prints the line to run once on each further machine, or to pass to `scanner join -`. The line
    contains the hub's password. Queue, password and certificate are kept: a hub that is started
    again finds its fleet.

    \b
    Examples:
      scanner hub --listen 192.168.1.5 --share
      scanner hub --listen 0.0.0.0 --tls > line
    """
    from scanner.config import state_dir
    from scanner.fleet.hub import HubOptions, run_hub
    from scanner.processes.embedded_broker import EmbeddedServerError
    from scanner.processes.logs import log_to_stderr
    from storage.database.engine import WORK_ANSWER_S

    log_to_stderr(verbose=False)
    if options.broker and options.tls:
        raise click.UsageError("--tls and --broker exclude each other: a broker has its own TLS")
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
            click.echo(f"scanner join '{running.config.join_line()}'")
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
    ctx.exit(INTERRUPTED if signal.SIGINT in signals else DONE)
