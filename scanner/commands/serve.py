"""`scanner serve`: look at scans in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scanner.exits import Failed
from scanner.options.common import broker_option, open_store, root_option, store_option

if TYPE_CHECKING:
    from scanner.web.server import Door

DEFAULT_PORT = 8765
MIN_TOKEN_CHARACTERS = 16


@click.command()
@store_option
@broker_option
@root_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="On which port; 0: one that is free.",
)
@click.option(
    "--token",
    envvar="SCANNER_WEB_TOKEN",
    show_envvar=True,
    metavar="TEXT",
    help="What a browser has to know to see anything.  [default: none on this machine alone, "
    "a random one beyond it]",
)
def command(  # noqa: PLR0913 - its options
    *, store: str, broker: str, roots: tuple[str, ...], host: str, port: int, token: str | None
) -> None:
    """Look at scans in a browser: live, gallery, review, export; /metrics for Prometheus.

    Only this machine can reach it, unless --host says otherwise; then it takes a token, which is
    printed with the address. Nothing is encrypted: across a network that you do not trust, put a
    proxy with TLS before it, or go through ssh -L.

    \b
    Examples:
      scanner serve
      scanner serve --host 0.0.0.0 --root photos=/mnt/nas/photos
      SCANNER_WEB_TOKEN=… scanner serve --host 192.168.1.7
    """
    import secrets

    from scanner.fleet.addresses import is_loopback
    from scanner.web import server

    if token is not None and len(token) < MIN_TOKEN_CHARACTERS:
        raise click.BadParameter(
            f"a token has {MIN_TOKEN_CHARACTERS} characters at the least", param_hint="--token"
        )
    is_alone = is_loopback(host)
    if token is None and not is_alone:
        token = secrets.token_urlsafe()
    try:
        door = server.listen(host, port)
    except OSError as error:
        raise Failed(
            f"{host} port {port} cannot be listened on ({error.strerror}): name another with "
            "--port or --host"
        ) from error
    with door.listener:
        _serve(door, token, (store, broker, roots), is_alone=is_alone)


def _serve(
    door: Door, token: str | None, given: tuple[str, str, tuple[str, ...]], *, is_alone: bool
) -> None:
    from getpass import getuser
    from pathlib import Path

    import platformdirs

    from scanner.config import APP, parse_roots
    from scanner.web.app import make_app
    from scanner.web.cache import Cache
    from scanner.web.pictures import Pictures
    from scanner.web.server import serve
    from scanner.web.site import Site
    from scanner.web.watch import Watch

    store_url, broker_url, roots = given
    cache = Cache(Path(platformdirs.user_cache_path(APP)) / "pictures")
    with open_store(store_url) as store:
        site = Site(
            store,
            Watch(store, broker_url),
            Pictures(parse_roots(roots), cache),
            getuser() if is_alone else "",
        )
        app = make_app(site, token)
        # It listens already. On stdout, since a program may wait for it.
        click.echo(door.url if token is None else f"{door.url}?token={token}")
        click.echo("Ctrl-C stops it.", err=True)
        serve(app, door)
