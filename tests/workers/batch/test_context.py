"""The worker context of a process: its machine and its loaded pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.database.store import Store
from storage.records import Plan, PlannedDetector, Thresholds
from workers.batch.context import WorkerContext
from workers.batch.stopping import StopFlag
from workers.detectors import installed
from workers.settings import WorkerSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path, clean_redis: str) -> WorkerSettings:
    """Return the settings of a worker with three processes and its own store."""
    url = f"sqlite:///{tmp_path}/store.db"
    store = Store.open(url, make=True)
    identity = store.identity
    store.close()
    return WorkerSettings(clean_redis, url, identity, tmp_path / "state", 3, "pi4")


def test_host_facts(settings: WorkerSettings) -> None:
    """The host has its model runtime and the numbers of processes and threads."""
    context = WorkerContext(settings, "pi4:1", StopFlag())
    info = context.host.info
    context.close()

    assert info["runtime"].startswith("LiteRT ")
    assert (3, 1) == (info["processes"], info["threads"])


def test_two_pipelines_stay_loaded(settings: WorkerSettings) -> None:
    """Only the pipelines of the two plans that were used last stay loaded."""
    card = installed.installed()["provenance"]
    plans = [
        Plan((PlannedDetector(card.name, card.version, card.sha256, Thresholds(0.5, ai)),))
        for ai in (0.7, 0.8, 0.9)
    ]
    context = WorkerContext(settings, "pi4:1", StopFlag())
    first, second = context.pipeline(plans[0]), context.pipeline(plans[1])
    again = context.pipeline(plans[0])
    context.pipeline(plans[2])

    assert first is again
    assert first is context.pipeline(plans[0])
    assert second is not context.pipeline(plans[1])
    context.close()
