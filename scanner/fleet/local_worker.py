"""The worker that `scan` starts, which ends when it does in any way.

Its imports take most of a short scan, so it is started before this process knows what it is to do,
and this module imports little.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from scanner.config import root_arguments
from scanner.processes import children
from storage.errors import ScannerError
from storage.private import make_private_folder, open_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from workers.sources.location import SourceLocation

# Seconds that a worker has for its current image and the commit after it.
GRACE_SECONDS = 30.0
LOG_LINES_SHOWN = 5


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
    """A Celery worker as a child process, which waits until it is told its broker.

    It is stopped at the end of the `with` block of `serving`, or else of its own.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self._log = options.state_dir / "logs" / f"worker-{os.getpid()}.log"
        self._is_alone = options.is_alone
        self._store_url = options.store_url
        self._broker_url: str | None = None
        argv = [sys.executable, "-m", "scanner.waiting_worker", "--no-rescuer"]
        argv += ["--concurrency", str(options.concurrency)]
        # Not in SCANNER_ROOTS, because a path may contain its separator.
        argv += root_arguments(options.roots)
        self._argv = argv
        self._start()

    def _start(self) -> None:
        # No log yet: whoever gives an invalid option gets a sentence, and no files.
        self._process: subprocess.Popen[bytes] = children.start(
            self._argv,
            env=children.environment(),
            stdin=subprocess.PIPE,
            output=subprocess.DEVNULL,
        )

    def _tell(self, broker_url: str) -> None:
        """Send the worker its log and the environment that it is to work in.

        All users can read the arguments of a process. The environment may have changed since the
        worker was started.
        """
        environment = children.environment(
            SCANNER_BROKER_URL=broker_url, SCANNER_STORE_URL=self._store_url
        )
        make_private_folder(self._log.parent)
        open_private(self._log, "wb").close()
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101 - it is a pipe
        # A worker that has exited is noticed by `check`.
        with contextlib.suppress(BrokenPipeError), pipe:
            pipe.write(json.dumps([os.fspath(self._log), environment]).encode())

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
        if event and self._broker_url is not None:
            self._start()
            self._tell(self._broker_url)
        return event

    def _end(self) -> str:
        """Return how the worker ended; empty while it is running."""
        status = self._process.poll()
        if status is None:
            return ""
        lines = self._log.read_text(errors="replace").strip().splitlines()[-LOG_LINES_SHOWN:]
        return _describe_exit(status, lines)

    @contextmanager
    def serving(self, broker_url: str) -> Iterator[None]:
        """Let the worker work for a broker; stop it gracefully at the end, and remove its log.

        At the end of a scan all is in the store: Celery's warm shutdown, two to three seconds,
        would only tidy up a queue that ends, too.
        """
        self._broker_url = broker_url
        grace_s = GRACE_SECONDS
        try:
            self._tell(broker_url)
            yield
            if self._is_alone:
                grace_s = 0.0
        finally:
            self._stop(grace_s)

    def _stop(self, grace_s: float) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        children.stop(self._process, grace_s)
        self._log.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._broker_url is None:
            self._stop(0.0)


def _describe_exit(status: int, lines: list[str]) -> str:
    """Return the end of a sentence; the log of a killed worker does not explain its end."""
    if status < 0:
        # The kernel usually sends SIGKILL when memory has run out.
        why = " (out of memory?)" if -status == signal.SIGKILL else ""
        return f"was killed by signal {-status}{why}"
    return "exited unexpectedly: " + (" / ".join(lines) or f"exit code {status}")
