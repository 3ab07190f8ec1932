"""The figures of a report, against independent counts and percentiles."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.database.schema import batch, entry, finding, image, review, run, sampled, verdict
from storage.errors import NotFound
from storage.reads import hosts, report
from storage.reads.evidence import ErrorCount, EvidenceCount
from storage.reads.hosts import HostFigures, Percentiles, nearest_rank
from storage.reads.labelled import LabelledCount
from storage.records import ErrorKind, Finding, ImageError, Outcome, Timings
from storage.writes import listing, results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Batch, Verdict
    from storage.writes.results import Run
    from tests.storage.conftest import Fill

CUT = ImageError(ErrorKind.TRUNCATED, "cut")
# The tables with rows for each image or batch.
GROWING = {table.name for table in (batch, entry, finding, image, review, run, sampled, verdict)}


def timed(fill: Fill, of: Batch, host_id: str, timings: Sequence[Timings]) -> Run:
    """Add a batch judged by one host, with these timings."""
    begun = fill.run(of, host_id)
    verdicts = [
        replace(fill.verdict(one.image_id), timings=each)
        for one, each in zip(of.images, timings, strict=True)
    ]
    results.record_verdicts(fill.store, begun, verdicts)
    results.finish_batch(fill.store, begun)
    return begun


def set_times(fill: Fill, of: Run, started: float, ended: float) -> None:
    """Set the times of a run."""
    with fill.store.write() as connection:
        connection.execute(
            sa.update(run).where(run.c.id == of.run_id).values(started_at=started, ended_at=ended)
        )


@settings(deadline=None)
@given(
    values=st.lists(st.integers(1, 10**6), min_size=1, max_size=300),
    percent=st.integers(1, 100),
)
def test_nearest_rank(values: list[int], percent: int) -> None:
    """A percentile is a measured value, as by NumPy's inverted distribution function."""
    expected = int(np.percentile(values, percent, method="inverted_cdf"))

    assert nearest_rank(sorted(values), percent) == expected


def test_hosts(fill: Fill) -> None:
    """Two hosts of one name stay apart, each with its images, times and timings."""
    results.record_host(fill.store, results.Host("h2", "pi4", "armv8", {}))
    scan = fill.scan()
    first = fill.batch(scan, *(b"a%d" % number for number in range(20)))
    second = fill.batch(scan, *(b"b%d" % number for number in range(4)))
    assert first is not None
    assert second is not None
    one = timed(fill, first, "h1", [Timings(n, 2 * n, 3 * n) for n in range(1, 21)])
    two = timed(fill, second, "h2", [Timings(7, 0, 0)] * 4)
    set_times(fill, one, 100.0, 102.0)
    set_times(fill, two, 150.0, 154.0)
    found = report.read_figures(fill.store, scan.scan_id, {})

    assert found.hosts == (
        HostFigures(
            "h1",
            "pi4",
            "aarch64",
            20,
            2.0,
            # The 10th and the 19th of 20.
            {
                "fetch": Percentiles(10, 19),
                "decode": Percentiles(20, 38),
                "infer": Percentiles(30, 57),
            },
            {"cores": 4},
        ),
        HostFigures("h2", "pi4", "armv8", 4, 4.0, {"fetch": Percentiles(7, 7)}),
    )
    assert (found.seconds, found.active_seconds) == (54.0, 6.0)


def test_overlapping_runs_are_at_work_once(fill: Fill) -> None:
    """Time that several workers spent at once counts once, idle time not at all."""
    scan = fill.scan()
    for number, (started, ended) in enumerate([(0.0, 10.0), (5.0, 7.0), (9.0, 12.0), (20.0, 21.0)]):
        batch = fill.batch(scan, b"%d" % number)
        assert batch is not None
        set_times(fill, fill.run(batch), started, ended)
    found = report.read_figures(fill.store, scan.scan_id, {})

    assert (found.seconds, found.active_seconds) == (21.0, 13.0)


