"""What the Tab key offers: detectors, scans, collections, machines, conditions and dead letters.

Where nothing can be read, nothing.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from click.core import ParameterSource
from click.shell_completion import CompletionItem

from scanner.config import file_settings
from storage.errors import ScannerError

# Seconds for which a queue may be silent, after which nothing of it is offered.
ANSWER_S = 1.0

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import click

    from storage.database.store import Store
    from storage.writes.scans import Scan
    from workers.broker.namespace import Namespace

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


def _named(ctx: click.Context, name: str) -> str:
    """Return the value of an option, of this command or of the one above, as `worker` of `install`.

    Click does not read the config file here.
    """
    if name not in ctx.params and ctx.parent is not None:
        return _named(ctx.parent, name)
    value: str = ctx.params[name]
    if ctx.get_parameter_source(name) is ParameterSource.DEFAULT:
        return str(file_settings().get(name, value))
    return value


def _of_store(offers: Callable[[Store], Iterator[CompletionItem]]) -> Complete:
    def complete(
        ctx: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from storage.database.store import Store

        try:
            with closing(Store.open(_named(ctx, "store"), make=False)) as store:
                return [item for item in offers(store) if item.value.startswith(incomplete)]
        except (ScannerError, OSError):
            return []

    return complete


@_of_store
def complete_scan(store: Store) -> Iterator[CompletionItem]:
    """Yield the scans of the store, the latest first."""
    from storage.writes.scans import list_scans

    for scan in list_scans(store):
        yield _scan_item(scan)


@_of_store
def complete_running_scan(store: Store) -> Iterator[CompletionItem]:
    """Yield the scans that can be cancelled."""
    from storage.writes.scans import UNFINISHED, list_scans

    yield from (_scan_item(scan) for scan in list_scans(store) if scan.state == UNFINISHED)


@_of_store
def complete_stopped_scan(store: Store) -> Iterator[CompletionItem]:
    """Yield the scans that are not finished, cancelled ones too."""
    from storage.writes.scans import list_scans

    yield from (_scan_item(scan) for scan in list_scans(store) if scan.finished_at is None)


def _scan_item(scan: Scan) -> CompletionItem:
    return CompletionItem(str(scan.scan_id), help=f"{scan.collection}, {scan.state}")


@_of_store
def complete_collection(store: Store) -> Iterator[CompletionItem]:
    """Yield the collections of the store, the latest scanned first."""
    yield from map(CompletionItem, _collections(store))


@_of_store
def _complete_root_of_store(store: Store) -> Iterator[CompletionItem]:
    yield from (CompletionItem(f"{name}=") for name in _collections(store))


def complete_root(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the collections of the store, or of the hub's queue, as the start of NAME=PATH."""
    if offered := _complete_root_of_store(ctx, parameter, incomplete):
        return offered
    from scanner.fleet.hub_config import load_hub
    from workers.broker.collection_fingerprints import collections_with_fingerprint

    try:
        hub = load_hub()
        if hub is None or hub.store_url is not None:
            return []
        with _queue(hub.broker_url(), hub.store) as queue:
            names = collections_with_fingerprint(queue)
    except (ScannerError, OSError, ValueError):
        return []
    return [CompletionItem(f"{name}=") for name in names if name.startswith(incomplete)]


def _collections(store: Store) -> Iterable[str]:
    from storage.writes.scans import list_scans

    return dict.fromkeys(scan.collection for scan in list_scans(store))


@contextmanager
def _queue(url: str, store_id: str) -> Iterator[Namespace]:
    """Open a store's part of a queue. Raise OSError where it does not answer at once."""
    from redis import RedisError

    from workers.broker.app import make_namespace

    namespace = make_namespace(url, store_id, ANSWER_S)
    try:
        yield namespace
    except RedisError as error:
        raise OSError(str(error)) from error
    finally:
        namespace.client.close()


@_of_store
def complete_host(store: Store) -> Iterator[CompletionItem]:
    """Yield the machines that have joined or worked for the store, by name."""
    from scanner.fleet.machines import machine_names

    yield from map(CompletionItem, sorted(set(machine_names(store).values())))


@_of_store
def complete_member(store: Store) -> Iterator[CompletionItem]:
    """Yield the machines that have joined and were not shut out, by name."""
    from storage.writes.machines import list_machines

    names = {one.label for one in list_machines(store) if one.revoked_at is None}
    yield from map(CompletionItem, sorted(names))


def complete_letter(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the ids of the dead letters, and `all`, where a command takes that."""
    from storage.database.store import Store
    from workers.broker.dead_letters import read_letters

    try:
        with (
            closing(Store.open(_named(ctx, "store"), make=False)) as store,
            _queue(_named(ctx, "broker"), store.identity) as queue,
        ):
            letters = read_letters(queue)
    except (ScannerError, OSError, ValueError):
        return []
    items = [CompletionItem(one.letter_id, help=one.reason) for one in letters]
    if letters and ctx.info_name != "show":
        items.insert(0, CompletionItem("all"))
    return [item for item in items if item.value.startswith(incomplete)]


def complete_condition(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the fields of `--where`, and the values of one that has few."""
    from scanner.options.where import VALUES, names

    field, equals, _ = incomplete.partition("=")
    if not equals:
        return [CompletionItem(f"{name}=") for name in names() if name.startswith(incomplete)]
    offered = (f"{field}={value}" for value in VALUES.get(field, ()))
    return [CompletionItem(text) for text in offered if text.startswith(incomplete)]
