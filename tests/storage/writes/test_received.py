"""Results in messages: repeated, in any order, and from anyone."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from storage.database.schema import host, run
from storage.reads.verdicts import verdict_rows
from storage.records import ErrorKind, Finding, ImageError, Outcome
from storage.writes import scans
from storage.writes.received import Received, receive
from storage.writes.results import Host

if TYPE_CHECKING:
    from storage.records import Batch, Verdict
    from storage.writes.scans import Scan
    from tests.storage.conftest import Fill

PI = Host("p" * 32, "pi5", "aarch64", {"cores": 4})


def from_pi(scan: Scan, batch: Batch, *verdicts: Verdict) -> Received:
    """Return the results of a Pi for a batch."""
    now = time.time()
    return Received(scan.scan_id, batch.batch_id, 1, PI, "pi5:1", now, now + 0.001, verdicts)


def runs(fill: Fill) -> list[tuple[str, float, float]]:
    """Return the host, start and end of every run."""
    with fill.store.read() as connection:
        found = connection.execute(
            sa.select(run.c.host_id, run.c.started_at, run.c.ended_at).order_by(run.c.id)
        )
        return [tuple(row) for row in found]


def test_chunk_by_chunk(fill: Fill) -> None:
    """Chunks from one run of a batch are one run; the last one finishes batch and scan."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b")
    assert batch is not None
    scans.mark_listed(fill.store, scan.scan_id, {}, 0)
    first, second = (fill.verdict(one.image_id, Outcome.AI) for one in batch.images)
    chunk = from_pi(scan, batch, first)
    half = receive(fill.store, chunk)
    unfinished = scans.find_scan(fill.store, scan.scan_id).finished_at
    rest = receive(fill.store, replace(chunk, verdicts=(second,)))

    assert (1, 1, None) == (half, rest, unfinished)
    assert {b"a": "ai", b"b": "ai"} == fill.outcomes(scan)
    assert {PI.host_id} == {host_id for host_id, *_ in runs(fill)}
    assert 1 == len(runs(fill))
    assert scans.find_scan(fill.store, scan.scan_id).finished_at is not None
    assert ["pi5", "pi5"] == [row.host for row in verdict_rows(fill.store, scan.scan_id)]


def test_twice(fill: Fill) -> None:
    """A repeated message changes nothing, and leaves no run without images."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b")
    assert batch is not None
    verdict = fill.verdict(
        batch.images[0].image_id, Outcome.AI, Finding("objects-32", "score", 0.75)
    )
    chunk = from_pi(scan, batch, verdict)
    receive(fill.store, chunk)

    assert 0 == receive(fill.store, chunk)
    assert 0 == receive(fill.store, replace(chunk, started_at=chunk.started_at + 1, worker="x"))
    assert 1 == len(runs(fill))
    assert [verdict, None] == [row.verdict for row in verdict_rows(fill.store, scan.scan_id)]


def test_after_an_error(fill: Fill) -> None:
    """A received verdict replaces an error while its batch is not done."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b")
    assert batch is not None
    image_id = batch.images[0].image_id
    fill.judge(batch, fill.failed(image_id, ImageError(ErrorKind.CRASHED, "killed it")))
    receive(fill.store, from_pi(scan, batch, fill.verdict(image_id, Outcome.UNSURE)))

    assert {b"a": "unsure", b"b": "pending"} == fill.outcomes(scan)


@pytest.mark.parametrize("outcome", [Outcome.AI, Outcome.UNSURE, Outcome.NO_EVIDENCE])
def test_forged_result_of_a_finished_scan(fill: Fill, outcome: Outcome) -> None:
    """A forged result changes no verdict of a finished scan, and its host is not recorded."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b", b"c")
    assert batch is not None
    scans.mark_listed(fill.store, scan.scan_id, {}, 0)
    score = Finding("objects-32", "score", 0.75)
    outcomes = (Outcome.AI, Outcome.UNSURE, Outcome.NO_EVIDENCE)
    true = [
        fill.verdict(image.image_id, each, score)
        for image, each in zip(batch.images, outcomes, strict=True)
    ]
    fill.judge(batch, *true)
    forged = [fill.verdict(image.image_id, outcome) for image in batch.images]
    failed = [fill.failed(i.image_id, ImageError(ErrorKind.DAMAGED, "")) for i in batch.images]
    result = replace(from_pi(scan, batch, *forged), attempt=2**15 - 1)

    assert 0 == receive(fill.store, result)
    assert 0 == receive(fill.store, replace(result, verdicts=tuple(failed)))
    assert scans.find_scan(fill.store, scan.scan_id).state == "finished"
    assert true == [row.verdict for row in verdict_rows(fill.store, scan.scan_id)]
    assert ["h1"] == [host_id for host_id, *_ in runs(fill)]
    with fill.store.read() as connection:
        assert ["h1"] == list(connection.scalars(sa.select(host.c.id)))


def test_images_outside_the_batch_are_ignored(fill: Fill) -> None:
    """Verdicts on images outside the batch, or for a batch of another scan, are ignored."""
    scan, other = fill.scan(), fill.scan()
    batch, elsewhere = fill.batch(scan, b"a"), fill.batch(other, b"b")
    assert batch is not None
    assert elsewhere is not None
    strangers = [fill.verdict(elsewhere.images[0].image_id), fill.verdict(10**9)]

    assert 0 == receive(fill.store, from_pi(scan, batch, *strangers))
    assert 0 == receive(fill.store, from_pi(other, batch, fill.verdict(batch.images[0].image_id)))
    assert {b"a": "pending"} == fill.outcomes(scan)
    assert {b"b": "pending"} == fill.outcomes(other)
    with fill.store.read() as connection:
        assert ["h1"] == list(connection.scalars(sa.select(host.c.id)))


def test_forgotten(fill: Fill) -> None:
    """Results for a forgotten scan are ignored."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a")
    assert batch is not None
    scans.forget(fill.store, scan.scan_id)

    assert 0 == receive(fill.store, from_pi(scan, batch, fill.verdict(batch.images[0].image_id)))


def test_a_clock_that_is_wrong(fill: Fill) -> None:
    """Times from a wrong clock are limited to the time of the scan."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b")
    assert batch is not None
    early, late = (fill.verdict(one.image_id) for one in batch.images)
    receive(fill.store, replace(from_pi(scan, batch, early), started_at=0.0))
    receive(fill.store, replace(from_pi(scan, batch, late), ended_at=1e11))

    assert all(
        scan.created_at <= started <= ended <= time.time() for _, started, ended in runs(fill)
    )
    assert 2 == len(runs(fill))
