"""A scan that grows: what it has, and what it has otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from storage.reads.progress import count_images
from storage.records import Outcome, Sidecar
from storage.writes import growing, scans
from storage.writes.reviews import Answer, list_reviews, record_answer

if TYPE_CHECKING:
    from storage.records import Batch
    from tests.storage.conftest import Fill


def judge(fill: Fill, batch: Batch | None, outcome: Outcome) -> None:
    """Judge all images of a batch."""
    assert batch is not None
    fill.judge(batch, *(fill.verdict(one.image_id, outcome) for one in batch.images))


def test_new_changed_pending_and_known(fill: Fill) -> None:
    """New images and judged ones that differ are told apart from known and pending ones."""
    scan = fill.scan()
    judge(fill, fill.batch(scan, b"same", b"larger", b"later", b"tagged"), Outcome.NO_EVIDENCE)
    fill.batch(scan, b"pending")
    listed = [
        fill.listed(b"new"),
        fill.listed(b"same"),
        fill.listed(b"larger", 11),
        fill.listed(b"later", mtime_ns=2),
        replace(fill.listed(b"tagged"), sidecars=(Sidecar(b"tagged.xmp", 1, 1),)),
        fill.listed(b"pending", 11),
    ]
    new, changed = growing.read_differing(fill.store, scan, listed)

    assert [b"new"] == [item.path for item in new]
    assert [b"larger", b"later", b"tagged"] == [item.path for item in changed]


def test_same_path_in_another_scan(fill: Fill) -> None:
    """An image that only another scan has is new."""
    fill.batch(fill.scan("photos"), b"a")
    second = fill.scan("photos")

    assert ([fill.listed(b"a")], []) == growing.read_differing(
        fill.store, second, [fill.listed(b"a")]
    )


def test_changed_image_is_judged_again(fill: Fill) -> None:
    """A changed image loses its verdict, its answers end, and the finished scan goes on.

    With another sidecar the file is the same, and so are the answers.
    """
    scan = fill.scan()
    first = fill.batch(scan, b"a", b"b")
    assert first is not None
    judge(fill, first, Outcome.AI)
    image = first.images[0].image_id
    record_answer(fill.store, scan.scan_id, image, Answer.AI, "ann")
    tagged = replace(fill.listed(b"a"), sidecars=(Sidecar(b"a.xmp", 1, 1),))
    beside = growing.add_changed(fill.store, scan, [tagged])
    assert beside is not None
    judge(fill, beside, Outcome.AI)
    kept = [one.is_current for one in list_reviews(fill.store, scan.scan_id, image)]
    scans.mark_listed(fill.store, scan.scan_id, {}, 0)
    before = scans.find_scan(fill.store, scan.scan_id).state
    batch = growing.add_changed(fill.store, scan, [fill.listed(b"a", 99, 7), fill.listed(b"none")])
    again = growing.add_changed(fill.store, scan, [fill.listed(b"a", 99, 7)])
    during = scans.find_scan(fill.store, scan.scan_id).state
    assert batch is not None
    sizes = [(one.path, one.size_bytes) for one in batch.images]
    judge(fill, batch, Outcome.NO_EVIDENCE)

    assert [True] == kept
    assert ("finished", "unfinished") == (before, during)
    assert again is None
    assert [(b"a", 99)] == sizes
    assert {b"a": "no_evidence", b"b": "ai"} == fill.outcomes(scan)
    assert 2 == count_images(fill.store, scan.scan_id).images
    assert "finished" == scans.find_scan(fill.store, scan.scan_id).state
    assert [False] == [one.is_current for one in list_reviews(fill.store, scan.scan_id, image)]
    assert ([], []) == growing.read_differing(fill.store, scan, [fill.listed(b"a", 99, 7)])
