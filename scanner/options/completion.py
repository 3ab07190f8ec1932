"""What the Tab key offers: detectors, scans and machines. Where nothing can be read, nothing."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from click.core import ParameterSource
from click.shell_completion import CompletionItem

from scanner.config import file_settings
from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import click

    from storage.database.store import Store

    Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete_detector(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the detectors of this machine, as the last of a list divided by commas."""
    from workers.detectors.installed import installed

    before, comma, begun = incomplete.rpartition(",")
    named = before.split(",")
    return [
        CompletionItem(f"{before}{comma}{name}")
        for name in installed()
        if name.startswith(begun) and name not in named
    ]


def complete_custom_detector(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the detectors that were added on this machine."""
    from workers.detectors.installed import NAMES, installed

    added = (name for name in installed() if name not in NAMES)
    return [CompletionItem(name) for name in added if name.startswith(incomplete)]


def _of_store(offers: Callable[[Store], Iterator[CompletionItem]]) -> Complete:
    def complete(
        ctx: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from storage.database.store import Store

        try:
            url = ctx.params["store"]
            if ctx.get_parameter_source("store") is ParameterSource.DEFAULT:
                url = file_settings().get("store", url)
            with closing(Store.open(url, make=False)) as store:
                return [item for item in offers(store) if item.value.startswith(incomplete)]
        except (ScannerError, OSError):
            return []

    return complete


@_of_store
def complete_scan(store: Store) -> Iterator[CompletionItem]:
    """Yield the scans of the store, the latest first."""
    from storage.writes.scans import list_scans

    for scan in list_scans(store):
        yield CompletionItem(str(scan.scan_id), help=f"{scan.collection}, {scan.state}")


@_of_store
def complete_host(store: Store) -> Iterator[CompletionItem]:
    """Yield the machines that have worked for the store, by name."""
    from storage.reads.progress import list_hosts

    for label in sorted({host.label for host in list_hosts(store)}):
        yield CompletionItem(label)
