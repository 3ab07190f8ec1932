"""Tests of the worker that `scan` starts before it knows what it is to do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from scanner.fleet.local_worker import LocalWorker, WorkerExited, WorkerOptions

if TYPE_CHECKING:
    from pathlib import Path

# What neither a worker nor a scan with an SQLite store needs before it has an image.
UNNEEDED = {"ai_edge_litert", "alembic", "pathspec", "psycopg", "starlette"}


@pytest.fixture
def worker(tmp_path: Path) -> LocalWorker:
    """Return a worker that waits."""
    started = LocalWorker(WorkerOptions(str(tmp_path / "store.db"), 1, tmp_path, roots={}))
    while not waiting():
        time.sleep(0.01)  # its process was forked, and does not show its command yet
    return started


def waiting() -> list[psutil.Process]:
    """Return the workers of this process that wait."""
    children = psutil.Process().children()
    return [child for child in children if "scanner.waiting_worker" in child.cmdline()]


def test_no_work(worker: LocalWorker, tmp_path: Path) -> None:
    """A worker that is told no broker, since listing failed, is gone and leaves no file."""
    with worker:
        before = waiting()

    assert 1 == len(before)
    assert [] == waiting()
    assert [] == list(tmp_path.iterdir())


def test_killed_while_it_waits(worker: LocalWorker) -> None:
    """A worker that is killed before it is told its broker is reported as one killed later."""
    (process,) = waiting()
    process.kill()
    # Its status is left to the worker.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    with (
        worker,
        worker.serving("redis://127.0.0.1:1/0"),
        pytest.raises(WorkerExited, match="was killed by signal 9"),
    ):
        worker.check()


def test_nothing_to_do() -> None:
    """A worker whose parent ends without a word ends without a word."""
    done = subprocess.run(
        [sys.executable, "-m", "scanner.waiting_worker", "--no-rescuer"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )

    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("modules", "too"),
    [
        (
            "*__import__('scanner.commands.scan').commands.scan._MODULES",
            {"numpy", "scanner.report.figures.build"},
        ),
        ("'scanner.commands.worker', 'scanner.fleet.worker'", {"rich"}),
    ],
)
def test_what_is_not_imported(modules: str, too: set[str]) -> None:
    """Neither `scan` nor its worker imports what most of their time would be spent on."""
    script = f"""
import sys
from scanner.processes.imports import import_all
import_all({modules})
assert "celery" in sys.modules
print(*sorted({UNNEEDED | too!r} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "\n" == done.stdout
