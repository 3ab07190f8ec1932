"""What a process has at hand, and what it says of its machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from storage.store import Store
from workers.settings import TENSORFLOW, WorkerSettings
from workers.station import Station
from workers.stopping import StopFlag

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path, clean_redis: str) -> WorkerSettings:
    """A worker of three processes with a store of its own."""
    url = f"sqlite:///{tmp_path}/store.db"
    store = Store.open(url, make=True)
    identity = store.identity
    store.close()
    return WorkerSettings(clean_redis, url, identity, tmp_path / "state", 3, "pi4")


@pytest.mark.parametrize("runtime", ["LiteRT", "TensorFlow"])
def test_what_is_recorded_of_its_machine(settings: WorkerSettings, runtime: str) -> None:
    """What runs its nets there, and in how many processes and threads."""
    if runtime == "TensorFlow":
        pytest.importorskip("tensorflow")
        settings = replace(settings, runtime=TENSORFLOW)
    station = Station(settings, "pi4:1", StopFlag())
    info = station.host.info
    station.close()

    assert info["runtime"].startswith(f"{runtime} ")
    assert (3, 1) == (info["processes"], info["threads"])
