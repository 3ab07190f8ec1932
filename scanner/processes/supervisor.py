"""A process beside this one that is started again whenever it ends: a recorder, a keeper."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from celery import bootsteps

from scanner.processes import children

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

# Seconds between two looks of a worker at the process beside it.
LOOK_SECONDS = 2.0
# Seconds until one that ended is started again.
PAUSE_SECONDS = 2.0
GRACE_SECONDS = 10.0


class Supervised:
    """One of our modules as a process, told a broker and a store; all from the main thread.

    `name` is what the log calls it. See `processes.start` for the thread.
    """

    def __init__(self, name: str, module: Sequence[str], broker_url: str, store_url: str) -> None:
        self._name = name
        self._argv = [sys.executable, "-m", *module]
        self._env = children.environment(SCANNER_BROKER_URL=broker_url, SCANNER_STORE_URL=store_url)
        self._process: subprocess.Popen[bytes]
        self._ended_at: float | None = None

    def look_after(self) -> None:
        """Start it again, after a pause, if it has ended."""
        status = self._process.poll()
        if status is None:
            return
        now = time.monotonic()
        if self._ended_at is None:
            log.warning("%s ended (%d) and is started again", self._name, status)
            self._ended_at = now
        elif now - self._ended_at >= PAUSE_SECONDS:
            self._start()

    def _start(self) -> None:
        self._ended_at = None
        self._process = children.start(self._argv, env=self._env)

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        children.stop(self._process, GRACE_SECONDS)


def look_step(look: Callable[[], object]) -> type[bootsteps.StartStopStep]:
    """The part of Celery's consumer that looks every two seconds, in the worker's main thread."""

    class LookStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        requires = ("celery.worker.consumer.tasks:Tasks",)
        timer: Any = None

        def start(self, consumer: Any) -> None:  # noqa: ANN401
            self.timer = consumer.timer.call_repeatedly(LOOK_SECONDS, look)

        def stop(self, _consumer: Any) -> None:  # noqa: ANN401
            if self.timer is not None:
                self.timer.cancel()

    return LookStep
