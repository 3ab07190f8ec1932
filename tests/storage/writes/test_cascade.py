"""The second stage: the images that wait for it, and the verdicts that it replaces."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from storage.reads.verdicts import verdict_rows
from storage.records import (
    ErrorKind,
    Finding,
    ImageError,
    Outcome,
    Plan,
    PlannedDetector,
    Thresholds,
)
from storage.writes import cascade, kept, listing, results, scans
from storage.writes.cascade import CascadeProgress, CascadeScan
from storage.writes.received import Received, receive
from storage.writes.results import FIRST_STAGE, SECOND_STAGE, Host

if TYPE_CHECKING:
    from storage.records import Batch, ListedImage, Verdict
    from storage.writes.scans import Scan
    from tests.storage.conftest import Fill

WORKER = ("h1", "w1")
PI = Host("p" * 32, "pi5", "aarch64", {})


def planned(fill: Fill, name: str = "photos") -> Scan:
    """Start a scan whose plan has a second stage."""
    net = PlannedDetector("net", "1", "", Thresholds(0.5, 0.9))
    clip = replace(net, name="clip", is_second_stage=True)
    collection = scans.ensure_collection(fill.store, name, b"/" + name.encode())
    plan = scans.ensure_plan(fill.store, Plan((net, clip)))
    return scans.new_scan(fill.store, collection, plan, "fleet")


def judged(fill: Fill, scan: Scan, *outcomes: Outcome) -> Batch:
    """Add a batch of `scan` after its first stage, with these outcomes."""
    batch = fill.batch(scan, *(b"%d.jpg" % n for n in range(len(outcomes))))
    assert batch is not None
    fill.judge(
        batch,
        *(
            fill.verdict(image.image_id, outcome)
            for image, outcome in zip(batch.images, outcomes, strict=True)
        ),
    )
    return batch


def stages(fill: Fill, scan: Scan) -> list[int]:
    """Return the stage of each image's verdict, by path."""
    with fill.store.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT stage FROM verdict JOIN image ON image.id = image_id "
            f"WHERE scan_id = {scan.scan_id} ORDER BY path"
        )
        return [int(row[0]) for row in rows]


def test_only_unsure_images_wait(fill: Fill) -> None:
    """Images with `unsure` wait once the first stage of their batch is done."""
    scan = planned(fill)
    batch = judged(fill, scan, Outcome.AI, Outcome.UNSURE, Outcome.NO_EVIDENCE, Outcome.UNSURE)
    judged(fill, fill.scan("other"), Outcome.UNSURE)
    begun = fill.batch(scan, b"later.jpg", b"never.jpg")
    assert begun is not None
    later = fill.verdict(begun.images[0].image_id, Outcome.UNSURE)
    results.record_verdicts(fill.store, fill.run(begun), [later])
    (waits,) = cascade.waiting_batches(fill.store, scan.scan_id)

    assert (batch.batch_id, 1) == (waits.batch_id, waits.attempt)
    assert [b"1.jpg", b"3.jpg"] == [image.path for image in waits.images]
    assert [CascadeScan(scan.scan_id, "clip", is_finished=False)] == cascade.cascade_scans(
        fill.store, "fleet"
    )
    assert [] == cascade.cascade_scans(fill.store, "another owner")
    assert CascadeProgress("clip", done=0, waiting=3) == cascade.cascade_progress(fill.store, scan)


def test_a_second_stage_replaces_the_first(fill: Fill) -> None:
    """A verdict of the second stage replaces the first; a second run finds nothing to do."""
    scan = planned(fill)
    batch = judged(fill, scan, Outcome.UNSURE, Outcome.UNSURE, Outcome.NO_EVIDENCE)
    ids = [image.image_id for image in batch.images]
    begun = cascade.begin_second_stage(fill.store, batch.batch_id, ids, WORKER)
    assert begun is not None
    run, pending = begun
    score = Finding("clip", "score", 0.99)
    results.record_verdicts(
        fill.store, run, [fill.verdict(ids[0], Outcome.AI, score), fill.verdict(ids[1])]
    )

    assert (SECOND_STAGE, set(ids[:2])) == (run.stage, set(pending))
    assert {b"0.jpg": "ai", b"1.jpg": "no_evidence", b"2.jpg": "no_evidence"} == fill.outcomes(scan)
    assert [SECOND_STAGE, SECOND_STAGE, FIRST_STAGE] == stages(fill, scan)
    assert cascade.begin_second_stage(fill.store, batch.batch_id, ids, WORKER) is None
    assert [] == cascade.waiting_batches(fill.store, scan.scan_id)
    assert CascadeProgress("clip", done=2, waiting=0) == cascade.cascade_progress(fill.store, scan)


