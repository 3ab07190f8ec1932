"""Children end with their parent, whatever they are doing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from workers import limited_process

if TYPE_CHECKING:
    from pathlib import Path

# Asleep in native code that holds the interpreter, so that no thread of Python's runs.
CHILD = """
import ctypes
from workers.limited_process import ParentConnection

parent = ParentConnection()
parent.answer("started")
ctypes.PyDLL(None).sleep(600)
"""
PARENT = """
import time
from workers.limited_process import LimitedProcess

process = LimitedProcess("a_child")
process.request("begin", str, 30.0)
print(process.popen.pid, flush=True)
time.sleep(600)
"""


def end_of(pid: int) -> bool:
    """Wait until a process has ended; return False if it has not after half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends such a child")
def test_child_of_a_killed_parent(tmp_path: Path) -> None:
    """A child that sleeps in native code ends when its parent is killed."""
    (tmp_path / "a_child.py").write_text(CHILD)
    paths = os.pathsep.join([str(tmp_path), str(limited_process.HOME)])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        # By now it sleeps.
        time.sleep(1)
        assert psutil.Process(child).status() != psutil.STATUS_ZOMBIE
        parent.kill()

        assert end_of(child)


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "open"])
def test_hangup(*, is_closed: bool) -> None:
    """Where the kernel has no signal for it, a child ends when its pipe is closed, not before."""
    code = (
        "import time; from workers.parent_death import exit_at_hangup; exit_at_hangup(0); "
        "print('ready', flush=True); time.sleep(1); print('awake'); time.sleep(600 * {})"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code.format(int(is_closed))],
        env=os.environ | {"PYTHONPATH": str(limited_process.HOME)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert "ready\n" == child.stdout.readline()
        if is_closed:
            child.stdin.close()

        assert (1 if is_closed else 0) == child.wait(30)
