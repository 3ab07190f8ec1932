"""SupervisedProcess child processes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from scanner.processes import supervisor
from scanner.processes.supervisor import SupervisedProcess
from storage.database.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("module", ["result_writer", "rescuer"])
def test_killed_process_is_restarted(
    clean_redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """A killed process is restarted, and the new one ends with the context."""
    monkeypatch.setattr(supervisor, "PAUSE_SECONDS", 0.0)
    store_url = str(tmp_path / "store.db")
    Store.open(store_url).close()
    with SupervisedProcess("it", [f"scanner.fleet.{module}"], clean_redis, store_url) as child:
        first = child._process.pid
        child._process.kill()
        child._process.wait()
        deadline = time.monotonic() + 30
        while child._process.pid == first and time.monotonic() < deadline:
            child.restart_if_exited()
        alive = child._process.poll()

    assert alive is None
    assert child._process.pid != first
    assert child._process.poll() is not None
