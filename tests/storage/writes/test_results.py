"""The progress of batches, and verdicts that may be written several times."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from storage.database.schema import finding, verdict
from storage.database.schema import run as runs
from storage.reads.report import read_figures
from storage.reads.verdicts import verdict_rows
from storage.records import ErrorKind, Finding, ImageError, Outcome, Photograph, Timings
from storage.writes import results, scans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Verdict
    from storage.writes.scans import Scan
    from tests.storage.conftest import Fill

SCORE = Finding("objects-32", "score", 0.25)
TAG = Finding("provenance", "generator_tag", 0.98, "said so", {"generator": "ComfyUI", "n": [1]})
CUT = ImageError(ErrorKind.TRUNCATED, "the file ends before the picture does")


def stored(fill: Fill, scan: Scan) -> list[Verdict | None]:
    """Return the verdicts of a scan in the order of its images."""
    return [row.verdict for row in verdict_rows(fill.store, scan.scan_id)]


def rows(fill: Fill) -> list[tuple[object, ...]]:
    """Return all that is stored of verdicts and findings."""
    with fill.store.read() as connection:
        tables = (connection.execute(sa.select(table)) for table in (verdict, finding))
        return [tuple(row) for found in tables for row in found]


def test_verdict_comes_back_as_it_was(fill: Fill) -> None:
    """A verdict is stored with its findings in order, digest, error, timings and camera."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b")
    assert batch is not None
    first, second = (one.image_id for one in batch.images)
    judged = replace(
        fill.verdict(first, Outcome.AI, TAG, SCORE),
        score=0.98,
        detector="provenance",
        timings=Timings(1, 2, 3),
        photograph=Photograph(1.5, "Canon EOS 80D", -(2**63)),
    )
    failed = fill.failed(second, CUT)
    fill.judge(batch, judged, failed)

    assert stored(fill, scan) == [judged, failed]


def test_same_verdict_again_changes_nothing(fill: Fill) -> None:
    """A batch that runs twice keeps the verdicts and timings of the first run."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a")
    assert batch is not None
    first = fill.verdict(batch.images[0].image_id, Outcome.AI, SCORE)
    second = replace(first, outcome=Outcome.UNSURE, timings=Timings(9, 9, 9))
    one, two = fill.run(batch), fill.run(batch)
    results.record_verdicts(fill.store, one, [first])
    results.record_verdicts(fill.store, two, [second])

    assert stored(fill, scan) == [first]


@pytest.mark.parametrize("final", [Outcome.AI, Outcome.UNSURE, Outcome.NO_EVIDENCE])
def test_verdict_is_final(fill: Fill, final: Outcome) -> None:
    """No later verdict of another outcome changes a verdict, nor its findings, run and times."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a")
    assert batch is not None
    judged = fill.verdict(batch.images[0].image_id, final, SCORE)
    late = fill.run(batch)
    fill.judge(batch, judged)
    before = rows(fill)
    for outcome in set(Outcome) - {Outcome.ERROR, final}:
        other = replace(judged, outcome=outcome, findings=(TAG,), timings=Timings(9, 9, 9))
        results.record_verdicts(fill.store, replace(late, attempt=99), [other])

    assert stored(fill, scan) == [judged]
    assert rows(fill) == before


def test_anything_replaces_an_error(fill: Fill) -> None:
    """A verdict replaces an error completely."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a")
    assert batch is not None
    judged = fill.verdict(batch.images[0].image_id, Outcome.AI, SCORE)
    run = fill.run(batch)
    results.record_verdicts(fill.store, run, [fill.failed(batch.images[0].image_id, CUT)])
    results.record_verdicts(fill.store, run, [judged])

    assert stored(fill, scan) == [judged]


def test_error_does_not_replace_a_verdict(fill: Fill) -> None:
    """An error that another run of the batch had changes no verdict."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a")
    assert batch is not None
    judged = fill.verdict(batch.images[0].image_id, Outcome.AI, TAG, SCORE)
    run = fill.run(batch)
    results.record_verdicts(fill.store, run, [judged])
    results.record_verdicts(fill.store, run, [fill.failed(batch.images[0].image_id, CUT)])

    assert stored(fill, scan) == [judged]


def test_findings_of_a_failed_image_are_kept(fill: Fill) -> None:
    """Findings from metadata are stored with an error of the pixels."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a")
    assert batch is not None
    failed = replace(fill.failed(batch.images[0].image_id, CUT), findings=(TAG,))
    fill.judge(batch, failed)

    assert stored(fill, scan) == [failed]


def test_run_gets_unjudged_images(fill: Fill) -> None:
    """A second run of a batch gets only images without a verdict."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b", b"c")
    assert batch is not None
    ids = [one.image_id for one in batch.images]
    first = results.begin_run(fill.store, batch.batch_id, 1, ("h1", "w1"))
    assert first is not None
    results.record_verdicts(fill.store, first[0], [fill.verdict(ids[1])])
    second = results.begin_run(fill.store, batch.batch_id, 2, ("h1", "w2"))
    assert second is not None

    assert first[1] == frozenset(ids)
    assert second[1] == frozenset({ids[0], ids[2]})
    assert (second[0].scan_id, second[0].attempt) == (scan.scan_id, 2)


