"""A scan whose report can be computed by hand, and the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from scanner.report.figures.build import build
from storage.database.schema import run
from storage.database.store import Store
from storage.records import (
    ErrorKind,
    Finding,
    ImageError,
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

    from scanner.report.figures.build import Report
    from storage.writes.scans import Scan

PLAN = Plan(
    (
        PlannedDetector("provenance", "1", "aa", Thresholds(0.5, 0.9)),
        PlannedDetector("objects-32", "2", "bb", Thresholds(0.62, 0.87)),
    ),
    rules=1,
)
# Path, truth, outcome, score; eight images, one of them pending.
IMAGES = [
    (b"FAKE/tagged.png", True, Outcome.AI, 0.98),
    (b"FAKE/seen.jpg", True, Outcome.AI, 0.9),
    (b"FAKE/missed.jpg", True, Outcome.NO_EVIDENCE, 0.2),
    (b"REAL/accused.jpg", False, Outcome.UNSURE, 0.7),
    (b"REAL/seen.jpg", False, Outcome.NO_EVIDENCE, 0.1),
    (b"REAL/large\xff.jpg", False, Outcome.NO_EVIDENCE, None),
    (b"REAL/cut[bold].jpg", False, Outcome.ERROR, None),
    (b"REAL/waiting.jpg", False, None, None),
]
TAG = Finding(
    "provenance", "generator_tag", 0.98, "ComfyUI left its mark.", {"generator": "ComfyUI"}
)


def verdict(image_id: int, path: bytes, outcome: Outcome, score: float | None) -> Verdict:
    """Return the verdict on one of the images."""
    findings: list[Finding] = []
    detector = None
    if path == b"FAKE/tagged.png":
        findings, detector = [TAG], "provenance"
    elif score is not None:
        findings, detector = [Finding("objects-32", "score", score)], "objects-32"
    elif outcome == Outcome.NO_EVIDENCE:
        findings = [Finding("router", "no_detector", None, "no detector for this size yet")]
    failed = outcome == Outcome.ERROR
    error = ImageError(ErrorKind.TRUNCATED, "the file ends early") if failed else None
    return Verdict(
        image_id=image_id,
        outcome=outcome,
        score=score,
        detector=detector,
        examined=detector == "objects-32",
        findings=tuple(findings),
        error=error,
        digest=bytes([image_id]) * 32,
        timings=Timings(1500, 0 if failed else 250, 40 if detector == "objects-32" else 0),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an SQLite store; differences to Postgres are tested with the queries."""
    opened = Store.open(str(tmp_path / "store.db"))
    yield opened
    opened.close()


@pytest.fixture
def scan(store: Store) -> Scan:
    """Add a scan: seven of eight images judged by one host in 3.5 s, 2 s of them active."""
    results.record_host(store, results.Host("h1", "pi4", "aarch64", {}))
    collection_id = scans.ensure_collection(store, "photos", b"/photos")
    begun = scans.new_scan(store, collection_id, scans.ensure_plan(store, PLAN), "fleet")
    parts = (IMAGES[:4], IMAGES[4:])
    for part, (started, ended) in zip(parts, ((100.0, 101.0), (102.5, 103.5)), strict=True):
        listed = [ListedImage(path, 10, 1, truth) for path, truth, _, _ in part]
        batch = listing.add_batch(store, begun, listed, None)
        assert batch is not None
        going = results.begin_run(store, batch.batch_id, 1, ("h1", "w"))
        assert going is not None
        verdicts = [
            verdict(one.image_id, path, outcome, score)
            for one, (path, _, outcome, score) in zip(batch.images, part, strict=True)
            if outcome is not None
        ]
        results.record_verdicts(store, going[0], verdicts)
        with store.write() as connection:
            connection.execute(
                sa.update(run)
                .where(run.c.id == going[0].run_id)
                .values(started_at=started, ended_at=ended)
            )
    scans.mark_listed(store, begun.scan_id, {"raw": 3, "video": 4}, 1)
    scans.add_enqueue_seconds(store, begun.scan_id, 0.4)
    return scans.find_scan(store, begun.scan_id)


@pytest.fixture
def report(store: Store, scan: Scan) -> Report:
    """Return the report of the scan."""
    return build(store, scan)


@pytest.fixture
def unlabelled(report: Report) -> Report:
    """Return the report without labels."""
    return replace(report, evaluation=None)
