"""What `scan` starts for itself: a broker if none is named, a worker, and a keeper.

All of it ends with `scan`, in whatever way that ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.config import root_arguments
from scanner.fleet.broker import open_broker
from scanner.fleet.rescuer import Rescuer
from scanner.processes import children
from scanner.processes.embedded_broker import EmbeddedServer
from storage.errors import ScannerError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from scanner.fleet.broker import Broker
    from storage.database.store import Store
    from workers.sources.location import SourceLocation

# Seconds that a worker has for the image it is at and the commit behind it.
GRACE_SECONDS = 30.0
LOG_LINES_SHOWN = 5


class RescuerGone(ScannerError):
    """The keeper ended by itself, so a batch that is lost would stay so."""


class WorkerGone(ScannerError):
    """The worker ended by itself; the message has its last words."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How the worker is started."""

    store_url: str
    concurrency: int
    state_dir: Path
    roots: Mapping[str, SourceLocation]
    second_stage: str | None = None


class LocalWorker:
    """One Celery worker as a child process, its output in a log file."""

    def __init__(self, broker_url: str, options: WorkerOptions) -> None:
        self._log = options.state_dir / "logs" / f"worker-{os.getpid()}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        # Through the environment, which only its owner can read; a process list is for all.
        env = children.environment(
            SCANNER_BROKER_URL=broker_url,
            SCANNER_STORE_URL=options.store_url,
        )
        argv = [sys.executable, "-m", "scanner", "worker", "--no-rescuer"]
        argv += ["--concurrency", str(options.concurrency)]
        if options.second_stage is not None:
            argv += ["--second-stage", options.second_stage]
        # Not joined into SCANNER_ROOTS: a path may hold what would split it there.
        argv += root_arguments(options.roots)
        with self._log.open("wb") as log:
            self._process: subprocess.Popen[bytes] = children.start(argv, env=env, output=log)

    def check(self) -> None:
        """Raise WorkerGone where the worker is not running any more."""
        status = self._process.poll()
        if status is None:
            return
        words = self._log.read_text(errors="replace").strip().splitlines()[-LOG_LINES_SHOWN:]
        raise WorkerGone(_how_it_ended(status, words))

    def stop(self) -> None:
        """End the worker in an orderly way; its log goes with it."""
        children.stop(self._process, GRACE_SECONDS)
        self._log.unlink(missing_ok=True)


def _how_it_ended(status: int, words: list[str]) -> str:
    """One sentence; what a killed worker said last has nothing to do with its end."""
    if status < 0:
        # SIGKILL comes from the kernel, as a rule, where memory has run out.
        why = " (out of memory?)" if -status == signal.SIGKILL else ""
        how = f"was killed by signal {-status}{why}"
    else:
        how = "exited unexpectedly: " + (" / ".join(words) or f"exit code {status}")
    return f"the worker {how}; run the same command again to resume; try a smaller --concurrency"


@dataclass(frozen=True, slots=True)
class LocalBroker:
    """A broker; `check` raises EmbeddedServerError where it was ours and cannot be kept alive."""

    broker: Broker
    check: Callable[[], object]


@contextmanager
def local_broker(url: str | None, state_dir: Path, store_id: str) -> Iterator[LocalBroker]:
    """The named broker, or an embedded one that lives as long as the context."""
    if url is not None:
        with open_broker(url, store_id) as broker:
            yield LocalBroker(broker, lambda: None)
        return
    with EmbeddedServer(state_dir) as server, open_broker(server.url, store_id) as broker:
        yield LocalBroker(broker, server.check)


@contextmanager
def local_worker(broker: Broker, options: WorkerOptions) -> Iterator[LocalWorker]:
    """A worker for as long as the context lasts."""
    worker = LocalWorker(broker.url, options)
    try:
        yield worker
    finally:
        worker.stop()


@contextmanager
def local_rescuer(store: Store, broker: Broker, name: str) -> Iterator[Callable[[], object]]:
    """A keeper for the scans of that name, in a thread of this process.

    Gives a check that raises RescuerGone where the keeper has ended by itself.
    """
    stop = threading.Event()
    kept = Rescuer(store, broker, name)
    thread = threading.Thread(target=kept.run_until, args=(stop,), name="keeper", daemon=True)
    thread.start()

    def check() -> None:
        if not thread.is_alive():
            raise RescuerGone("the keeper, which looks after lost batches, ended by itself")

    try:
        yield check
    finally:
        stop.set()
        thread.join()