def test_batch_is_done_with_its_last_verdict(fill: Fill) -> None:
    """A batch is done once all its images have verdicts, and is then not begun again."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b")
    assert batch is not None
    first, second = (one.image_id for one in batch.images)
    run = fill.run(batch)
    results.record_verdicts(fill.store, run, [fill.verdict(first)])
    early = results.finish_batch(fill.store, run)
    results.record_verdicts(fill.store, run, [fill.failed(second, CUT)])
    late = results.finish_batch(fill.store, run)
    again = results.finish_batch(fill.store, run)

    assert (early, late, again) == (False, True, True)
    assert results.begin_run(fill.store, batch.batch_id, 2, ("h1", "w1")) is None


def test_batch_that_is_gone_is_not_begun(fill: Fill) -> None:
    """An unknown batch cannot be begun or requeued."""
    assert results.begin_run(fill.store, 12345, 1, ("h1", "w1")) is None


def test_batch_again(fill: Fill) -> None:
    """A requeued batch has the unfinished images, and a higher attempt after a failure."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b")
    assert batch is not None
    run = fill.run(batch)
    results.record_verdicts(fill.store, run, [fill.verdict(batch.images[0].image_id)])
    same = results.requeue_batch(fill.store, batch.batch_id, failed=False)
    after_failure = results.requeue_batch(fill.store, batch.batch_id, failed=True)
    assert same is not None
    assert after_failure is not None

    assert same[0] == scan.scan_id
    assert same[1].images == batch.images[1:]
    assert (same[1].attempt, after_failure[1].attempt) == (1, 2)


def test_batch_again_with_nothing_left_is_done(fill: Fill) -> None:
    """Requeuing a batch without unfinished images marks it done."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a")
    assert batch is not None
    scans.mark_listed(fill.store, scan.scan_id, {}, 0)
    results.record_verdicts(fill.store, fill.run(batch), [fill.verdict(batch.images[0].image_id)])
    again = results.requeue_batch(fill.store, batch.batch_id, failed=True)

    assert again is None
    assert results.unfinished_batches(fill.store, "fleet") == []
    assert scans.find_scan(fill.store, scan.scan_id).finished_at is not None


def test_undone_batches(fill: Fill) -> None:
    """Unfinished batches are those of an owner's unfinished scans, or of one scan, oldest first."""
    one, two, cancelled = fill.scan(), fill.scan(), fill.scan()
    made = [fill.batch(scan, b"a") for scan in (one, two, cancelled, one)]
    ids = [batch.batch_id for batch in made if batch is not None]
    more = fill.batch(one, b"b")
    assert more is not None
    scans.cancel(fill.store, cancelled.scan_id)
    done = made[1]
    assert done is not None
    fill.judge(done, fill.verdict(done.images[0].image_id))
    mine = fill.scan()
    fill.batch(mine, b"a")
    scans.change_owner(fill.store, mine.scan_id, "mine")

    assert results.unfinished_batches(fill.store, "fleet") == [ids[0], more.batch_id]
    assert results.unfinished_batches(fill.store, "fleet", two.scan_id) == []
    assert len(results.unfinished_batches(fill.store, "mine")) == 1


def test_host_is_known_by_its_id(fill: Fill) -> None:
    """A renamed host stays one host, and two hosts with the same name stay two."""
    renamed = results.Host("h1", "kitchen", "aarch64", {"cores": 4})
    results.record_host(fill.store, renamed)
    results.record_host(fill.store, replace(renamed, host_id="h2"))
    scan = fill.scan()
    batch = fill.batch(scan, b"a")
    assert batch is not None
    fill.judge(batch, fill.verdict(batch.images[0].image_id))

    assert [row.host for row in verdict_rows(fill.store, scan.scan_id)] == ["kitchen"]


def test_empty_chunk_is_nothing(fill: Fill) -> None:
    """A chunk without verdicts writes nothing."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a")
    assert batch is not None
    results.record_verdicts(fill.store, fill.run(batch), [])

    assert stored(fill, scan) == [None]


def test_findings_follow_their_verdict(fill: Fill) -> None:
    """A replaced verdict loses its findings; a rejected one adds none."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b", b"c")
    assert batch is not None
    ids = [one.image_id for one in batch.images]
    replaced, refused = fill.verdict(ids[0], Outcome.AI, SCORE), fill.verdict(ids[1])
    new = fill.verdict(ids[2], Outcome.AI, SCORE)
    run = fill.run(batch)
    results.record_verdicts(
        fill.store, run, [replace(fill.failed(ids[0], CUT), findings=(TAG, TAG)), refused]
    )
    results.record_verdicts(fill.store, run, [replaced, replace(refused, findings=(TAG,)), new])

    assert stored(fill, scan) == [replaced, refused, new]


