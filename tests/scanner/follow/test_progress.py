"""The progress bar on a terminal, and the lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scanner.follow import progress
from scanner.follow.progress import Follower, ScanProgress, fit_figures
from storage.database.store import Store
from storage.errors import StoreUnavailable
from storage.reads.progress import Counts
from storage.records import Plan
from storage.writes import scans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = Counts(123_456_789, 1_234_567, 123_456, 10_000_000, 12, 5, 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a store with one scan that is being listed."""
    opened = Store.open(str(tmp_path / "store.db"))
    collection_id = scans.ensure_collection(opened, "photos", b"/photos")
    scans.new_scan(opened, collection_id, scans.ensure_plan(opened, Plan(())), "fleet")
    yield opened
    opened.close()


def show(store: Store, monkeypatch: pytest.MonkeyPatch, *, note: str = "", listed: bool) -> None:
    """Have a follower show two states of a scan of many images."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(progress, "POLL_SHARE", 1e9)
    scan = replace(scans.find_scan(store, 1), listed_at=1.0 if listed else None)
    earlier = replace(MANY, no_evidence=9_990_000)
    states = iter((ScanProgress(scan, earlier), ScanProgress(scan, MANY)))
    monkeypatch.setattr(progress, "read_progress", lambda *_: next(states))
    with Follower(store, 1, lambda: note) as follower:
        follower.update()
        time.sleep(0.01)
        follower.update()


def test_scan_that_does_not_go_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check is called once there was no new verdict for a while; what it raises ends the scan."""
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(progress, "POLL_SHARE", 1e9)
    calls: list[None] = []

    def full() -> None:
        calls.append(None)
        raise StoreUnavailable("the disk is full")

    with Follower(store, 1, on_stall=full) as follower:
        follower.update()
        assert [] == calls
        monkeypatch.setattr(progress, "RETRY_SECONDS", 0.0)
        time.sleep(0.01)
        with pytest.raises(StoreUnavailable):
            follower.follow()


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_bar_fits(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    """Counts have separators and are not cut off; a note is on its own line."""
    for name, value in {"COLUMNS": str(columns), "FORCE_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    note = "waiting: the store does not answer"
    show(store, monkeypatch, note=note, listed=True)
    printed = capsys.readouterr().err

    assert "11,358,035/123,456,789" in printed
    assert "…" not in printed
    assert any(line.strip().startswith("\x1b[33m" + note) for line in printed.splitlines())


def test_lines_off_a_terminal_do_not_wrap(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Off a terminal each state is one line of any length."""
    note = "waiting: " + "a long story " * 10
    show(store, monkeypatch, note=note, listed=False)
    lines = capsys.readouterr().err.splitlines()

    assert 2 == len(lines)
    assert lines[0].startswith("11,348,035 of 123,456,789 images, 1,234,567 AI, 123,456 unsure")
    assert all(note.strip() in line for line in lines)


def test_figures_that_fit() -> None:
    """A figure that does not fit is skipped, and a shorter one after it may be used."""
    assert "1/2 0:10 5/s" == fit_figures(12, ("1/2", "0:10", "1,234 AI", "", "5/s"))
    assert "1,000,000/2,000,000" == fit_figures(5, ("1,000,000/2,000,000", "0:10"))