def test_an_error_keeps_the_first_verdict(fill: Fill) -> None:
    """An image that fails in the second stage keeps its verdict, and is not tried again."""
    scan = planned(fill)
    batch = judged(fill, scan, Outcome.UNSURE, Outcome.NO_EVIDENCE)
    before = [row.verdict for row in verdict_rows(fill.store, scan.scan_id)]
    begun = cascade.begin_second_stage(
        fill.store, batch.batch_id, [batch.images[0].image_id], WORKER
    )
    assert begun is not None
    gone = ImageError(ErrorKind.UNREADABLE, "No such file or directory")
    results.record_verdicts(fill.store, begun[0], [fill.failed(batch.images[0].image_id, gone)])

    assert before == [row.verdict for row in verdict_rows(fill.store, scan.scan_id)]
    assert [SECOND_STAGE, FIRST_STAGE] == stages(fill, scan)
    assert [] == cascade.waiting_batches(fill.store, scan.scan_id)


def test_a_received_second_stage(fill: Fill) -> None:
    """A received verdict of the second stage is written; a late one of the first is ignored."""
    scan = planned(fill)
    batch = judged(fill, scan, Outcome.UNSURE)
    of = batch.images[0].image_id

    def come(verdict: Verdict, stage: int) -> int:
        now = scan.created_at
        chunk = Received(scan.scan_id, batch.batch_id, 1, PI, "pi5:1", now, now, (verdict,), stage)
        return receive(fill.store, chunk)

    second = fill.verdict(of, Outcome.AI, Finding("clip", "score", 0.99))

    assert 1 == come(second, SECOND_STAGE)
    assert 0 == come(second, SECOND_STAGE)
    assert 0 == come(fill.verdict(of, Outcome.UNSURE), FIRST_STAGE)
    assert {b"0.jpg": "ai"} == fill.outcomes(scan)


def test_a_cancelled_scan_has_no_second_stage(fill: Fill) -> None:
    """A cancelled scan has no second stage."""
    scan = planned(fill)
    batch = judged(fill, scan, Outcome.UNSURE)
    scans.cancel(fill.store, scan.scan_id)

    assert [] == cascade.cascade_scans(fill.store, "fleet")
    assert (
        cascade.begin_second_stage(fill.store, batch.batch_id, [batch.images[0].image_id], WORKER)
        is None
    )


def test_a_failed_attempt_is_counted(fill: Fill) -> None:
    """A failed attempt at the second stage is counted, so that the next one is cautious."""
    scan = planned(fill)
    batch = judged(fill, scan, Outcome.UNSURE)
    cascade.count_failed_attempt(fill.store, batch.batch_id)

    assert [2] == [waits.attempt for waits in cascade.waiting_batches(fill.store, scan.scan_id)]


def test_waiting_images_are_not_kept(fill: Fill) -> None:
    """The next scan keeps final verdicts, and judges images again that waited."""
    scan = planned(fill)
    judged(fill, scan, Outcome.UNSURE, Outcome.NO_EVIDENCE)
    listed: list[ListedImage] = [fill.listed(b"0.jpg"), fill.listed(b"1.jpg")]
    again = planned(fill)
    left = listing.add_batch(fill.store, again, listed, kept.earlier_scans(fill.store, again))
    assert left is not None

    assert [b"0.jpg"] == [image.path for image in left.images]
    assert {b"0.jpg": "pending", b"1.jpg": "no_evidence"} == fill.outcomes(again)