def test_kept_verdicts_are_no_hosts_work(fill: Fill) -> None:
    """A host's figures count only what it judged in this scan."""
    before, after = fill.scan("photos"), fill.scan("photos")
    batch = fill.batch(before, b"a")
    assert batch is not None
    timed(fill, batch, "h1", [Timings(1, 1, 1)])
    fill.batch(after, b"a", keep_from=before.scan_id)
    found = report.read_figures(fill.store, after.scan_id, {})

    assert found.hosts == ()
    assert (found.seconds, found.counts.kept) == (0.0, 1)


def test_timings_of_every_nth_batch(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit, timings come from some batches of each host, counts from all."""
    monkeypatch.setattr(hosts, "TIMED_IMAGES", 2)
    monkeypatch.setattr(hosts, "TIMED_SAMPLE", 2)
    results.record_host(fill.store, results.Host("h2", "pi5", "aarch64", {}))
    scan = fill.scan()
    # Of four images every second run of each host is timed: the first and the third.
    for host_id, number, each_us in (("h1", 0, 5), ("h1", 1, 900), ("h2", 2, 7), ("h2", 3, 900)):
        batch = fill.batch(scan, b"%d" % number)
        assert batch is not None
        timed(fill, batch, host_id, [Timings(each_us, each_us, each_us)])
    found = report.read_figures(fill.store, scan.scan_id, {})

    assert {host.host_id: (host.images, host.stages["fetch"]) for host in found.hosts} == {
        "h1": (2, Percentiles(5, 5)),
        "h2": (2, Percentiles(7, 7)),
    }


def test_detectors_and_evidence(fill: Fill) -> None:
    """Images are counted, not findings: by detector, and by kind, generator and signature."""
    tag = Finding("provenance", "generator_tag", 0.98, "t", {"generator": "ComfyUI"})
    remote = Finding("provenance", "c2pa_remote", None, "t", {"url": "https://example.org"})
    signed = Finding(
        "provenance", "c2pa_generated", 0.99, "t", {"generator": "x", "signature": "verified"}
    )
    score = Finding("objects-32", "score", 0.25)
    none = Finding("router", "no_detector", None, "no detector for this size yet")
    scan = fill.scan()
    batch = fill.batch(scan, *(b"%d" % number for number in range(6)))
    assert batch is not None
    said = [(tag, score), (tag, tag, score), (remote, none), (signed, none), (score,), ()]
    fill.judge(
        batch,
        *(
            fill.verdict(one.image_id, Outcome.AI, *each)
            for one, each in zip(batch.images, said, strict=True)
        ),
    )
    found = report.read_figures(
        fill.store, scan.scan_id, dict.fromkeys(("provenance", "objects-32", "faces"), 0.9)
    )

    # Provenance spoke of four, once twice; the net scored three.
    assert found.detectors == {"provenance": 4, "objects-32": 3, "faces": 0}
    assert found.evidence == (
        EvidenceCount("provenance", "generator_tag", "ComfyUI", None, 2),
        EvidenceCount("router", "no_detector", None, None, 2),
        EvidenceCount("provenance", "c2pa_generated", "x", "verified", 1),
        EvidenceCount("provenance", "c2pa_remote", None, None, 1),
    )


def test_errors(fill: Fill) -> None:
    """Errors are counted by kind, the most frequent first, with the first five images of each."""
    scan = fill.scan()
    batch = fill.batch(scan, *(b"\xff%d" % number for number in range(9)))
    assert batch is not None
    kinds = [ErrorKind.EMPTY] + [ErrorKind.TRUNCATED] * 7
    errors = [
        fill.failed(one.image_id, ImageError(kind, f"why {one.path[1:].decode()}"))
        for one, kind in zip(batch.images, kinds, strict=False)
    ]
    fill.judge(batch, *errors, fill.verdict(batch.images[8].image_id))
    found = report.read_figures(fill.store, scan.scan_id, {})

    assert found.errors == (
        ErrorCount(
            ErrorKind.TRUNCATED,
            7,
            tuple((b"\xff%d" % number, f"why {number}") for number in range(1, 6)),
        ),
        ErrorCount(ErrorKind.EMPTY, 1, ((b"\xff0", "why 0"),)),
    )


def test_errors_beside_verdicts(fill: Fill) -> None:
    """Errors of images that metadata settled are counted apart from those of the others."""
    scan = fill.scan()
    batch = fill.batch(scan, *(b"%d" % number for number in range(4)))
    assert batch is not None
    ids = [one.image_id for one in batch.images]
    error = ImageError(ErrorKind.TOO_LARGE, "has too many pixels")
    settled = replace(fill.verdict(ids[0], Outcome.AI), examined=False, error=error)
    fill.judge(
        batch,
        settled,
        replace(settled, image_id=ids[1], error=None),
        fill.failed(ids[2], error),
        fill.verdict(ids[3]),
    )
    found = report.read_figures(fill.store, scan.scan_id, {})
    why = "has too many pixels"

    assert (2, 1, 1) == (found.counts.ai, found.counts.error, found.counts.no_evidence)
    assert (ErrorCount(ErrorKind.TOO_LARGE, 1, ((b"2", why),)),) == found.errors
    assert (ErrorCount(ErrorKind.TOO_LARGE, 1, ((b"0", why),)),) == found.settled_errors


def test_labelled(fill: Fill) -> None:
    """Labelled images are grouped by label, outcome and score, including pending and errors."""
    scan = fill.scan()
    labels = [True, True, False, False, True, None]
    listed = [fill.listed(b"%d" % number, label=label) for number, label in enumerate(labels)]
    batch = listing.add_batch(fill.store, scan, listed, None)
    assert batch is not None
    ids = [one.image_id for one in batch.images]
    unscored: Verdict = replace(fill.verdict(ids[2]), score=None, detector=None, examined=False)
    fill.judge(
        batch,
        fill.verdict(ids[0], Outcome.AI),
        fill.verdict(ids[1], Outcome.AI),
        unscored,
        fill.failed(ids[3], ImageError(ErrorKind.EMPTY, "no bytes")),
        fill.verdict(ids[5], Outcome.AI),
    )
    found = report.read_figures(fill.store, scan.scan_id, {})

    assert set(found.labelled) == {
        LabelledCount(label=True, outcome=Outcome.AI, score=0.25, images=2),
        LabelledCount(label=False, outcome=Outcome.NO_EVIDENCE, score=None, images=1),
        LabelledCount(label=False, outcome=Outcome.ERROR, score=None, images=1),
        LabelledCount(label=True, outcome=None, score=None, images=1),
    }


def test_scan_that_is_gone(fill: Fill) -> None:
    """A forgotten scan has no figures."""
    with pytest.raises(NotFound):
        report.read_figures(fill.store, 7, {})


def test_no_figure_reads_other_scans(sqlite_fill: Fill) -> None:
    """No statement of a report goes through a table that grows with all scans of a store."""
    fill = sqlite_fill
    scan = fill.scan()
    labelled = [fill.listed(path, label=True) for path in (b"a/1", b"b/2")]
    batch = listing.add_batch(fill.store, scan, labelled, None)
    assert batch is not None
    tag = Finding("provenance", "generator_tag", 0.98, "", {"generator": "ComfyUI"})
    first, second = (one.image_id for one in batch.images)
    fill.judge(batch, fill.verdict(first, Outcome.AI, tag), fill.failed(second, CUT))
    asked: list[tuple[str, tuple[object, ...]]] = []

    @sa.event.listens_for(fill.store.engine, "before_cursor_execute")
    def remember(*given: object) -> None:
        asked.append((str(given[2]), tuple(given[3])))  # type: ignore[arg-type]

    report.read_figures(fill.store, scan.scan_id, {"objects-32": 0.5, "provenance": 0.5})
    queries = [one for one in asked if one[0].startswith("SELECT")]
    scanned = {}
    with fill.store.read() as connection:
        for query, values in queries:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)
            tables = {str(row[3]).split()[1] for row in rows if str(row[3]).startswith("SCAN ")}
            if tables & GROWING:
                scanned[query] = tables & GROWING

    assert len(queries) >= 15
    assert scanned == {}
