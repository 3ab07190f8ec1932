"""Figures that are kept for the next report: those of a scan as it is, whatever happens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from storage.database.schema import kept_figures
from storage.errors import StoreError
from storage.reads import report
from storage.records import ErrorKind, Finding, ImageError, Outcome
from storage.writes import listing, results, scans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.reads.report import Figures
    from storage.records import Batch
    from storage.writes.scans import Scan
    from tests.storage.conftest import Fill

DETECTORS = {"objects-32": 0.5, "provenance": 0.5}
TAG = Finding("provenance", "tag", 1.0, "Software: Midjourney", {"generator": "Midjourney"})
CUT = ImageError(ErrorKind.TRUNCATED, "cut")


class Counting:
    """Reads figures, and tells whether they were counted or had been kept."""

    def __init__(self, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store = fill.store
        self._counted = 0
        self._count = report._count
        monkeypatch.setattr(report, "_count", self._counting)
        monkeypatch.setattr(report, "KEPT_FROM_IMAGES", 1)

    def _counting(
        self, connection: sa.Connection, scan_id: int, detectors: Mapping[str, float]
    ) -> Figures:
        self._counted += 1
        return self._count(connection, scan_id, detectors)

    def read(self, scan: Scan, detectors: Mapping[str, float] = DETECTORS) -> tuple[Figures, bool]:
        """Return the figures of a scan, and whether they were counted; check what was kept."""
        before = self._counted
        figures = report.read_figures(self._store, scan.scan_id, detectors)
        is_counted = self._counted > before
        with self._store.read() as connection:
            assert self._count(connection, scan.scan_id, detectors) == figures
        return figures, is_counted


@pytest.fixture
def counting(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """Keep figures of any number of images."""
    return Counting(fill, monkeypatch)


def finished(fill: Fill) -> tuple[Scan, Batch]:
    """Return a finished scan with a verdict of each kind, and its batch."""
    scan = fill.scan()
    scans.mark_listed(fill.store, scan.scan_id, {}, 0)
    batch = fill.batch(scan, b"a/1.jpg", b"a/2.jpg", b"b\xff/3.jpg", b"4.jpg")
    assert batch is not None
    outcomes = (Outcome.AI, Outcome.UNSURE, Outcome.NO_EVIDENCE)
    ids = [one.image_id for one in batch.images]
    judged = [
        fill.verdict(image_id, outcome, *([TAG] if outcome == Outcome.AI else []))
        for image_id, outcome in zip(ids, outcomes, strict=False)
    ]
    fill.judge(batch, *judged, fill.failed(ids[-1], CUT))
    return scan, batch


def test_figures_of_a_finished_scan_are_counted_once(fill: Fill, counting: Counting) -> None:
    """The next report reads what the first one kept, all of it the same."""
    scan, _ = finished(fill)
    first, was_counted = counting.read(scan)
    second, is_counted = counting.read(scan)

    assert (True, False) == (was_counted, is_counted)
    assert first == second
    assert (1, 1, 1, 1) == (
        second.counts.ai, second.counts.unsure, second.counts.no_evidence, second.counts.error,
    )  # fmt: skip


def test_running_scan_is_counted_each_time(fill: Fill, counting: Counting) -> None:
    """Nothing is kept of a scan that goes on."""
    scan = fill.scan()
    fill.batch(scan, b"a")

    assert [True, True] == [counting.read(scan)[1] for _ in range(2)]


def test_other_thresholds(fill: Fill, counting: Counting) -> None:
    """Figures depend on the scores from which detectors flag."""
    scan, _ = finished(fill)
    counting.read(scan)

    assert counting.read(scan, DETECTORS | {"objects-32": 0.1})[1]


def test_retried_scan(fill: Fill, counting: Counting) -> None:
    """Errors that are retried are counted while they are pending, and when they are judged."""
    scan, _ = finished(fill)
    counting.read(scan)
    listing.retry_errors(fill.store, scan.scan_id, 100, lambda _path: None)
    pending, is_counted = counting.read(scan)
    again = results.unfinished_batches(fill.store, "fleet", scan.scan_id)
    requeued = results.requeue_batch(fill.store, again[0], failed=False)
    assert requeued is not None
    _, batch = requeued
    fill.judge(batch, *(fill.verdict(one.image_id) for one in batch.images))
    judged, is_counted_again = counting.read(scan)

    assert (1, True) == (pending.counts.pending, is_counted)
    assert (0, 2, True) == (judged.counts.pending, judged.counts.no_evidence, is_counted_again)
    assert not counting.read(scan)[1]


def test_new_images(fill: Fill, counting: Counting) -> None:
    """A scan that grows is counted again."""
    scan, _ = finished(fill)
    counting.read(scan)
    batch = fill.batch(scan, b"new.jpg")
    assert batch is not None
    fill.judge(batch, *(fill.verdict(one.image_id) for one in batch.images))
    grown, is_counted = counting.read(scan)

    assert (5, True) == (grown.counts.images, is_counted)


def test_error_that_a_late_worker_replaces(fill: Fill, counting: Counting) -> None:
    """Its verdict comes after the scan was finished, and counts."""
    scan = fill.scan()
    scans.mark_listed(fill.store, scan.scan_id, {}, 0)
    batch = fill.batch(scan, b"a")
    assert batch is not None
    late = fill.run(batch)
    (image_id,) = (one.image_id for one in batch.images)
    fill.judge(batch, fill.failed(image_id, CUT))
    failed, _ = counting.read(scan)
    results.record_verdicts(fill.store, late, [fill.verdict(image_id)], is_last=True)
    replaced, is_counted = counting.read(scan)

    assert (1, 0) == (failed.counts.error, replaced.counts.error)
    assert is_counted


@pytest.mark.parametrize("body", [b"", b"\x80", b"no figures"])
def test_figures_of_another_form(fill: Fill, counting: Counting, body: bytes) -> None:
    """What another version kept, or what is no figures at all, is counted and kept anew."""
    scan, _ = finished(fill)
    counting.read(scan)
    with fill.store.write() as connection:
        connection.execute(sa.update(kept_figures).values(body=body))

    assert [True, False] == [counting.read(scan)[1] for _ in range(2)]


def test_store_that_refuses_to_keep(
    fill: Fill, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report needs no right to write."""
    scan, _ = finished(fill)

    def refuse(**_: object) -> None:
        raise StoreError("read-only")

    monkeypatch.setattr(fill.store, "write", refuse)

    assert [True, True] == [counting.read(scan)[1] for _ in range(2)]


def test_forgotten_scan(fill: Fill, counting: Counting) -> None:
    """What was kept goes with its scan."""
    scan, _ = finished(fill)
    counting.read(scan)
    scans.forget(fill.store, scan.scan_id)
    with fill.store.read() as connection:
        kept = connection.execute(sa.select(kept_figures.c.scan_id)).all()

    assert [] == kept


def test_few_images_are_not_kept(fill: Fill) -> None:
    """Nothing is written where counting takes no time."""
    scan, _ = finished(fill)
    report.read_figures(fill.store, scan.scan_id, DETECTORS)
    with fill.store.read() as connection:
        assert [] == connection.execute(sa.select(kept_figures.c.scan_id)).all()
