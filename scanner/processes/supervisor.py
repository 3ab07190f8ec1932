"""Keep a child process running: a result writer, a rescuer."""

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

# Seconds between a worker's checks of its child process.
CHECK_SECONDS = 2.0
# Seconds until a process that exited is restarted.
PAUSE_SECONDS = 2.0
GRACE_SECONDS = 10.0


class SupervisedProcess:
    """One of our modules, run with a broker and a store as a child process that is restarted.

    `name` is used in log lines. Call all methods from the main thread (see `children.start`).
    """

    def __init__(self, name: str, module: Sequence[str], broker_url: str, store_url: str) -> None:
        self._name = name
        self._argv = [sys.executable, "-m", *module]
        self._env = children.environment(SCANNER_BROKER_URL=broker_url, SCANNER_STORE_URL=store_url)
        self._process: subprocess.Popen[bytes]
        self._exited_at: float | None = None

    def restart_if_exited(self) -> None:
        """Restart the process, after a pause, if it has exited."""
        status = self._process.poll()
        if status is None:
            return
        now = time.monotonic()
        if self._exited_at is None:
            log.warning("%s exited (%d) and will be restarted", self._name, status)
            self._exited_at = now
        elif now - self._exited_at >= PAUSE_SECONDS:
            self._start()

    def kill(self) -> None:
        """Kill the process, without waiting for its end."""
        self._process.kill()

    def _start(self) -> None:
        self._exited_at = None
        self._process = children.start(self._argv, env=self._env)

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        children.stop(self._process, GRACE_SECONDS)


def periodic_step(step_name: str, function: Callable[[], object]) -> type[bootsteps.StartStopStep]:
    """Return a step of Celery's consumer that calls a function every CHECK_SECONDS.

    The function runs in the worker's main thread. Of two steps of one name Celery keeps one.
    """

    class PeriodicStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        name = step_name
        requires = ("celery.worker.consumer.tasks:Tasks",)
        timer: Any = None

        def start(self, consumer: Any) -> None:  # noqa: ANN401
            self.timer = consumer.timer.call_repeatedly(CHECK_SECONDS, function)

        def stop(self, _consumer: Any) -> None:  # noqa: ANN401
            if self.timer is not None:
                self.timer.cancel()

    return PeriodicStep