def test_invalid_text_is_replaced(fill: Fill) -> None:
    """NUL and surrogates in text are replaced at any depth, and reports still work."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b")
    assert batch is not None
    first, second = (one.image_id for one in batch.images)
    detail = {"generator": "Comfy\0UI", "chunks": [{"k\0": "\ud800"}, ("\0", 1)], "cfg": math.nan}
    odd = Finding("provenance", "generator_tag", 0.98, "made by\0\udfff \u00e9", detail)
    error = ImageError(ErrorKind.DAMAGED, "chunk te\0t")
    fill.judge(batch, fill.verdict(first, Outcome.AI, odd), fill.failed(second, error))
    verdicts = stored(fill, scan)
    found = read_figures(fill.store, scan.scan_id, {"provenance": 0.9})

    assert verdicts[0] is not None
    assert verdicts[0].findings == (
        replace(
            odd,
            text="made by\ufffd\ufffd \u00e9",
            detail={
                "generator": "Comfy\ufffdUI",
                "chunks": [{"k\ufffd": "\ufffd"}, ["\ufffd", 1]],
                "cfg": None,
            },
        ),
    )
    assert [one.generator for one in found.evidence] == ["Comfy\ufffdUI"]
    assert [one.examples for one in found.errors] == [((b"b", "chunk te\ufffdt"),)]


def test_run_has_the_higher_attempt(fill: Fill) -> None:
    """A run has the higher attempt of message and batch."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a")
    assert batch is not None
    results.requeue_batch(fill.store, batch.batch_id, failed=True)
    attempts = []
    for attempt in (1, 2, 3):
        begun = results.begin_run(fill.store, batch.batch_id, attempt, ("h1", "w1"))
        assert begun is not None
        attempts.append(begun[0].attempt)
    with fill.store.read() as connection:
        recorded = list(connection.scalars(sa.select(runs.c.attempt).order_by(runs.c.id)))

    assert attempts == [2, 2, 3]
    assert recorded == attempts


@pytest.mark.parametrize(
    "store_url", ["postgres"], indirect=True
)  # SQLite has one writer at a time
@pytest.mark.parametrize("other", [Outcome.AI, Outcome.ERROR])
def test_verdict_that_is_committed_in_between(
    fill: Fill, monkeypatch: pytest.MonkeyPatch, other: Outcome
) -> None:
    """A worker that looked before another one committed replaces its error, and nothing else."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a", b"b")
    assert batch is not None
    first, second = (one.image_id for one in batch.images)
    run, late = fill.run(batch), fill.run(batch)
    early = fill.failed(first, CUT) if other == Outcome.ERROR else fill.verdict(first, other, SCORE)
    judged = [fill.verdict(image_id, Outcome.UNSURE, TAG) for image_id in (first, second)]
    look = results._make_way
    looked: list[tuple[set[int], set[int]]] = []

    def look_too_early(
        connection: sa.Connection, scan_id: int, images: Sequence[int]
    ) -> tuple[set[int], set[int]]:
        existing = look(connection, scan_id, images)
        if not looked:
            looked.append(existing)
            results.record_verdicts(fill.store, run, [early])
        return existing

    monkeypatch.setattr(results, "_make_way", look_too_early)
    results.record_verdicts(fill.store, late, judged, is_last=True)

    assert looked == [(set(), set())]
    assert stored(fill, scan) == [judged[0] if other == Outcome.ERROR else early, judged[1]]


def test_last_verdicts_end_the_batch(fill: Fill) -> None:
    """The last verdicts mark their batch and its scan, if there are no others left."""
    scan = fill.scan()
    scans.mark_listed(fill.store, scan.scan_id, {}, 0)
    batch = fill.batch(scan, b"a", b"b")
    assert batch is not None
    run = fill.run(batch)
    first, second = (fill.verdict(one.image_id) for one in batch.images)
    results.record_verdicts(fill.store, run, [first], is_last=True)
    early = results.unfinished_batches(fill.store, "fleet")
    results.record_verdicts(fill.store, run, [second], is_last=True)

    assert early == [batch.batch_id]
    assert results.unfinished_batches(fill.store, "fleet") == []
    assert scans.find_scan(fill.store, scan.scan_id).finished_at is not None


def test_texts_come_back_as_they_were(fill: Fill) -> None:
    """Tabs, quotes, backslashes and what looks like NULL survive every way of writing rows."""
    scan = fill.scan()
    batch = fill.batch(scan, b"a\tb\\N")
    assert batch is not None
    text = 'a\tb\nc "x" {NULL} ' + r"\N \t \\"
    odd = Finding("provenance", "tag", None, text, {"k": text})
    digest = b"\x00\xff\\N\t" + bytes(27)
    judged = replace(fill.verdict(batch.images[0].image_id, Outcome.AI, odd), digest=digest)
    fill.judge(batch, judged)

    assert stored(fill, scan) == [judged]
