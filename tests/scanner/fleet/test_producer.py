"""Open the scan of a request, and publish its unfinished batches."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from celery import Celery

from scanner.fleet import producer
from scanner.fleet.producer import ScanRequest, open_scan, publish_unfinished
from scanner.listing.walk import WalkOptions
from storage.database.schema import scan
from storage.database.store import Store
from storage.errors import NotFound
from storage.records import ListedImage, Plan, PlannedDetector, Thresholds
from storage.writes import scans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = Plan((PlannedDetector("grey", "1", "0" * 64, Thresholds(0.5, 0.9)),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty store."""
    opened = Store.open(str(tmp_path / "store.db"))
    yield opened
    opened.close()


@pytest.fixture
def request_(tmp_path: Path) -> ScanRequest:
    """Return a request to scan a folder with default options."""
    return ScanRequest(tmp_path, "photos", Plan(()), "fleet")


def finish(store: Store, scan_id: int) -> None:
    """Mark a scan as completely listed and judged."""
    scans.mark_listed(store, scan_id, {}, 0)


def test_first_scan(store: Store, request_: ScanRequest) -> None:
    """The first scan of a folder is new and reuses no verdicts."""
    opened = open_scan(store, request_)

    assert not opened.resumed
    assert opened.scan.keep_from is None


def test_next_scan_reuses_verdicts(store: Store, request_: ScanRequest) -> None:
    """A scan after a finished one reuses its verdicts, also when resumed."""
    first = open_scan(store, request_).scan
    finish(store, first.scan_id)
    second = open_scan(store, request_)
    again = open_scan(store, replace(request_, owner="mine"))

    assert (second.resumed, second.scan.keep_from) == (False, first.scan_id)
    assert again.resumed
    assert again.scan == replace(second.scan, owner="mine")


def test_verified_scan_is_one_of_its_own(store: Store, request_: ScanRequest) -> None:
    """An unfinished scan is continued with `--verify` only if it was begun with it."""
    plain = open_scan(store, request_).scan
    verified = open_scan(store, replace(request_, verify=True))
    again = open_scan(store, replace(request_, verify=True))

    assert plain.scan_id != verified.scan.scan_id
    assert (again.resumed, again.scan) == (True, verified.scan)


def test_concurrent_scan(
    store: Store, request_: ScanRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan that another process begins at the same time is continued."""
    list_scans, rivals = scans.list_scans, []

    def list_before_a_rival(store: Store, collection_id: int | None = None) -> list[scans.Scan]:
        listed = list_scans(store, collection_id)
        monkeypatch.setattr(scans, "list_scans", list_scans)
        rivals.append(open_scan(store, request_))
        return listed

    monkeypatch.setattr(scans, "list_scans", list_before_a_rival)
    ours = open_scan(store, request_)

    assert [False] == [rival.resumed for rival in rivals]
    assert (rivals[0].scan, True) == (ours.scan, ours.resumed)


def test_many_concurrent_scans(store_url: str, request_: ScanRequest) -> None:
    """Of many concurrent requests one begins the scan, on each kind of store."""
    opened = Store.unchecked(store_url)
    opened.upgrade()
    with ThreadPoolExecutor(4) as pool:
        scans_opened = list(pool.map(lambda _: open_scan(opened, request_), range(4)))
    opened.close()

    assert 1 == len({opened.scan.scan_id for opened in scans_opened})
    assert [False, True, True, True] == sorted(opened.resumed for opened in scans_opened)


def test_interrupted_rescan_is_continued(store: Store, request_: ScanRequest) -> None:
    """An interrupted `--rescan` is continued with or without the option, and reuses nothing."""
    finish(store, open_scan(store, request_).scan.scan_id)
    rescan = open_scan(store, replace(request_, rescan=True))
    with_option = open_scan(store, replace(request_, rescan=True))
    without_option = open_scan(store, request_)

    assert (rescan.resumed, rescan.scan.keep_from) == (False, None)
    assert (with_option.resumed, with_option.scan) == (True, rescan.scan)
    assert (without_option.resumed, without_option.scan) == (True, rescan.scan)


def test_rescan_cancels_a_scan_that_reuses_verdicts(store: Store, request_: ScanRequest) -> None:
    """`--rescan` cancels an unfinished scan that reuses verdicts, and begins a new one."""
    finish(store, open_scan(store, request_).scan.scan_id)
    reusing = open_scan(store, request_).scan
    rescan = open_scan(store, replace(request_, rescan=True))

    assert (rescan.resumed, rescan.scan.keep_from) == (False, None)
    assert rescan.scan.scan_id > reusing.scan_id
    assert scans.find_scan(store, reusing.scan_id).cancelled_at is not None


def test_other_detectors(store: Store, request_: ScanRequest) -> None:
    """A scan with another plan is neither continued nor reused."""
    first = open_scan(store, request_).scan
    other = open_scan(store, replace(request_, plan=OTHER))

    assert (other.resumed, other.scan.keep_from) == (False, None)
    assert scans.find_scan(store, first.scan_id).cancelled_at is None


def test_retry_errors(store: Store, request_: ScanRequest) -> None:
    """`--retry-errors` continues the latest scan, finished or not, and needs one."""
    retry = replace(request_, retry_errors=True)
    with pytest.raises(NotFound, match="never scanned with these detectors"):
        open_scan(store, retry)
    first = open_scan(store, request_).scan
    finish(store, first.scan_id)
    opened = open_scan(store, retry)

    assert (opened.resumed, opened.scan.scan_id) == (True, first.scan_id)


def test_scan_without_unfinished_batches_is_finished(store: Store, request_: ScanRequest) -> None:
    """A scan without unfinished batches is marked as finished."""
    unfinished = open_scan(store, request_).scan
    with store.write() as connection:
        connection.execute(sa.update(scan).values(listed_at=time.time()))
    published = publish_unfinished(store, Celery(), unfinished, lambda: None)

    assert published == 0
    assert scans.find_scan(store, unfinished.scan_id).finished_at is not None


def test_other_files_or_labels(store: Store, request_: ScanRequest) -> None:
    """A request for other files or labels begins a scan that reuses the verdicts."""
    first = open_scan(store, request_).scan
    labelled = open_scan(store, replace(request_, label=lambda _path: True))
    filtered = open_scan(store, replace(request_, walk=WalkOptions(include=("*.png",))))
    again = open_scan(store, replace(request_, walk=WalkOptions(include=("*.png",))))

    assert (False, first.scan_id) == (labelled.resumed, labelled.scan.keep_from)
    assert not filtered.resumed
    assert (True, filtered.scan) == (again.resumed, again.scan)


def test_batches_of_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first batch is committed by itself, later ones by up to 16, or after half a second."""
    groups = [[ListedImage(b"%d" % number, 1, 1)] for number in range(40)]
    monkeypatch.setattr(producer, "COMMIT_SECONDS", 60.0)
    together = [len(commit) for commit in producer._group_into_commits(groups)]
    monkeypatch.setattr(producer, "COMMIT_SECONDS", 0.0)
    slowly = [len(commit) for commit in producer._group_into_commits(groups)]

    assert [1, 2, 4, 8, 16, 9] == together
    assert [1] * 40 == slowly
