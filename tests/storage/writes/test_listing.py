"""The images of a scan: batches, kept verdicts, retried errors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from storage.reads.progress import count_images
from storage.reads.verdicts import verdict_rows
from storage.records import ErrorKind, Finding, ImageError, Outcome
from storage.writes import listing, results, scans
from storage.writes.kept import earlier_scans
from storage.writes.reviews import Answer, list_reviews, record_answer

if TYPE_CHECKING:
    from tests.storage.conftest import Fill

SAID = Finding("provenance", "generator_tag", 0.98, "said so", {"generator": "ComfyUI"})


def test_batch_has_listed_images(fill: Fill) -> None:
    """A batch has the paths and sizes of its images, and the scan their number."""
    scan = fill.scan()
    listed = [fill.listed(b"a/1.jpg", 10), fill.listed(b"a/2.jpg", 20)]
    batch = listing.add_batch(fill.store, scan, listed, None)

    assert batch is not None
    assert [(one.path, one.size_bytes) for one in batch.images] == [
        (b"a/1.jpg", 10),
        (b"a/2.jpg", 20),
    ]
    assert batch.attempt == 1
    assert count_images(fill.store, scan.scan_id).images == 2


def test_same_images_again_change_nothing(fill: Fill) -> None:
    """Repeating a walk adds only images that the scan does not have."""
    scan = fill.scan()
    fill.batch(scan, b"a", b"b")
    none = fill.batch(scan, b"a", b"b")
    rest = fill.batch(scan, b"b", b"c")

    assert none is None
    assert rest is not None
    assert [one.path for one in rest.images] == [b"c"]
    assert fill.outcomes(scan) == {b"a": "pending", b"b": "pending", b"c": "pending"}
    assert count_images(fill.store, scan.scan_id).images == 3


def test_same_path_in_two_collections(fill: Fill) -> None:
    """The same path in another collection is another image."""
    first, second = fill.scan("one"), fill.scan("two")
    one, two = fill.batch(first, b"a"), fill.batch(second, b"a")

    assert one is not None
    assert two is not None
    assert one.images[0].image_id != two.images[0].image_id


@pytest.mark.parametrize(
    "path", [b"caf\xe9.jpg", b"\xff\xfe", "ü/日本.png".encode(), b"a\nb\t.gif"]
)
def test_names_come_back_as_they_were(fill: Fill, path: bytes) -> None:
    """File names of any bytes come back unchanged from every query."""
    scan = fill.scan()
    batch = fill.batch(scan, path)
    assert batch is not None
    again = results.requeue_batch(fill.store, batch.batch_id, failed=False)
    assert again is not None

    assert batch.images[0].path == path
    assert again[1].images[0].path == path
    assert fill.outcomes(scan) == {path: "pending"}


def test_unchanged_image_keeps_its_verdict(fill: Fill) -> None:
    """An unchanged image keeps its verdict and findings, and is in no batch."""
    before, after = fill.scan("photos"), fill.scan("photos")
    batch = fill.batch(before, b"a")
    assert batch is not None
    fill.judge(batch, fill.verdict(batch.images[0].image_id, Outcome.AI, SAID))
    none = fill.batch(after, b"a", keep_from=before.scan_id)
    scans.mark_listed(fill.store, after.scan_id, {}, 0)
    (row,) = verdict_rows(fill.store, after.scan_id)

    assert none is None
    assert row.verdict is not None
    assert (row.verdict.outcome, row.verdict.findings) == (Outcome.AI, (SAID,))
    assert row.host == "pi4"
    assert count_images(fill.store, after.scan_id).kept == 1
    assert scans.find_scan(fill.store, after.scan_id).finished_at is not None


def test_verdict_is_kept_from_scan_to_scan(fill: Fill) -> None:
    """A kept verdict is kept again by the next scan."""
    first, second, third = (fill.scan("photos") for _ in range(3))
    batch = fill.batch(first, b"a")
    assert batch is not None
    fill.judge(batch, fill.verdict(batch.images[0].image_id, Outcome.UNSURE, SAID))
    fill.batch(second, b"a", keep_from=first.scan_id)
    fill.batch(third, b"a", keep_from=second.scan_id)

    assert fill.outcomes(third) == {b"a": "unsure"}
    assert count_images(fill.store, third.scan_id).kept == 1


@pytest.mark.parametrize(("size_bytes", "mtime_ns"), [(11, 1), (10, 2)])
def test_changed_image_is_judged_again(fill: Fill, size_bytes: int, mtime_ns: int) -> None:
    """An image with another size or modification time is judged again; others are kept."""
    before, after = fill.scan("photos"), fill.scan("photos")
    batch = fill.batch(before, b"a", b"b")
    assert batch is not None
    fill.judge(batch, *(fill.verdict(one.image_id, Outcome.AI) for one in batch.images))
    listed = [fill.listed(b"a", size_bytes, mtime_ns), fill.listed(b"b")]
    changed = listing.add_batch(
        fill.store, after, listed, earlier_scans(fill.store, after, keeps_verdicts=True)
    )

    assert changed is not None
    assert [one.path for one in changed.images] == [b"a"]
    assert fill.outcomes(after) == {b"a": "pending", b"b": "ai"}


def test_replaced_content_is_judged_again(fill: Fill) -> None:
    """With digests, a file of the same size and time is kept only with the content it had."""
    scan, after = fill.scan("photos"), fill.scan("photos")
    batch = fill.batch(scan, b"a", b"b", b"c")
    assert batch is not None
    ids = [image.image_id for image in batch.images]
    fill.judge(batch, *map(fill.verdict, ids))
    for image_id in ids:
        record_answer(fill.store, scan.scan_id, image_id, Answer.AI, "ann")
    digests = {b"a": b"\x01" * 32, b"b": b"\x02" * 32, b"c": b""}
    listed = [replace(fill.listed(path), digest=digest) for path, digest in digests.items()]
    again = listing.add_batch(
        fill.store, after, listed, earlier_scans(fill.store, after, keeps_verdicts=True)
    )
    answered = [list_reviews(fill.store, after.scan_id, image_id) for image_id in ids]

    assert again is not None
    assert [b"b", b"c"] == [image.path for image in again.images]
    assert [1, 0, 0] == list(map(len, answered))


def test_pending_image_is_not_kept(fill: Fill) -> None:
    """An image that the earlier scan did not judge is judged."""
    before, after = fill.scan("photos"), fill.scan("photos")
    fill.batch(before, b"a")

    assert fill.batch(after, b"a", keep_from=before.scan_id) is not None
    assert count_images(fill.store, after.scan_id).kept == 0


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (ErrorKind.UNREADABLE, "pending"),
        (ErrorKind.CHANGED, "pending"),
        (ErrorKind.OUTSIDE, "pending"),
        (ErrorKind.TIMEOUT, "pending"),
        (ErrorKind.TRUNCATED, "error"),
        (ErrorKind.NOT_AN_IMAGE, "error"),
    ],
)
def test_errors_that_may_pass_are_tried_again(fill: Fill, kind: ErrorKind, outcome: str) -> None:
    """Temporary errors are judged again, permanent ones are kept."""
    before, after = fill.scan("photos"), fill.scan("photos")
    batch = fill.batch(before, b"a")
    assert batch is not None
    fill.judge(batch, fill.failed(batch.images[0].image_id, ImageError(kind, "why")))
    fill.batch(after, b"a", keep_from=before.scan_id)

    assert fill.outcomes(after) == {b"a": outcome}


def test_labels_are_those_of_the_new_listing(fill: Fill) -> None:
    """An image with a kept verdict has the label of the new scan."""
    before, after = fill.scan("photos"), fill.scan("photos")
    batch = fill.batch(before, b"a")
    assert batch is not None
    fill.judge(batch, fill.verdict(batch.images[0].image_id))
    earlier = earlier_scans(fill.store, after, keeps_verdicts=True)
    listing.add_batch(fill.store, after, [fill.listed(b"a", label=True)], earlier)

    assert [row.label for row in verdict_rows(fill.store, before.scan_id)] == [None]
    assert [row.label for row in verdict_rows(fill.store, after.scan_id)] == [True]


def test_errors_are_put_into_new_batches(fill: Fill) -> None:
    """Only failed images are retried, cautiously, in batches of the given size."""
    scan = fill.scan()
    batch = fill.batch(scan, *(b"%d" % number for number in range(6)))
    assert batch is not None
    ids = [one.image_id for one in batch.images]
    error = ImageError(ErrorKind.TRUNCATED, "cut")
    fill.judge(batch, fill.verdict(ids[0]), *(fill.failed(one, error) for one in ids[1:]))
    scans.mark_listed(fill.store, scan.scan_id, {}, 0)
    number = listing.retry_errors(fill.store, scan.scan_id, 2, lambda _path: None)
    undone = results.unfinished_batches(fill.store, "fleet")
    sizes, attempts = [], []
    for batch_id in undone:
        again = results.requeue_batch(fill.store, batch_id, failed=False)
        assert again is not None
        sizes.append([one.image_id for one in again[1].images])
        attempts.append(again[1].attempt)

    assert number == 5
    assert sizes == [ids[1:3], ids[3:5], ids[5:]]
    assert attempts == [2, 2, 2]
    assert scans.find_scan(fill.store, scan.scan_id).finished_at is None
    assert fill.outcomes(scan) == {b"0": "no_evidence"} | {
        b"%d" % number: "pending" for number in range(1, 6)
    }


def test_kept_error_that_is_tried_again_is_kept_no_more(fill: Fill) -> None:
    """A retried image counts as judged in this scan, even if the error was kept."""
    before, after = fill.scan("photos"), fill.scan("photos")
    batch = fill.batch(before, b"a")
    assert batch is not None
    error = ImageError(ErrorKind.TRUNCATED, "cut")
    fill.judge(batch, fill.failed(batch.images[0].image_id, error))
    fill.batch(after, b"a", keep_from=before.scan_id)
    kept = count_images(fill.store, after.scan_id).kept
    listing.retry_errors(fill.store, after.scan_id, 100, lambda _path: None)

    assert kept == 1
    assert count_images(fill.store, after.scan_id).kept == 0
    assert fill.outcomes(before) == {b"a": "error"}


def test_several_batches_at_once(fill: Fill) -> None:
    """Batches of one transaction have their own images; one without new images is none."""
    scan = fill.scan()
    fill.batch(scan, b"c")
    groups = [[fill.listed(path) for path in paths] for paths in ((b"a", b"b"), (b"c",), (b"d",))]
    added = listing.add_batches(fill.store, scan, groups, None)

    assert [batch and [one.path for one in batch.images] for batch in added] == [
        [b"a", b"b"],
        None,
        [b"d"],
    ]
    assert count_images(fill.store, scan.scan_id).images == 4
