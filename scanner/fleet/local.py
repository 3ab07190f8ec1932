"""The broker and rescuer that `scan` starts, which end when it does in any way."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.fleet.broker import open_broker
from scanner.fleet.rescuer import Rescuer
from scanner.processes.embedded_broker import EmbeddedServer
from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scanner.fleet.broker import Broker
    from storage.database.store import Store

# Seconds that the rescuer has for its current transaction.
GRACE_SECONDS = 30.0


class RescuerStopped(ScannerError):
    """The rescuer stopped unexpectedly, so lost batches would not be published again."""


@dataclass(frozen=True, slots=True)
class LocalBroker:
    """A broker; `check` raises EmbeddedServerError if an embedded one cannot be restarted."""

    broker: Broker
    check: Callable[[], object]


@contextmanager
def local_broker(url: str | None, state_dir: Path, store_id: str) -> Iterator[LocalBroker]:
    """Open the named broker, or run an embedded one while the context lasts."""
    if url is not None:
        with open_broker(url, store_id) as broker:
            yield LocalBroker(broker, lambda: None)
        return
    with EmbeddedServer(state_dir) as server, open_broker(server.url, store_id) as broker:
        yield LocalBroker(broker, server.check)


@contextmanager
def local_rescuer(store: Store, broker: Broker, owner: str) -> Iterator[Callable[[], object]]:
    """Run a rescuer for the scans of an owner in a thread while the context lasts.

    Yield a check that raises RescuerStopped if the thread has stopped.
    """
    stop = threading.Event()
    rescuer = Rescuer(store, broker, owner)
    thread = threading.Thread(target=rescuer.run_until, args=(stop,), name="rescuer", daemon=True)
    thread.start()

    def check() -> None:
        if not thread.is_alive():
            raise RescuerStopped(
                "the rescuer, which publishes lost batches again, stopped unexpectedly"
            )

    try:
        yield check
    finally:
        stop.set()
        # A store that does not answer holds it longer; it is a daemon.
        thread.join(GRACE_SECONDS)
