"""`scanner serve`: look at scans in a browser."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.options.broker import broker_option
from scanner.options.parameters import PathParameter
from scanner.options.record import as_record
from scanner.options.store import open_store, require_own_store, store_option
from scanner.options.work import root_option
from storage.errors import ScannerError
from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.web.server import Listener
    from workers.sources.location import SourceLocation

DEFAULT_PORT = 8765
MIN_TOKEN_CHARACTERS = 16
MAX_TOKEN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Options:
    """What to show, and to whom."""

    store: str
    broker: str
    roots: Mapping[str, SourceLocation]
    host: str
    port: int
    token: str | None
    token_file: Path | None


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
    help="Access token required from browsers; everyone on this machine can read it in the list of "
    "processes.  [default: none on this machine alone, a random one beyond it]",
)
@click.option(
    "--token-file",
    type=PathParameter(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE|-",
    help="File whose first line is the token.",
)
@as_record(Options)
@click.pass_context
def command(ctx: click.Context, *, options: Options) -> None:
    """Scan and look at scans in a browser: live, gallery, review, export; /metrics for Prometheus.

    Folders below a --root can be scanned from the pages: by this machine alone, or, where a broker
    is named or this machine has joined a hub, by the fleet.

    Only this machine can reach the pages unless --host says otherwise; then they require a token,
    which is printed with the address; or, where `scanner users add` has named people, name and
    password. Nothing is encrypted: across a network that you do not
    trust, put a proxy with TLS in front, or use ssh -L.

    \b
    Examples:
      scanner serve
      scanner serve --root photos=~/Pictures
      scanner serve --host 0.0.0.0 --root photos=/mnt/nas/photos
      scanner serve --host 192.168.1.7 --token-file token
    """
    from scanner.web import server

    token = _token(ctx, options)
    try:
        listener = server.listen(options.host, options.port)
    except OSError as error:
        raise ScannerError(
            f"cannot listen on {options.host} port {options.port} ({error.strerror}): name another "
            "with --port or --host"
        ) from error
    with listener.socket:
        _serve(listener, options, token, has_fleet=_has_fleet(ctx))


def _token(ctx: click.Context, options: Options) -> str | None:
    """Return the token that was named, if any; warn of one in the list of processes."""
    token, hint = options.token, "--token"
    if options.token_file is not None:
        if token is not None:
            raise click.UsageError("--token and --token-file exclude each other: name one")
        hint = "--token-file"
        with click.open_file(str(options.token_file), encoding="utf-8", errors="replace") as file:
            token = file.readline(MAX_TOKEN_CHARACTERS + 2).strip()
    if token is None:
        return None
    if not MIN_TOKEN_CHARACTERS <= len(token) <= MAX_TOKEN_CHARACTERS:
        raise click.BadParameter(
            f"invalid token: expected {MIN_TOKEN_CHARACTERS} to {MAX_TOKEN_CHARACTERS} characters",
            param_hint=hint,
        )
    if ctx.get_parameter_source("token") is click.core.ParameterSource.COMMANDLINE:
        click.echo(
            "warning: everyone on this machine can read the token in the list of processes; name "
            "it with --token-file, or in SCANNER_WEB_TOKEN",
            err=True,
        )
    return token


def _has_fleet(ctx: click.Context) -> bool:
    """Return whether scans go to a fleet: a broker is named, or this machine has joined a hub."""
    from scanner.options.broker import hub_broker

    source = ctx.get_parameter_source("broker")
    return source is not click.core.ParameterSource.DEFAULT or hub_broker() is not None


def _serve(listener: Listener, options: Options, named: str | None, *, has_fleet: bool) -> None:
    import secrets

    from scanner.config import state_dir
    from scanner.processes.addresses import is_loopback
    from scanner.web.accounts import FILE, Accounts
    from scanner.web.app import make_app
    from scanner.web.monitor import Monitor
    from scanner.web.previews import Previews, user_cache
    from scanner.web.runs import Runs
    from scanner.web.server import serve
    from scanner.web.site import Site

    is_local = is_loopback(options.host)
    for name, root in options.roots.items():
        if isinstance(root, Path) and not root.is_dir():
            folder = shown(os.fsencode(root))
            raise ScannerError(f"invalid --root '{name}={folder}': expected a folder that is there")
    accounts = Accounts(state_dir() / FILE)
    has_users = bool(accounts.hashes())
    token = named or (None if is_local or has_users else secrets.token_urlsafe())
    require_own_store(options.store)
    # The scans that it starts find the services without naming them in the list of processes.
    settings = {"SCANNER_STORE_URL": options.store, "SCANNER_BROKER_URL": options.broker}
    with (
        open_store(options.store, make=True) as store,
        Runs(settings, has_fleet=has_fleet) as runs,
    ):
        site = Site(
            store,
            Monitor(store, options.broker),
            Previews(options.roots, user_cache()),
            _user() if is_local and not has_users else "",
            {name: root for name, root in options.roots.items() if isinstance(root, Path)},
            runs,
        )
        app = make_app(site, token, accounts if has_users else None)
        # It listens already. On stdout, since a program may wait for it.
        is_in_url = token is not None and not has_users
        click.echo(f"{listener.url}?token={token}" if is_in_url else listener.url)
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
