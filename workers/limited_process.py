"""A child process with limited memory and time, which answers JSON requests one by one.

For work that may crash, hang or be hostile: judging one image by itself, running an unknown model,
measuring how fast this machine is. The child runs `python -m MODULE PARENT_PID`, whose `main`
connects to its parent by `ParentConnection`. It ends with its parent, and with the thread that
started it.
"""

from __future__ import annotations

import math
import os
import re
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from msgspec import json

from workers.parent_death import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

# Variables that a child gets: where programs, libraries, the user's own files and time zones are,
# and how many threads libraries start. Not the broker's URL, nor keys of object storage.
ENVIRONMENT = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|TZ|TMPDIR|VIRTUAL_ENV|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH"
    r"|(LC|XDG|PYTHON|OMP|OPENBLAS|MKL|TF|KERAS|CUDA|COVERAGE)_?[A-Z0-9_]*"
)

# The folder of the packages.
HOME = Path(__file__).resolve().parents[1]
# An answer has some kilobytes.
MAX_ANSWER_BYTES = 16 * 2**20
READ_BYTES = 65536
# What a pipe takes without waiting, whenever it takes anything (PIPE_BUF).
PIPE_BYTES = 4096
# Of a file in memory, such as what a library prints; a child writes no other.
MAX_FILE_BYTES = 2**20
# How much more CPU time a child has for a request than wall-clock time: its parent, unless it was
# killed, ends it before the kernel does.
SPARE_CPU_SECONDS = 5


class ProcessFailed(Exception):
    """The child died or gave no valid answer; the message says how."""


class ProcessTimedOut(ProcessFailed):
    """The child's time ran out."""


class LimitedProcess:
    """The parent's end: starts the child, sends requests and kills it in the end.

    With `keep_stderr`, errors quote the last line that the child wrote to stderr; otherwise its
    stderr is discarded. The child has the files `pass_fds` open as well.
    """

    def __init__(
        self, module: str, *, keep_stderr: bool = False, pass_fds: Sequence[int] = ()
    ) -> None:
        self._stderr = tempfile.TemporaryFile() if keep_stderr else None  # noqa: SIM115 - closed by `kill`
        # Not multiprocessing: a Celery process is a daemon and may have no children of that kind.
        self.popen = subprocess.Popen(  # noqa: S603 - a module of this project
            [sys.executable, "-m", module, str(os.getpid())],
            # Python imports from here first, not from a folder with images or models.
            cwd=HOME,
            pass_fds=pass_fds,
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if self._stderr is None else self._stderr,
        )

    def request(
        self, body: object, answer: type[T], timeout_seconds: float, payload: bytes = b""
    ) -> T:
        """Send a request, with bytes that the child asks for, and return its answer.

        Raises ProcessFailed.
        """
        deadline = time.monotonic() + timeout_seconds
        # A child that died may have answered first; otherwise reading says how it died.
        with suppress(BrokenPipeError):
            self.send(body, deadline, payload)
        try:
            return json.decode(self._receive(deadline), type=answer)
        except (RecursionError, ValueError) as error:
            raise ProcessFailed(f"invalid answer: {str(error)[:200]}") from error

    def send(self, body: object, deadline: float = math.inf, payload: bytes = b"") -> None:
        """Send a request, and bytes behind it, without waiting for an answer.

        Raises BrokenPipeError, and ProcessTimedOut where the child does not take it.
        """
        assert self.popen.stdin is not None  # noqa: S101 - it is a pipe
        pipe = self.popen.stdin.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_WRITE)
            for part in (json.encode(body) + b"\n", payload):
                left = memoryview(part)
                while left:
                    if not selector.select(_seconds_until(deadline)):
                        raise ProcessTimedOut("no request was taken in time")
                    left = left[os.write(pipe, left[:PIPE_BYTES]) :]

    def kill(self) -> None:
        """End the child."""
        self.popen.kill()
        self.popen.communicate()
        if self._stderr is not None:
            self._stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _receive(self, deadline: float) -> bytes:
        """Return one line."""
        assert self.popen.stdout is not None  # noqa: S101 - it is a pipe
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.popen.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(_seconds_until(deadline)):
                    raise ProcessTimedOut("no answer in time")
                chunk = os.read(self.popen.stdout.fileno(), READ_BYTES)
                line += chunk
                if not chunk:
                    raise self._failure(deadline)
                if len(line) > MAX_ANSWER_BYTES:
                    raise ProcessFailed(f"an answer of more than {MAX_ANSWER_BYTES:,} bytes")
        return line

    def _failure(self, deadline: float) -> ProcessFailed:
        """Return how the child died; it may also have closed its pipes and live on."""
        try:
            code = self.popen.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return ProcessTimedOut("the process closed its pipes")
        how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        if self._stderr is not None:
            self._stderr.seek(0)
            how = ": ".join((how, *self._stderr.read().decode(errors="replace").splitlines()[-1:]))
        return ProcessFailed(how)


def child_environment() -> dict[str, str]:
    """Return the variables of this process that a child may know."""
    known = {name: value for name, value in os.environ.items() if ENVIRONMENT.fullmatch(name)}
    # Threads that NumPy starts when it is imported would be there before a child is confined.
    return known | {"OPENBLAS_NUM_THREADS": "1"}


def _seconds_until(deadline: float) -> float | None:
    """Return the time that is left, at least 0; None where there is no end."""
    return None if deadline == math.inf else max(0.0, deadline - time.monotonic())


class ParentConnection:
    """The child's end: receives requests and answers them.

    Takes stdout for the answers; everything else that is written there goes to stderr.
    """

    def __init__(self) -> None:
        end_with_parent(int(sys.argv[1]), sys.stdin.fileno())
        self._requests = sys.stdin.buffer
        self._answers = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def receive(self, kind: type[T]) -> T | None:
        """Return the next request; None when the parent is gone."""
        line = self._requests.readline()
        return json.decode(line, type=kind) if line else None

    def payload(self, size_bytes: int) -> bytes:
        """Return the bytes behind the latest request."""
        return self._requests.read(size_bytes)

    def answer(self, body: object) -> None:
        """Answer the latest request."""
        self._answers.write(json.encode(body) + b"\n")
        self._answers.flush()


def limit_memory(size_bytes: int, file_bytes: int = MAX_FILE_BYTES) -> None:
    """Limit the address space of this process and its files, and have it leave no core file."""
    resource.setrlimit(resource.RLIMIT_AS, (size_bytes, size_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_cpu(seconds: float) -> None:
    """Have the kernel end this process if the next request takes longer than this.

    Native code in an endless loop runs no signal handler of Python's and does not notice that its
    parent is gone.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds) + SPARE_CPU_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
