"""Running a worker on this machine: where its work comes from, its checks, Celery's worker."""

from __future__ import annotations

import os
import signal
import warnings
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_shutting_down

from scanner.exits import INTERRUPTED
from scanner.fleet.broker import open_broker, without_password
from scanner.fleet.hub_config import the_hub
from scanner.fleet.preflight import preflight, speed_line
from scanner.processes.supervisor import SupervisedProcess, periodic_step
from storage.database.store import Store
from storage.errors import InvalidInput
from workers.batch.tasks import make_worker_app
from workers.host.availability import queues_of
from workers.sources.location import HubLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a worker's batches come from, and the store that its verdicts go to if it has one."""

    broker_url: str
    store_url: str | None
    store_id: str
    share: HubLocation | None = None


def connection(broker_url: str, store_url: str, named: frozenset[str]) -> Connection:
    """Return the hub's broker and store unless `broker` or `store` are named; else those.

    Raise InvalidInput where only one is named that does not belong to the hub's.
    """
    hub = the_hub()
    if hub is not None and not named:
        share = None
        if hub.share is not None and hub.token is not None:
            share = HubLocation(hub.share, hub.token, hub.cert, collection="")
        return Connection(broker_url, hub.store_url, hub.store, share)
    with closing(Store.open(store_url, make=hub is None)) as store:
        # Queues are named by store: a broker has none for the store of another.
        if hub is not None and len(named) == 1 and store.identity != hub.store:
            raise InvalidInput(
                f"this machine has joined a hub, and --{next(iter(named))} does not belong to it: "
                "name both --broker and --store, or neither"
            )
        return Connection(broker_url, store_url, store.identity)


def run_worker(settings: WorkerSettings, say: Callable[[str], object], *, rescuer: bool) -> int:
    """Work until stopped; return Celery's exit code, 130 after a Ctrl-C. Raise NotFit.

    The worker of a `scan`, which has no rescuer of its own, starts without measuring its speed.
    """
    with _sigterm_ends():
        processes = (
            "1 process" if settings.concurrency == 1 else f"{settings.concurrency} processes"
        )
        say(
            f"{settings.label} works with {processes} on the batches of "
            f"{without_password(settings.broker_url)}; Ctrl-C stops it after the images at work"
        )
        with open_broker(settings.broker_url, settings.store_id) as broker:
            preflight(broker.namespace, settings, say)
        if rescuer:
            say(speed_line())
        with _supervised_rescuer(settings, wanted=rescuer) as look_after:
            return _consume(settings, look_after)


@contextmanager
def _sigterm_ends() -> Iterator[None]:
    """End in good order on SIGTERM until Celery handles signals: there is no work to give back."""

    def end(*_: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _supervised_rescuer(
    settings: WorkerSettings, *, wanted: bool
) -> Iterator[Callable[[], object]]:
    """Run a rescuer as a process: threads and a pool that forks do not go together.

    Yield what restarts the rescuer if it has ended, to be called now and then.
    """
    if not wanted or settings.store_url is None:
        yield lambda: None
        return
    module = ["scanner.fleet.rescuer", settings.label]
    with SupervisedProcess(
        "the rescuer", module, settings.broker_url, settings.store_url
    ) as process:
        yield process.restart_if_exited


def _consume(settings: WorkerSettings, look_after: Callable[[], object]) -> int:
    """Run Celery's worker in this process, and `look_after` every two seconds."""
    # It warns root of what a message may run; ours are JSON, and checked before they are used.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # Where somebody listens Celery sets up no logging: it would undo --verbose.
    setup_logging.connect(lambda **_: None, weak=False)
    app = make_worker_app(settings)
    app.steps["consumer"].add(periodic_step(look_after))
    worker = app.Worker(
        hostname=f"{settings.label}-{os.getpid()}@scanner",
        queues=queues_of(settings),
        pool="prefork",
        concurrency=settings.concurrency,
        loglevel="WARNING",
        # No banner of Celery's.
        quiet=True,
        # Workers need not know of each other.
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
    )
    signals: list[str] = []

    def remember(sig: str, **_: object) -> None:
        signals.append(sig)

    worker_shutting_down.connect(remember, weak=False)
    worker.start()
    # Celery's own code for a Ctrl-C is that of a failure.
    return INTERRUPTED if "SIGINT" in signals else int(worker.exitcode or 0)
