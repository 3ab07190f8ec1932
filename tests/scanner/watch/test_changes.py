"""Which folders are looked at after changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Never

import pytest
import watchfiles
from watchfiles import Change

from scanner.watch.changes import Changes, NotTold

if TYPE_CHECKING:
    from pathlib import Path

LONG = 1000.0


def test_all_at_first_and_then_what_changed(tmp_path: Path) -> None:
    """At first everything is looked at; then the folders of changed files, new ones wholly."""
    (tmp_path / "new").mkdir()
    changes = Changes(tmp_path, 0.0, poll=LONG)
    first = changes.due()
    changes.looked(first, time.monotonic(), ())
    nothing = changes.due()
    changes.add({(Change.modified, f"{tmp_path}/a/b/1.jpg"), (Change.added, f"{tmp_path}/new")})

    assert {b"": True} == first
    assert {} == nothing
    assert {b"a/b/": False, b"new/": True, b"": False} == changes.due()


def test_folder_stays_until_it_is_still(tmp_path: Path) -> None:
    """A folder is looked at again while files in it may change, and while some wait."""
    changes = Changes(tmp_path, LONG, poll=LONG)
    changes.looked(changes.due(), time.monotonic(), ())
    changes.add({(Change.added, f"{tmp_path}/a/1.jpg")})
    changes.looked(changes.due(), time.monotonic(), ())
    still_due = changes.due()
    changes.looked(still_due, time.monotonic() + LONG, {b"b/"})
    waiting = changes.due()
    changes.looked(waiting, time.monotonic() + 3 * LONG, ())

    assert {b"a/": False} == still_due
    assert {b"b/": False} == waiting
    assert {} == changes.due()


def test_what_the_system_tells(tmp_path: Path) -> None:
    """A real change is told, of a file in a folder that was made after the start."""
    with Changes(tmp_path, LONG, poll=None) as changes:
        wait_for(changes, b"")
        changes.looked({b""}, time.monotonic(), ())
        (tmp_path / "late").mkdir()
        wait_for(changes, b"late/")
        (tmp_path / "late" / "later").mkdir()
        wait_for(changes, b"late/later/")


def wait_for(changes: Changes, folder: bytes) -> None:
    """Wait until a folder is due."""
    end = time.monotonic() + 60
    while folder not in changes.due():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system refuses to tell, that is an error with its reason, for polling instead."""

    def refuse(*_: object, **__: object) -> Never:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watchfiles, "watch", refuse)
    with (
        Changes(tmp_path, LONG, poll=None) as changes,
        pytest.raises(NotTold, match=r"does not tell of changes \(OS file watch limit reached\)"),
    ):
        wait_for(changes, b"")
