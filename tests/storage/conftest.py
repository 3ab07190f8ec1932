"""Return a helper that fills the store."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from storage.database.store import Store
from storage.reads.verdicts import verdict_rows
from storage.records import ListedImage, Outcome, Plan, Timings, Verdict
from storage.writes import kept, listing, results, scans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.records import Batch, Finding, ImageError
    from storage.writes.results import Run
    from storage.writes.scans import Scan

HOST = results.Host("h1", "pi4", "aarch64", {"cores": 4})


@dataclass
class Fill:
    """Fills a store: does what a producer and a worker do, in one line each."""

    store: Store
    names: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        results.record_host(self.store, HOST)

    def scan(self, name: str | None = None, rules: int = 1) -> Scan:
        """Start a scan of the named collection, or of a new one."""
        name = name or f"photos-{next(self.names)}"
        collection_id = scans.ensure_collection(self.store, name, b"/" + name.encode())
        plan_id = scans.ensure_plan(self.store, Plan((), rules=rules))
        return scans.new_scan(self.store, collection_id, plan_id, "fleet")

    def batch(self, of: Scan, *paths: bytes, keep_from: int | None = None) -> Batch | None:
        """Add a batch of images of ten bytes each; with `keep_from`, keep verdicts."""
        earlier = None
        if keep_from is not None:
            earlier = kept.earlier_scans(self.store, of, keeps_verdicts=True)
        return listing.add_batch(self.store, of, [self.listed(path) for path in paths], earlier)

    def listed(
        self, path: bytes, size_bytes: int = 10, mtime_ns: int = 1, *, label: bool | None = None
    ) -> ListedImage:
        """Return a listed image."""
        return ListedImage(path, size_bytes, mtime_ns, label)

    def run(self, of: Batch, host_id: str = "h1") -> Run:
        """Begin a worker's run of a batch."""
        begun = results.begin_run(self.store, of.batch_id, of.attempt, (host_id, "w1"))
        assert begun is not None
        return begun[0]

    def judge(self, of: Batch, *verdicts: Verdict) -> Run:
        """Run a batch: begin it, record verdicts, finish it."""
        run = self.run(of)
        results.record_verdicts(self.store, run, verdicts)
        results.finish_batch(self.store, run)
        return run

    def verdict(
        self, image_id: int, outcome: Outcome = Outcome.NO_EVIDENCE, *findings: Finding
    ) -> Verdict:
        """Return a verdict with a score of 0.25 from a detector that examined the pixels."""
        timings = Timings(100, 200, 300)
        return Verdict(
            image_id, outcome, 0.25, "objects-32", True, findings, None, b"\x01" * 32, timings
        )

    def failed(self, image_id: int, error: ImageError) -> Verdict:
        """Return a verdict on an unreadable image."""
        timings = Timings(100, 0, 0)
        return Verdict(image_id, Outcome.ERROR, None, None, False, (), error, None, timings)

    def outcomes(self, of: Scan) -> dict[bytes, str]:
        """Return the outcome of every image by path, `pending` without one."""
        return {
            row.path: "pending" if row.verdict is None else row.verdict.outcome.value
            for row in verdict_rows(self.store, of.scan_id)
        }


@pytest.fixture
def fill(store: Store) -> Fill:
    """Return a helper that fills the store."""
    return Fill(store)


@pytest.fixture
def sqlite_fill(tmp_path: Path) -> Iterator[Fill]:
    """Return a helper that fills an SQLite store, for what only SQLite does."""
    opened = Store.open(str(tmp_path / "store.db"))
    yield Fill(opened)
    opened.close()
