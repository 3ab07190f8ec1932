"""The broker, worker and rescuer that `scan` starts, which end when it does in any way."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

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

# Seconds that a worker has for its current image and the commit after it.
GRACE_SECONDS = 30.0
LOG_LINES_SHOWN = 5


class RescuerStopped(ScannerError):
    """The rescuer stopped unexpectedly, so lost batches would not be published again."""


class WorkerExited(ScannerError):
    """The worker exited unexpectedly; the message has its last log lines."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How the worker is started, and whether its broker serves nobody else."""

    store_url: str
    concurrency: int
    state_dir: Path
    roots: Mapping[str, SourceLocation]
    is_alone: bool = False


class LocalWorker:
    """A Celery worker as a child process, stopped at the end of the `with` block."""

    def __init__(self, broker_url: str, options: WorkerOptions) -> None:
        self._log = options.state_dir / "logs" / f"worker-{os.getpid()}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._is_alone = options.is_alone
        # In the environment, since all users can read the arguments of a process.
        env = children.environment(
            SCANNER_BROKER_URL=broker_url,
            SCANNER_STORE_URL=options.store_url,
        )
        argv = [sys.executable, "-m", "scanner", "worker", "--no-rescuer"]
        argv += ["--concurrency", str(options.concurrency)]
        # Not in SCANNER_ROOTS, because a path may contain its separator.
        argv += root_arguments(options.roots)
        self._argv, self._env = argv, env
        self._start()

    def _start(self) -> None:
        with self._log.open("wb") as log:
            self._process: subprocess.Popen[bytes] = children.start(
                self._argv, env=self._env, output=log
            )

    def check(self) -> None:
        """Raise WorkerExited if the worker is not running."""
        if event := self._end():
            raise WorkerExited(
                f"the worker {event}; run the same command again to resume; try a smaller "
                "--concurrency"
            )

    def restart_if_exited(self) -> str:
        """Start the worker again if it is not running; return how it ended, or an empty string."""
        event = self._end()
        if event:
            self._start()
        return event

    def _end(self) -> str:
        """Return how the worker ended; empty while it is running."""
        status = self._process.poll()
        if status is None:
            return ""
        lines = self._log.read_text(errors="replace").strip().splitlines()[-LOG_LINES_SHOWN:]
        return _describe_exit(status, lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop the worker gracefully, and remove its log.

        At the end of a scan all is in the store: Celery's warm shutdown, two to three seconds,
        would only tidy up a queue that ends, too.
        """
        is_over = kind is None and self._is_alone
        children.stop(self._process, 0.0 if is_over else GRACE_SECONDS)
        self._log.unlink(missing_ok=True)


def _describe_exit(status: int, lines: list[str]) -> str:
    """Return the end of a sentence; the log of a killed worker does not explain its end."""
    if status < 0:
        # The kernel usually sends SIGKILL when memory has run out.
        why = " (out of memory?)" if -status == signal.SIGKILL else ""
        return f"was killed by signal {-status}{why}"
    return "exited unexpectedly: " + (" / ".join(lines) or f"exit code {status}")


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
