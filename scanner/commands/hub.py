"""`scanner hub`: be the machine that the others join."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import DONE, INTERRUPTED, Failed
from scanner.options.common import FiniteRange, open_store, store_option

if TYPE_CHECKING:
    from scanner.fleet.hub import HubOptions

DEFAULT_PORT = 6380
DEFAULT_RATE_MB = 100
LAST_PORT = 2**16 - 1


def _listen(_ctx: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, int]:
    """ADDRESS or ADDRESS:PORT; an IPv6 address with a port stands in brackets."""
    import ipaddress

    address, port = value, str(DEFAULT_PORT)
    if value.startswith("[") or value.count(":") == 1:
        address, _, port = value.rpartition(":")
    try:
        # Numbers only: a name may come to another address tomorrow.
        found = str(ipaddress.ip_address(address.strip("[]")))
        number = int(port)
    except ValueError:
        found, number = "", 0
    # The share has the port after it.
    if not 0 < number < LAST_PORT:
        raise click.BadParameter(
            f"{value!r} is no address of this machine: 192.168.1.5 or 192.168.1.5:{DEFAULT_PORT}; "
            "0.0.0.0 for all it has"
        )
    return found, number


@click.command()
@store_option
@click.option(
    "--listen",
    callback=_listen,
    metavar="ADDRESS[:PORT]",
    default=f"127.0.0.1:{DEFAULT_PORT}",
    show_default=True,
    help="Where the queue listens; other machines see it only where this is said.",
)
@click.option(
    "--broker",
    metavar="URL",
    envvar="SCANNER_BROKER_URL",
    show_envvar=True,
    help="A Redis that runs already, with a password; else the hub has one of its own.",
)
@click.option(
    "--share",
    is_flag=True,
    help="Let workers that do not see the pictures fetch them from here, on the port after the "
    "queue's.",
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
    help="Encrypt, with a certificate of its own (needs the system's valkey-server or "
    "redis-server, and openssl).",
)
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401
    """Be the hub of a fleet: its queue, and what writes the others' results into the store.

    Prints the one line that each further machine takes once: `scanner join -`. The line holds the
    hub's password. Everything else (queue, password, certificate) is kept, so a hub that is started
    again finds its fleet.

    \b
    Examples:
      scanner hub --listen 192.168.1.5 --share
      scanner hub --listen 0.0.0.0 --tls > line
    """
    from scanner.config import state_dir
    from scanner.fleet.hub import HubError, running_hub
    from scanner.processes.embedded_broker import EmbeddedServerError
    from scanner.processes.local import RescuerGone
    from scanner.processes.logs import log_to_stderr

    log_to_stderr(verbose=False)
    options = _options(given)
    stop = threading.Event()
    signals: list[int] = []

    def end(number: int, _frame: object) -> None:
        signals.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        with (
            open_store(options.store_url, make=True) as store,
            running_hub(options, store, state_dir()) as running,
        ):
            click.echo("On each further machine:", err=True)
            click.echo(f"scanner join '{running.hub.line()}'")
            click.echo("and then: scanner worker. Ctrl-C ends the hub.", err=True)
            while not stop.wait(1.0):
                running.look_after()
    except (EmbeddedServerError, HubError, RescuerGone) as error:
        raise Failed(str(error)) from error
    ctx.exit(INTERRUPTED if signal.SIGINT in signals else DONE)


def _options(given: dict[str, Any]) -> HubOptions:
    from scanner.fleet.hub import HubOptions

    address, port = given["listen"]
    if given["broker"] and given["tls"]:
        raise click.UsageError("--tls is for a queue of the hub's own; a broker has its own TLS")
    return HubOptions(
        address=address,
        port=port,
        store_url=given["store"],
        broker_url=given["broker"],
        share_port=port + 1 if given["share"] else None,
        share_bytes_per_second=given["share_rate"] * 1e6,
        tls=given["tls"],
    )
