"""Events of a scan as JSON lines (`--json-lines`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scanner.follow.events import Events
from scanner.follow.progress import read_progress
from storage.database.store import Store
from storage.records import ErrorKind, ImageError, ListedImage, Outcome, Plan, Timings, Verdict
from storage.writes import listing, results, scans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a store with a scan of three images, two of them with errors."""
    opened = Store.open(str(tmp_path / "store.db"))
    results.record_host(opened, results.Host("h1", "pi", "aarch64", {}))
    collection_id = scans.ensure_collection(opened, "photos", b"/photos")
    scan = scans.new_scan(opened, collection_id, scans.ensure_plan(opened, Plan(())), "fleet")
    listed = [ListedImage(path, 10, 1) for path in (b"1.jpg", b"\xff.jpg", b"3.jpg")]
    batch = listing.add_batch(opened, scan, listed, None)
    assert batch is not None
    run = results.begin_run(opened, batch.batch_id, 1, ("h1", "w"))
    assert run is not None
    error = ImageError(ErrorKind.EMPTY, "no bytes")
    failed = [
        Verdict(image.image_id, Outcome.ERROR, None, None, False, (), error, None, Timings())
        for image in batch.images[:2]
    ]
    results.record_verdicts(opened, run[0], failed)
    yield opened
    opened.close()


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines printed since the last call."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_errors_are_printed_once(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Each image with an error is printed once, with its exact path."""
    events = Events(store, 1)
    events.show(read_progress(store, 1), 0)
    first = printed(capsys)
    events.show(read_progress(store, 1), 0)

    assert [line["event"] for line in first] == ["error", "error", "status"]
    assert first[0] == {
        "event": "error",
        "scan": 1,
        "path": "1.jpg",
        "error": "empty",
        "error_text": "no bytes",
    }
    assert first[1]["path_b64"] == "/y5qcGc="
    assert printed(capsys) == []


def test_seconds_remaining(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """The remaining time is known once all is listed and the rate is known."""
    Events(store, 1).show(read_progress(store, 1), 2.0)
    scans.mark_listed(store, 1, {}, 0)
    Events(store, 1).show(read_progress(store, 1), 2.0)
    Events(store, 1).show(read_progress(store, 1), 0.0)
    status = [line for line in printed(capsys) if line["event"] == "status"]

    assert [line["seconds_remaining"] for line in status] == [None, 0.5, None]
    assert [line["error_count"] for line in status] == [2, 2, 2]
    assert status[0]["verdicts"]["pending"] == 1


def test_summary(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line has the whole report, and no remaining time if the scan is over."""
    events = Events(store, 1)
    events.summary({"scan": 1, "state": "finished", "images": 3}, 2)
    events.summary({"scan": 1, "state": "unfinished"}, 2)
    finished, unfinished = printed(capsys)

    assert finished == {
        "event": "summary",
        "scan": 1,
        "state": "finished",
        "images": 3,
        "seconds_remaining": 0.0,
        "error_count": 2,
    }
    assert unfinished["seconds_remaining"] is None
