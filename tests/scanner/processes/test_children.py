"""Starting and stopping programs of our own."""

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
    """Start Python on `code`, its output on a pipe."""
    return children.start([sys.executable, "-c", code], output=subprocess.PIPE)


def first_line(process: subprocess.Popen[bytes]) -> str:
    """What it says first; it is up then."""
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def test_a_started_program_sees_its_own_arguments_and_environment() -> None:
    """What is started is the program itself, with its environment."""
    code = "import os, sys; print(sys.argv[1:], os.environ['WORD'], os.getpid())"
    with children.start(
        [sys.executable, "-c", code, "a b"], env={"WORD": "yes"}, output=subprocess.PIPE
    ) as process:
        said = first_line(process)

    assert f"['a b'] yes {process.pid}" == said
    assert 0 == process.returncode


def test_a_program_that_cannot_be_started_says_so(tmp_path: Path) -> None:
    """A missing program gives one sentence and exit status 1."""
    with children.start([str(tmp_path / "none")], output=subprocess.PIPE) as process:
        said = first_line(process)

    assert f"cannot start {tmp_path}/none: No such file or directory" == said
    assert 1 == process.returncode


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import time; print('on', flush=True); time.sleep(60)", -signal.SIGTERM),
        (IGNORE_SIGTERM, -signal.SIGKILL),
    ],
)
def test_stop_asks_first_and_then_insists(code: str, status: int) -> None:
    """SIGTERM ends a program that listens, SIGKILL one that does not."""
    with python(code) as process:
        first_line(process)
        stopped = children.stop(process, grace_s=1.0)

    assert status == stopped


def test_stop_leaves_no_children() -> None:
    """A child that outlives its parent is ended too."""
    with python(LEAVE_A_CHILD) as process:
        first_line(process)
        children.stop(process, grace_s=5.0)
        # Ends when nobody holds the pipe any more; the child would for a minute.
        rest, _ = process.communicate(timeout=30)

    assert b"" == rest


def test_stop_of_a_program_that_has_ended_is_no_error() -> None:
    """Its exit status is given all the same."""
    with python("raise SystemExit(7)") as process:
        process.wait()
        stopped = children.stop(process, grace_s=1.0)

    assert 7 == stopped
