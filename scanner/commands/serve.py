"""`scanner serve`: look at scans in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from scanner.options.broker import broker_option
from scanner.options.record import as_record
from scanner.options.store import open_store, store_option
from scanner.options.work import root_option
from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.web.server import Listener
    from workers.sources.location import SourceLocation

DEFAULT_PORT = 8765
MIN_TOKEN_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Options:
    """What to show, and to whom."""

    store: str
    broker: str
    roots: Mapping[str, SourceLocation]
    host: str
    port: int
    token: str | None


@click.command()
@store_option
@broker_option
@root_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port to listen on; 0: any free one.",
)
@click.option(
    "--token",
    envvar="SCANNER_WEB_TOKEN",
    show_envvar=True,
    metavar="TEXT",
    help="Access token required from browsers.  [default: none on this machine alone, a random "
    "one beyond it]",
)
@as_record(Options)
def command(*, options: Options) -> None:
    """Look at scans in a browser: live, gallery, review, export; /metrics for Prometheus.

    Only this machine can reach the pages unless --host says otherwise; then they require a token,
    which is printed with the address. Nothing is encrypted: across a network that you do not
    trust, put a proxy with TLS in front, or use ssh -L.

    \b
    Examples:
      scanner serve
      scanner serve --host 0.0.0.0 --root photos=/mnt/nas/photos
      SCANNER_WEB_TOKEN=… scanner serve --host 192.168.1.7
    """
    from scanner.web import server

    if options.token is not None and len(options.token) < MIN_TOKEN_CHARACTERS:
        raise click.BadParameter(
            f"token too short: expected at least {MIN_TOKEN_CHARACTERS} characters",
            param_hint="--token",
        )
    try:
        listener = server.listen(options.host, options.port)
    except OSError as error:
        raise ScannerError(
            f"cannot listen on {options.host} port {options.port} ({error.strerror}): name another "
            "with --port or --host"
        ) from error
    with listener.socket:
        _serve(listener, options)


def _serve(listener: Listener, options: Options) -> None:
    import secrets

    from scanner.processes.addresses import is_loopback
    from scanner.web.app import make_app
    from scanner.web.monitor import Monitor
    from scanner.web.previews import Previews, user_cache
    from scanner.web.server import serve
    from scanner.web.site import Site

    is_local = is_loopback(options.host)
    token = options.token or (None if is_local else secrets.token_urlsafe())
    with open_store(options.store) as store:
        site = Site(
            store,
            Monitor(store, options.broker),
            Previews(options.roots, user_cache()),
            _user() if is_local else "",
        )
        app = make_app(site, token)
        # It listens already. On stdout, since a program may wait for it.
        click.echo(listener.url if token is None else f"{listener.url}?token={token}")
        click.echo("Ctrl-C stops it.", err=True)
        serve(app, listener)


def _user() -> str:
    """Return the name of this user, or their number where they have no name."""
    import os
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):
        return str(os.getuid())
