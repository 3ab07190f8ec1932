"""The bar on a terminal and the lines elsewhere: nothing is cut off, nothing wraps."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scanner.follow import progress
from scanner.follow.progress import Follower, Look, fitting
from storage.database.store import Store
from storage.reads.queries import Counts
from storage.records import Plan
from storage.writes import scans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = Counts(123_456_789, 1_234_567, 123_456, 10_000_000, 12, 5, 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with one scan, which is being listed."""
    opened = Store.open(str(tmp_path / "store.db"))
    collection_id = scans.collection_id(opened, "photos", b"/photos")
    scans.new_scan(opened, collection_id, scans.ensure_plan(opened, Plan(())), "fleet")
    yield opened
    opened.close()


def shown(store: Store, monkeypatch: pytest.MonkeyPatch, *, note: str = "", listed: bool) -> None:
    """Have a follower show two looks at a scan of many images."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LOOK_SHARE", 1e9)
    scan = replace(scans.find_scan(store, 1), listed_at=1.0 if listed else None)
    looks = iter((Look(scan, replace(MANY, no_evidence=9_990_000)), Look(scan, MANY)))
    monkeypatch.setattr(progress, "look", lambda *_: next(looks))
    with Follower(store, 1, lambda: note) as follower:
        follower.update()
        time.sleep(0.01)
        follower.update()


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_bar_fits(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    """Counts have separators and are whole; a note is a line of its own."""
    for name, value in {"COLUMNS": str(columns), "FORCE_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    note = "waiting: the store does not answer"
    shown(store, monkeypatch, note=note, listed=True)
    said = capsys.readouterr().err

    assert "11,358,035/123,456,789" in said
    assert "…" not in said
    assert any(line.strip().startswith("\x1b[33m" + note) for line in said.splitlines())


def test_lines_elsewhere_do_not_wrap(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Off a terminal each look is one line, however long."""
    note = "waiting: " + "a long story " * 10
    shown(store, monkeypatch, note=note, listed=False)
    lines = capsys.readouterr().err.splitlines()

    assert 2 == len(lines)
    assert lines[0].startswith("11,348,035 of 123,456,789 images, 1,234,567 AI, 123,456 unsure")
    assert all(note.strip() in line for line in lines)


def test_fitting() -> None:
    """What does not fit is left out, a shorter figure behind it may still come."""
    assert "1/2 0:10 5/s" == fitting(12, ("1/2", "0:10", "1,234 AI", "", "5/s"))
    assert "1,000,000/2,000,000" == fitting(5, ("1,000,000/2,000,000", "0:10"))
