"""Processes beside this one: started again when they end, ended with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from scanner.processes import supervisor
from scanner.processes.supervisor import Supervised
from storage.database.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("module", ["result_writer", "rescuer"])
def test_started_again(
    clean_redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """One that was killed is replaced, and its successor ends with the context."""
    monkeypatch.setattr(supervisor, "PAUSE_SECONDS", 0.0)
    store_url = str(tmp_path / "store.db")
    Store.open(store_url).close()
    with Supervised("it", [f"scanner.fleet.{module}"], clean_redis, store_url) as running:
        first = running._process.pid
        running._process.kill()
        running._process.wait()
        until = time.monotonic() + 30
        while running._process.pid == first and time.monotonic() < until:
            running.look_after()
        alive = running._process.poll()

    assert alive is None
    assert running._process.pid != first
    assert running._process.poll() is not None
