"""Run a Celery worker on this machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import redis
from billiard import active_children
from celery.signals import setup_logging, worker_shutting_down
from celery.worker import state

from scanner.config import DEFAULT_BROKER
from scanner.exits import INTERRUPTED
from scanner.fleet.broker import BrokerUnavailable, open_broker, without_password
from scanner.fleet.hub_config import load_hub
from scanner.fleet.joining import membership_of
from scanner.fleet.preflight import preflight, speed_line
from scanner.processes.supervisor import SupervisedProcess, periodic_step
from storage.database.engine import WORK_ANSWER_S
from storage.database.store import Store
from storage.errors import InvalidInput
from workers.batch.tasks import make_worker_app
from workers.broker.app import make_namespace
from workers.broker.namespace import QUEUE
from workers.broker.quiet import quiet_celery
from workers.host.heartbeat_file import heartbeat_file
from workers.sources.location import HubLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from workers.host.heartbeat_file import HeartbeatFile
    from workers.settings import Membership, WorkerSettings


log = logging.getLogger(__name__)

NOT_JOINED = (
    "This machine has not joined a hub: run the line that `scanner hub` prints, or name --broker "
    "and --store"
)
# After a signal to stop: less than systemd's 90 s and the 60 s of docker-compose.yml, and enough
# for an image and its commit, which usually take two seconds.
STOP_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Connection:
    """The broker of a worker's batches, and the URL of the store if it writes there itself."""

    broker_url: str
    store_url: str | None
    store_id: str
    share: HubLocation | None = None
    membership: Membership | None = None


def connection(
    broker_url: str, store_url: str, named: frozenset[str], state_dir: Path
) -> Connection:
    """Return the hub's broker and store, or those given if `broker` or `store` is in `named`.

    Raise InvalidInput if only one is named and does not belong to the hub, JoinError, and
    BrokerUnavailable where there is neither a hub nor a server at the default URL.
    """
    hub = load_hub()
    if hub is None and broker_url == DEFAULT_BROKER and not _has_default_broker():
        raise BrokerUnavailable(NOT_JOINED)
    if hub is not None and not named:
        if hub.store_url is not None:
            return Connection(broker_url, hub.store_url, hub.store)
        share = None
        if hub.share is not None and hub.token is not None:
            share = HubLocation(hub.share, hub.token, hub.cert, collection="")
        return Connection(broker_url, None, hub.store, share, membership_of(hub, state_dir))
    with closing(Store.open(store_url, make=hub is None, answer_s=WORK_ANSWER_S)) as store:
        # Queues are named by store, so the hub's broker has none for another store.
        if hub is not None and len(named) == 1 and store.identity != hub.store:
            raise InvalidInput(
                f"this machine has joined a hub, and --{next(iter(named))} does not belong to it: "
                "name both --broker and --store, or neither"
            )
        # The hub's broker knows this machine by its own user, whoever writes to the store.
        is_member = hub is not None and hub.store_url is None and "broker" not in named
        membership = membership_of(hub, state_dir) if hub is not None and is_member else None
        return Connection(broker_url, store_url, store.identity, membership=membership)


def _has_default_broker() -> bool:
    """Return whether anything listens at the default URL, without a client's seconds of retries."""
    address = urlsplit(DEFAULT_BROKER)
    try:
        socket.create_connection((address.hostname, address.port), timeout=1.0).close()
    except OSError:
        return False
    return True


def run_worker(settings: WorkerSettings, say: Callable[[str], object], *, rescuer: bool) -> int:
    """Work until stopped; return the exit code, 130 after Ctrl-C. Raise PreflightError.

    Without a rescuer, as in `scan`, the worker starts without measuring its speed.
    """
    with (
        _early_signals() as received,
        heartbeat_file(settings.state_dir, settings.label) as heartbeat,
    ):
        processes = (
            "1 process" if settings.concurrency == 1 else f"{settings.concurrency} processes"
        )
        with open_broker(settings.broker_url, settings.store_id) as broker:
            say(
                f"{settings.label} works with {processes} on the batches of "
                f"{without_password(settings.broker_url)}; Ctrl-C stops it after the images at work"
            )
            preflight(broker.namespace, settings, say)
        if rescuer:
            say(speed_line())
        with _supervised_rescuer(settings, wanted=rescuer) as process:
            code = _consume(settings, process, heartbeat, say)
        return INTERRUPTED if signal.SIGINT in received else code


