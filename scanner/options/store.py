"""The store that a command reads or writes, and the scan in it."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.config import default_store
from scanner.options.completion import complete_scan
from scanner.options.parameters import require_named
from storage.errors import NotFound, ScannerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scanner.options.completion import Complete
    from storage.database.store import Store


ON_THE_HUB = (
    "the store is on the hub that this machine has joined: run the command there, or name a store "
    "with --store"
)
BESIDE_A_HUB = (
    "This is the store of this machine alone; the hub that it has joined has another: run the "
    "command there for the hub's scans."
)


def _default_store() -> str:
    """Default to the hub's store on the hub machine, else to the user's store."""
    from scanner.fleet.hub_config import load_hub  # noqa: PLC0415 - `--help` should not cost it

    hub = load_hub()
    return default_store() if hub is None or hub.store_url is None else hub.store_url


def _named(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    require_named(value, parameter, ctx)
    return value


store_option = click.option(
    "--store",
    callback=_named,
    envvar="SCANNER_STORE_URL",
    show_envvar=True,
    default=_default_store,
    show_default="the hub's on the hub's own machine, else store.db in your data folder",
    metavar="URL|FILE",
    help="Where verdicts are stored: an SQLite file or a postgresql:// URL.",
)


class ScanNumber(click.IntRange):
    """The number of a scan, from 1."""

    name = "scan number"

    def __init__(self) -> None:
        super().__init__(1)


def scan_argument_of(complete: Complete) -> Callable[..., Any]:
    """Return the optional argument SCAN, passed as `scan_id`, of which the Tab key offers some."""
    return click.argument(
        "scan_id", metavar="[SCAN]", type=ScanNumber(), required=False, shell_complete=complete
    )


scan_argument = scan_argument_of(complete_scan)


@contextmanager
def open_store(url: str, *, make: bool = False, answer_s: float | None = None) -> Iterator[Store]:
    """Open the store at a URL for as long as the context lasts; `make` an SQLite file if needed.

    A Postgres may take `answer_s` seconds for a statement, by default as long as for any command.
    """
    from storage.database.engine import COMMAND_ANSWER_S  # noqa: PLC0415 - 0.3 s not for `--help`
    from storage.database.store import Store  # noqa: PLC0415

    if not make:
        require_own_store(url)
    with closing(Store.open(url, make=make, answer_s=answer_s or COMMAND_ANSWER_S)) as store:
        if not make and _is_beside_a_hub(url):
            if not _has_scans(store):
                raise ScannerError(ON_THE_HUB)
            click.echo(BESIDE_A_HUB, err=True)
        yield store


def require_own_store(url: str) -> None:
    """Raise ScannerError where only the hub that this machine has joined has a store."""
    if _is_beside_a_hub(url) and not Path(url).exists():
        raise ScannerError(ON_THE_HUB)


def _has_scans(store: Store) -> bool:
    from storage.writes.scans import find_scan  # noqa: PLC0415 - as above

    try:
        find_scan(store)
    except NotFound:
        return False
    return True


def _is_beside_a_hub(url: str) -> bool:
    """Check whether a store is this machine's own, though the machine has joined a hub."""
    from scanner.fleet.hub_config import load_hub  # noqa: PLC0415 - as above

    if url != default_store():
        return False
    hub = load_hub()
    return hub is not None and hub.store_url != url
