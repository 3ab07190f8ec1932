"""What becomes of a scan: running, waiting, paused, interrupted or over."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scanner.config import state_dir
from scanner.follow.phase import IDLE_SECONDS, Phases, lock_of, phases_of
from scanner.follow.queue_state import QueueState
from scanner.processes.lock import AlreadyRunning, is_locked, lock_scan, mark_paused
from scanner.report.figures.phase import Phase
from scanner.report.figures.redact import REDACTED
from scanner.report.text.next_step import next_step
from storage.database.store import Store
from storage.records import ListedImage, Plan
from storage.writes import listing, results, scans
from workers.broker.heartbeat import WorkerState
from workers.host.identity import this_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.writes.scans import Scan

WORKS = WorkerState("pi:1", "pi", 1, 7, 0.0, "")
IDLE = WorkerState("pi:1", "pi", 0, 0, 0.0, "")
RESTS = WorkerState("pi:1", "pi", 0, 0, 0.0, "paused; resume with `scanner unpause`")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a store with a scan of a fleet, and one of this machine."""
    opened = Store.open(str(tmp_path / "store.db"))
    plan = scans.ensure_plan(opened, Plan(()))
    for name, owner in (("fleet", "fleet"), ("own", "token")):
        collection = scans.ensure_collection(opened, name, b"/my photos/" + name.encode())
        scans.new_scan(opened, collection, plan, owner)
    yield opened
    opened.close()


def judge(store: Store, scan: Scan, host_id: str, seconds_ago: float) -> None:
    """Let a host begin a batch, and commit to it so long ago."""
    results.record_host(store, results.Host(host_id, host_id, "aarch64", {}))
    batch = listing.add_batch(store, scan, [ListedImage(b"a.jpg", 1, 1)], None)
    assert batch is not None
    assert results.begin_run(store, batch.batch_id, 1, (host_id, "w")) is not None
    with store.write() as connection:
        at = time.time() - seconds_ago
        connection.exec_driver_sql(f"UPDATE run SET started_at = {at} - 1, ended_at = {at}")


@pytest.mark.parametrize(
    ("workers", "seconds_ago", "phase"),
    [
        (None, 1.0, Phase.RUNNING),
        (None, IDLE_SECONDS + 9, Phase.WAITING),
        ((), 1.0, Phase.WAITING),
        ((WORKS,), IDLE_SECONDS + 9, Phase.RUNNING),
        ((IDLE,), 1.0, Phase.RUNNING),
        ((IDLE,), IDLE_SECONDS + 9, Phase.WAITING),
        ((RESTS,), 1.0, Phase.PAUSED),
        ((RESTS, WORKS), 1.0, Phase.RUNNING),
        ((WorkerState("pi:1", "pi", 9, 7, 0.0, ""),), 99.0, Phase.WAITING),
    ],
)
def test_scan_of_a_fleet(
    store: Store, workers: tuple[WorkerState, ...] | None, seconds_ago: float, phase: Phase
) -> None:
    """Its workers' heartbeats tell; without a broker, the latest verdicts do."""
    scan = scans.find_scan(store, 1)
    judge(store, scan, "pi", seconds_ago)
    queue = None if workers is None else QueueState(3, workers)

    assert Phases(store, lambda: queue).of(scan) is phase


def test_scan_of_this_machine(store: Store) -> None:
    """While a process holds the lock it runs; then it is interrupted, or paused."""
    scan = scans.find_scan(store, 2)
    file = lock_of(store, scan)
    judge(store, scan, this_host(state_dir(), "here").host_id, 1.0)
    told = [phase(store)]
    for pauses in (False, True, False):
        with lock_scan(file, scan.root):
            told.append(phase(store))
            with pytest.raises(AlreadyRunning, match="my photos/own is running already"):
                lock_scan(file, scan.root).__enter__()
            if pauses:
                mark_paused(file)
        told.append(phase(store))

    stopped, paused = ["running", "interrupted"], ["running", "paused"]
    assert ["interrupted", *stopped, *paused, *stopped] == told


def test_scan_of_another_machine(store: Store) -> None:
    """Another machine's lock is not seen, but its verdicts are."""
    scan = scans.find_scan(store, 2)
    before = phase(store)
    judge(store, scan, "another", 1.0)

    assert ("interrupted", "running") == (before, phase(store))


def phase(store: Store) -> Phase:
    """Return the phase of the machine's scan."""
    return phases_of(store, "redis://127.0.0.1:1").of(scans.find_scan(store, 2))


def test_asking_does_not_keep_a_scan_from_starting(store: Store) -> None:
    """Whoever asks holds the lock for a moment only, and the file need not exist."""
    file = lock_of(store, scans.find_scan(store, 2))
    before = is_locked(file)
    with lock_scan(file, b"/photos"):
        during = is_locked(file)

    assert (False, True, False) == (before, during, is_locked(file))


def test_scan_that_is_over_asks_nobody(store: Store) -> None:
    """The store alone tells that a scan is over."""

    def asked() -> None:
        pytest.fail("the broker was asked")

    scans.cancel(store, 1)
    cancelled = scans.find_scan(store, 1)

    assert Phase.CANCELLED is Phases(store, asked).of(cancelled)
    assert Phase.FINISHED is Phases(store, asked).of(replace(cancelled, finished_at=1.0))


def test_each_phase_has_the_next_command(store: Store) -> None:
    """It is named where one helps; a redacted report names no folder."""
    fleet, own = scans.find_scan(store, 1), scans.find_scan(store, 2)
    listed = replace(fleet, listed_at=1.0)
    again = "to go on: `scanner scan '/my photos/own'`, with the same options"

    assert "to follow it: `scanner status 2 --watch`" == next_step(own, Phase.RUNNING)
    assert again == next_step(own, Phase.INTERRUPTED) == next_step(own, Phase.PAUSED)
    assert "scanner scan FOLDER`" in str(
        next_step(replace(own, root=REDACTED.encode()), Phase.INTERRUPTED)
    )
    assert "`scanner enqueue '/my photos/fleet'`" in str(next_step(fleet, Phase.WAITING))
    assert "to start a worker: `scanner worker`" == next_step(listed, Phase.WAITING)
    assert "`scanner unpause HOST`" in str(next_step(listed, Phase.PAUSED))
    assert "to go on: `scanner resume 1`" == next_step(listed, Phase.CANCELLED)
    assert next_step(own, Phase.FINISHED) is next_step(fleet, Phase.FINISHED) is None
