"""Counts and rows of a scan."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.database.schema import run
from storage.database.store import Store
from storage.errors import NotFound
from storage.reads import progress
from storage.reads import verdicts as verdict_reads
from storage.records import ErrorKind, Finding, ImageError, Outcome
from storage.writes import listing, results

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Batch, Verdict
    from tests.storage.conftest import Fill

CUT = ImageError(ErrorKind.TRUNCATED, "cut")
# What may become of one image: an outcome and whether it was examined, or nothing yet.
FATES = st.sampled_from(
    [
        None,
        (Outcome.AI, True),
        (Outcome.AI, False),
        (Outcome.UNSURE, True),
        (Outcome.NO_EVIDENCE, True),
        (Outcome.NO_EVIDENCE, False),
        (Outcome.ERROR, False),
    ]
)


def judged(fill: Fill, image_id: int, outcome: Outcome, *, examined: bool) -> Verdict:
    """Return a verdict of that outcome."""
    if outcome == Outcome.ERROR:
        return fill.failed(image_id, CUT)
    return replace(fill.verdict(image_id, outcome), examined=examined)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fates=st.lists(FATES, min_size=1, max_size=40), kept=st.integers(0, 40))
def test_counts_are_those_of_the_images(fill: Fill, fates: list, kept: int) -> None:  # type: ignore[type-arg]
    """The five counts are right and add up to all images."""
    name = f"property-{next(fill.names)}"
    before, after = fill.scan(name), fill.scan(name)
    paths = [b"%d" % number for number in range(len(fates))]
    batch = fill.batch(before, *paths[:kept]) if kept else None
    for of, part in ((batch, fates[:kept]), (None, fates[kept:])):
        made: Batch | None = of or fill.batch(after, *paths[kept:]) if part else None
        if made is None:
            continue
        chosen = zip(made.images, part, strict=True)
        fill.judge(
            made,
            *(
                judged(fill, one.image_id, fate[0], examined=fate[1])
                for one, fate in chosen
                if fate
            ),
        )
    if kept:
        fill.batch(after, *paths[:kept], keep_from=before.scan_id)
    found = progress.count_images(fill.store, after.scan_id)
    expected = Counter(fate[0] for fate in fates if fate)

    assert found.images == len(fates)
    assert {
        Outcome.AI: found.ai,
        Outcome.UNSURE: found.unsure,
        Outcome.NO_EVIDENCE: found.no_evidence,
        Outcome.ERROR: found.error,
    } == {outcome: expected[outcome] for outcome in Outcome}
    assert found.pending == fates.count(None)
    assert found.not_examined == fates.count((Outcome.NO_EVIDENCE, False))
    assert found.kept == sum(fate is not None for fate in fates[:kept])
    assert found.judged_here == sum(fate is not None for fate in fates[kept:])


def test_counts_of_no_scan(store: Store) -> None:
    """Counting the images of an unknown scan raises NotFound."""
    with pytest.raises(NotFound):
        progress.count_images(store, 7)


def test_counting_reads_no_verdict(tmp_path: Path) -> None:
    """On SQLite the counts come from covering indexes, however large the tables are."""
    store = Store.open(str(tmp_path / "store.db"))
    asked: list[tuple[str, tuple[object, ...]]] = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def remember(*given: object) -> None:
        asked.append((str(given[2]), tuple(given[3])))  # type: ignore[arg-type]

    with store.write() as connection:
        connection.exec_driver_sql("INSERT INTO plan VALUES (1, 'd', '{}')")
        connection.exec_driver_sql("INSERT INTO collection VALUES (1, 'n', x'2f', 0)")
        connection.exec_driver_sql(
            "INSERT INTO scan VALUES (1, 1, 1, 'fleet', 0, 0, NULL, NULL, 0, 0, '{}', 0, '', NULL)"
        )
    asked.clear()
    progress.count_images(store, 1)
    plans = {}
    with store.read() as connection:
        for statement, given in tuple(asked):
            if statement.startswith("SELECT"):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
                plans[statement.split("FROM ")[1].split()[0]] = [str(row[3]) for row in rows]
    store.close()

    assert plans == {
        "scan": ["SEARCH scan USING INTEGER PRIMARY KEY (rowid=?)"],
        "verdict": ["SEARCH verdict USING COVERING INDEX ix_verdict_scan_id_outcome (scan_id=?)"],
        "entry": ["SEARCH entry USING COVERING INDEX ix_entry_batch_id (batch_id=? AND scan_id=?)"],
    }


def test_span(fill: Fill) -> None:
    """A scan lasts from the start of its first run to the last commit."""
    scan, other = fill.scan(), fill.scan()
    with fill.store.read() as connection:
        none_yet = progress.read_span(connection, scan.scan_id)
    for of, paths, times in (
        (scan, (b"a",), (110.0, 112.5)),
        (scan, (b"b",), (100.0, 111.0)),
        (other, (b"a",), (1.0, 900.0)),
    ):
        batch = fill.batch(of, *paths)
        assert batch is not None
        begun = fill.run(batch)
        with fill.store.write() as connection:
            connection.execute(
                sa.update(run)
                .where(run.c.id == begun.run_id)
                .values(started_at=times[0], ended_at=times[1])
            )

    with fill.store.read() as connection:
        span = progress.read_span(connection, scan.scan_id)

    assert none_yet is None
    assert span == (100.0, 112.5)


def test_rows_come_in_pages(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image appears once, in the order of listing, with its findings, across pages."""
    monkeypatch.setattr(verdict_reads, "PAGE_ROWS", 3)
    scan, other = fill.scan("photos"), fill.scan("photos")
    fill.batch(other, b"not of this scan")
    paths = [b"%d" % number for number in range(7)]
    batch = fill.batch(scan, *paths)
    assert batch is not None
    verdicts = [
        fill.verdict(
            one.image_id,
            Outcome.AI,
            Finding("provenance", "generator_tag", 0.98, f"tag of {one.path.decode()}"),
            Finding("objects-32", "score", 0.25),
        )
        for one in batch.images[:5]
    ]
    fill.judge(batch, *verdicts)
    rows = list(verdict_reads.verdict_rows(fill.store, scan.scan_id))

    assert [row.path for row in rows] == paths
    assert [row.verdict for row in rows] == [*verdicts, None, None]
    assert [row.host for row in rows] == ["pi4"] * 5 + [None] * 2


def test_rows_are_read_as_they_are_asked_for(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are read when they are needed, with the verdicts of that moment."""
    monkeypatch.setattr(verdict_reads, "PAGE_ROWS", 2)
    scan = fill.scan()
    batch = fill.batch(scan, *(b"%d" % number for number in range(4)))
    assert batch is not None
    rows = verdict_reads.verdict_rows(fill.store, scan.scan_id)
    first = next(rows)
    results.record_verdicts(
        fill.store, fill.run(batch), [fill.verdict(one.image_id) for one in batch.images]
    )
    rest = list(rows)

    assert first.verdict is None
    assert [row.verdict is None for row in rest] == [True, False, False]


def test_rows_have_labels(fill: Fill) -> None:
    """A row has the label of its image: AI-generated, real, or none."""
    scan = fill.scan()
    labels = [True, False, None]
    listed = [fill.listed(b"%d" % number, label=label) for number, label in enumerate(labels)]
    listing.add_batch(fill.store, scan, listed, None)

    assert [row.label for row in verdict_reads.verdict_rows(fill.store, scan.scan_id)] == labels