@contextmanager
def _early_signals() -> Iterator[set[int]]:
    """Stop at once on a signal until Celery handles them: there is no work to give back yet.

    SIGTERM exits with 0, Ctrl-C raises KeyboardInterrupt. Python drops an exception that is raised
    in a destructor, for example. So Celery is told as well: it ends as soon as it has started.
    Yields the signals that were received.
    """
    received: set[int] = set()

    def stop(number: int, _frame: object) -> None:
        received.add(number)
        state.should_stop = 0
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(0)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _supervised_rescuer(
    settings: WorkerSettings, *, wanted: bool
) -> Iterator[SupervisedProcess | None]:
    """Run a rescuer as a process, since a forking pool must not have threads.

    None with a hub, which has its own.
    """
    if not wanted or settings.store_url is None or settings.membership is not None:
        yield None
        return
    module = ["scanner.fleet.rescuer", settings.label]
    with SupervisedProcess(
        "the rescuer", module, settings.broker_url, settings.store_url
    ) as process:
        yield process


def _consume(
    settings: WorkerSettings,
    rescuer: SupervisedProcess | None,
    heartbeat: HeartbeatFile,
    say: Callable[[str], object],
) -> int:
    """Run Celery's worker in this process, and restart the rescuer whenever it has exited."""
    quiet_celery()
    # Celery sets up no logging, which would undo --verbose, if this signal is connected.
    setup_logging.connect(lambda **_: None, weak=False)
    app = make_worker_app(settings)
    app.steps["consumer"].add(periodic_step("heartbeat", _listening(settings, heartbeat)))
    if rescuer is not None:
        app.steps["consumer"].add(periodic_step("rescuer", rescuer.restart_if_exited))
    worker = app.Worker(
        hostname=f"{settings.label}-{os.getpid()}@scanner",
        queues=[QUEUE],
        pool="prefork",
        concurrency=settings.concurrency,
        loglevel="WARNING",
        # No banner.
        quiet=True,
        # Workers do not need each other.
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
    )
    signals: list[str] = []

    def exit_code() -> int:
        # Celery's exit code for Ctrl-C is that of a failure.
        return INTERRUPTED if "SIGINT" in signals else int(worker.exitcode or 0)

    def begin_to_stop(sig: str, **_: object) -> None:
        if not signals:
            # The pool forks no more.
            threading.Thread(target=_end_in_time, args=(exit_code, rescuer), daemon=True).start()
        signals.append(sig)
        if sig == "SIGINT" and len(signals) == 1:
            say("stopping after the images at work; Ctrl-C again ends at once")

    worker_shutting_down.connect(begin_to_stop, weak=False)
    worker.start()
    return exit_code()


def _listening(settings: WorkerSettings, heartbeat: HeartbeatFile) -> Callable[[], None]:
    """Return a function that notes in the heartbeat whether the broker answers.

    Celery's main loop alone does not tell: it also turns between two attempts to connect.
    """
    client = make_namespace(settings.broker_url, settings.store_id).client

    def check() -> None:
        try:
            client.ping()
        except redis.RedisError as error:
            log.debug("the broker does not respond: %s", error)
        else:
            heartbeat.listened()

    return check


def _end_in_time(exit_code: Callable[[], int], rescuer: SupervisedProcess | None) -> None:
    """End this process and its children if they have not ended by themselves in STOP_SECONDS.

    Something does not answer: the store, the broker, or an image in native code. Nothing is lost:
    what was not committed is published again.
    """
    time.sleep(STOP_SECONDS)
    log.error("still waiting %.0f s after the signal: the work is left to others", STOP_SECONDS)
    for child in active_children():
        os.kill(child.pid, signal.SIGKILL)
    if rescuer is not None:
        rescuer.kill()
    os._exit(exit_code())
