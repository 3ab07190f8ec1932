"""Scans that were started from the pages: each is `scanner scan`, or `enqueue`, as a child process.

One at a time: two scans would share the same cores. A child ends with this process; the store has
what it had judged, and the next run continues there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Self

from scanner.exits import DONE, INCOMPLETE, UNAVAILABLE
from scanner.language import gettext
from scanner.processes import children
from scanner.report.text.tables import safe
from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Seconds that a scan has to commit the images at work when it is stopped.
GRACE_SECONDS = 40.0
# Characters of a message that are kept.
MAX_MESSAGE = 1_000
# A line of the child's events; longer ones are read in parts.
MAX_LINE = 2**20


class Busy(ScannerError):
    """Another scan that was started from the pages is running; its number, where it is known."""

    def __init__(self, message: str, scan_id: int | None) -> None:
        super().__init__(message)
        self.scan_id = scan_id


class Run:
    """A running or ended child process that scans."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.scan_id: int | None = None
        self.is_paused = False
        self._process = process
        self._message = ""
        self._known = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    @property
    def is_running(self) -> bool:
        """Return whether the process runs."""
        return self._process.poll() is None

    def wait_until_known(self, seconds: float) -> None:
        """Wait until the scan's number is known or the process has ended, `seconds` at most."""
        self._known.wait(seconds)

    def pause(self) -> None:
        """Let the scan end after the images at work; a further run continues it."""
        self.is_paused = True
        self._process.terminate()

    def stop(self) -> None:
        """End the process, by force if it takes too long."""
        children.stop(self._process, GRACE_SECONDS)

    def trouble(self) -> str:
        """Return why the process failed, in a sentence; empty if it runs, or did not fail."""
        status = self._process.poll()
        if status is None or status in (DONE, INCOMPLETE) or self.is_paused:
            return ""
        if status < 0:
            return gettext(
                "The process of the scan was killed (signal {number}); what was judged is stored."
            ).format(number=-status)
        if status == UNAVAILABLE or not self._message:
            # Not its message: it contains the store's address.
            return gettext("The scan could not go on: see the output of `scanner serve`.")
        return self._message

    def _follow(self) -> None:
        """Read what the child says until it ends: events as JSON, and messages for people."""
        output = self._process.stdout
        if output is None:
            raise TypeError("the child has no output")
        with output:
            for line in iter(partial(output.readline, MAX_LINE), b""):
                if line.startswith(b"{"):
                    self._note_event(line)
                elif text := line.decode(errors="replace").strip():
                    self._message = safe(text.removeprefix("Error: "))[:MAX_MESSAGE]
                    print(text, file=sys.stderr, flush=True)  # noqa: T201 - as the child would
        self._process.wait()
        self._known.set()

    def _note_event(self, line: bytes) -> None:
        try:
            number = json.loads(line).get("scan")
        except ValueError:
            return  # a part of a long line
        if isinstance(number, int):
            self.scan_id = number
            self._known.set()


class Runs:
    """Start scans as child processes, one at a time, and keep what became of each."""

    def __init__(
        self, settings: Mapping[str, str] | None = None, *, has_fleet: bool = False
    ) -> None:
        """Take environment variables for the children; with a fleet, scans are enqueued for it."""
        self._settings = settings
        self._has_fleet = has_fleet
        self._lock = threading.Lock()
        self._runs: list[Run] = []
        # Children end with the thread that starts them.
        self._starter = ThreadPoolExecutor(1)

    @property
    def can_start(self) -> bool:
        """Return whether scans can be started here."""
        return self._settings is not None

    def start(self, arguments: Sequence[str], *, resume: int | None = None) -> Run:
        """Start a scan with the arguments of `scanner scan`. Raise Busy while another one runs.

        With `resume` publish the unfinished batches of that scan of the fleet instead.
        """
        command = ["enqueue" if self._has_fleet else "scan", *arguments, "--json-lines"]
        if resume is not None:
            command = ["resume", str(resume)]
        with self._lock:
            if (busy := next((run for run in self._runs if run.is_running), None)) is not None:
                text = gettext("A scan is running already: wait until it ends, or pause it.")
                raise Busy(text, busy.scan_id)
            run = Run(self._starter.submit(self._start, command).result())
            run.scan_id = resume
            self._runs = [*self._runs[-99:], run]
        return run

    def of(self, scan_id: int) -> Run | None:
        """Return the latest run of a scan."""
        of_scan = (run for run in reversed(self._runs) if run.scan_id == scan_id)
        return next(of_scan, None)

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        env = children.environment(**(self._settings or {}))
        if not self._has_fleet:
            env.pop("SCANNER_BROKER_URL", None)
        argv = [sys.executable, "-m", "scanner", *command]
        return children.start(argv, env=env, output=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs:
            if run.is_running:
                run.stop()
        self._starter.shutdown()
