"""Which scan a request comes to, and what is published of it again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from celery import Celery

from scanner.fleet.producer import Request, open_scan, publish_undone
from scanner.listing.walk import WalkOptions
from storage.database.schema import scan
from storage.database.store import Store
from storage.errors import NotFound
from storage.records import (
    ListedImage,
    Outcome,
    Plan,
    PlannedDetector,
    Thresholds,
    Timings,
    Verdict,
)
from storage.writes import listing, results, scans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = Plan((PlannedDetector("grey", "1", "0" * 64, Thresholds(0.5, 0.9)),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Open an empty store."""
    with_schema = Store.open(str(tmp_path / "store.db"))
    yield with_schema
    with_schema.close()


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    """Return a request to scan a folder, with default options."""
    return Request(tmp_path, "photos", Plan(()), "fleet")


def finish(store: Store, scan_id: int) -> None:
    """Say that a scan's walk is over and everything judged."""
    scans.mark_listed(store, scan_id, {}, 0)


def test_first_scan_keeps_nothing(store: Store, request_: Request) -> None:
    """Where there is no scan, one is begun that has none to keep verdicts of."""
    opened = open_scan(store, request_)

    assert not opened.resumed
    assert opened.scan.keep_from is None


def test_finished_scan_is_kept_by_the_next(store: Store, request_: Request) -> None:
    """A new scan keeps the verdicts of the finished one, and still does when it is resumed."""
    first = open_scan(store, request_).scan
    finish(store, first.scan_id)
    second = open_scan(store, request_)
    again = open_scan(store, replace(request_, owner="mine"))

    assert (second.resumed, second.scan.keep_from) == (False, first.scan_id)
    assert again.resumed
    assert again.scan == replace(second.scan, owner="mine")


def test_overtaken(store: Store, request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan that somebody else begins just before is gone on with; no second one is begun."""
    look, rivals = scans.list_scans, []

    def look_and_be_overtaken(store: Store, collection_id: int | None = None) -> list[scans.Scan]:
        found = look(store, collection_id)
        monkeypatch.setattr(scans, "list_scans", look)
        rivals.append(open_scan(store, request_))
        return found

    monkeypatch.setattr(scans, "list_scans", look_and_be_overtaken)
    ours = open_scan(store, request_)

    assert [False] == [rival.resumed for rival in rivals]
    assert (rivals[0].scan, True) == (ours.scan, ours.resumed)


def test_begun_by_many_at_once(store_url: str, request_: Request) -> None:
    """Of many that begin a scan at once one does, on each kind of store."""
    opened = Store.unchecked(store_url)
    opened.upgrade()
    with ThreadPoolExecutor(4) as pool:
        begun = list(pool.map(lambda _: open_scan(opened, request_), range(4)))
    opened.close()

    assert 1 == len({one.scan.scan_id for one in begun})
    assert [False, True, True, True] == sorted(one.resumed for one in begun)


def test_interrupted_rescan_goes_on(store: Store, request_: Request) -> None:
    """An interrupted `--rescan` is gone on with, asked for again or not, and keeps nothing."""
    finish(store, open_scan(store, request_).scan.scan_id)
    rescan = open_scan(store, replace(request_, rescan=True))
    asked_again = open_scan(store, replace(request_, rescan=True))
    plainly = open_scan(store, request_)

    assert (rescan.resumed, rescan.scan.keep_from) == (False, None)
    assert (asked_again.resumed, asked_again.scan) == (True, rescan.scan)
    assert (plainly.resumed, plainly.scan) == (True, rescan.scan)


def test_rescan_leaves_a_scan_that_keeps_verdicts(store: Store, request_: Request) -> None:
    """`--rescan` cancels an unfinished scan that keeps verdicts, and begins one that does not."""
    finish(store, open_scan(store, request_).scan.scan_id)
    keeping = open_scan(store, request_).scan
    rescan = open_scan(store, replace(request_, rescan=True))

    assert (rescan.resumed, rescan.scan.keep_from) == (False, None)
    assert rescan.scan.scan_id > keeping.scan_id
    assert scans.find_scan(store, keeping.scan_id).cancelled_at is not None


def test_other_detectors_make_another_scan(store: Store, request_: Request) -> None:
    """A scan with another plan is neither gone on with nor kept."""
    first = open_scan(store, request_).scan
    other = open_scan(store, replace(request_, plan=OTHER))

    assert (other.resumed, other.scan.keep_from) == (False, None)
    assert scans.find_scan(store, first.scan_id).cancelled_at is None


def test_errors_are_retried_in_the_latest_scan(store: Store, request_: Request) -> None:
    """`--retry-errors` goes back to the latest scan, finished or not, and needs one."""
    retry = replace(request_, retry_errors=True)
    with pytest.raises(NotFound, match="never scanned with these detectors"):
        open_scan(store, retry)
    first = open_scan(store, request_).scan
    finish(store, first.scan_id)
    opened = open_scan(store, retry)

    assert (opened.resumed, opened.scan.scan_id) == (True, first.scan_id)


def test_scan_that_was_left_unfinished_is_finished(store: Store, request_: Request) -> None:
    """A scan that has nothing left to do, but was never marked as finished, is."""
    stuck = open_scan(store, request_).scan
    with store.write() as connection:
        connection.execute(sa.update(scan).values(listed_at=time.time()))
    sent = publish_undone(store, Celery(), stuck, lambda: None)

    assert sent == 0
    assert scans.find_scan(store, stuck.scan_id).finished_at is not None


def test_other_choices_make_another_scan(store: Store, request_: Request) -> None:
    """Asked for other files or labels, a scan is left for one that keeps its verdicts."""
    first = open_scan(store, request_).scan
    labelled = open_scan(store, replace(request_, label=lambda _path: True))
    fewer = open_scan(store, replace(request_, walk=WalkOptions(include=("*.png",))))
    again = open_scan(store, replace(request_, walk=WalkOptions(include=("*.png",))))

    assert (False, first.scan_id) == (labelled.resumed, labelled.scan.keep_from)
    assert not fewer.resumed
    assert (True, fewer.scan) == (again.resumed, again.scan)


def test_verdicts_are_kept_of_the_fullest_scan(store: Store, request_: Request) -> None:
    """After a scan of a few files, the next whole one keeps what the whole one before has."""
    whole = open_scan(store, request_).scan
    batch = listing.add_batch(store, whole, [ListedImage(b"a.jpg", 1, 1)], None)
    assert batch is not None
    results.know_host(store, results.Host("h", "pi4", "aarch64", {}))
    begun = results.begin_run(store, batch.batch_id, 1, ("h", "w"))
    assert begun is not None
    verdict = Verdict(
        batch.images[0].image_id, Outcome.AI, 0.9, "d", True, (), None, None, Timings(1, 1, 1)
    )
    results.record(store, begun[0], [verdict])
    finish(store, whole.scan_id)
    finish(store, open_scan(store, replace(request_, walk=WalkOptions(("*.png",)))).scan.scan_id)

    assert whole.scan_id == open_scan(store, request_).scan.keep_from
