"""Start and stop child processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scanner.processes import children

if TYPE_CHECKING:
    from pathlib import Path

IGNORE_SIGTERM = (
    "import signal, time; signal.signal(15, 1); print('on', flush=True); time.sleep(60)"
)
LEAVE_A_CHILD = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
time.sleep(60)
"""


def python(code: str) -> subprocess.Popen[bytes]:
    """Start Python with some code and its output on a pipe."""
    return children.start([sys.executable, "-c", code], output=subprocess.PIPE)


def first_line(process: subprocess.Popen[bytes]) -> str:
    """Return the first line of output, after which the process is running."""
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def test_program_gets_its_arguments_and_environment() -> None:
    """The child process is the program itself, with its arguments and environment."""
    code = "import os, sys; print(sys.argv[1:], os.environ['WORD'], os.getpid())"
    with children.start(
        [sys.executable, "-c", code, "a b"], env={"WORD": "yes"}, output=subprocess.PIPE
    ) as process:
        line = first_line(process)

    assert f"['a b'] yes {process.pid}" == line
    assert 0 == process.returncode


def test_missing_program(tmp_path: Path) -> None:
    """A program that cannot be started gives one sentence and exit status 1."""
    with children.start([str(tmp_path / "none")], output=subprocess.PIPE) as process:
        line = first_line(process)

    assert f"cannot start {tmp_path}/none: No such file or directory" == line
    assert 1 == process.returncode


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import time; print('on', flush=True); time.sleep(60)", -signal.SIGTERM),
        (IGNORE_SIGTERM, -signal.SIGKILL),
    ],
)
def test_stop_terminates_then_kills(code: str, status: int) -> None:
    """A program that ignores SIGTERM gets SIGKILL."""
    with python(code) as process:
        first_line(process)
        stopped = children.stop(process, grace_s=1.0)

    assert status == stopped


def test_stop_leaves_no_children() -> None:
    """A child of the stopped process is ended too."""
    with python(LEAVE_A_CHILD) as process:
        first_line(process)
        children.stop(process, grace_s=5.0)
        # Returns when the pipe is closed, which the child would keep open for a minute.
        rest, _ = process.communicate(timeout=30)

    assert b"" == rest


def test_stop_of_an_exited_program() -> None:
    """Stopping a program that has exited returns its exit status."""
    with python("raise SystemExit(7)") as process:
        process.wait()
        stopped = children.stop(process, grace_s=1.0)

    assert 7 == stopped
