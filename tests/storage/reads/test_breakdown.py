"""Breakdowns of a scan, on SQLite and Postgres."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from storage.reads import breakdown, compare, folders, labelled, report
from storage.reads.breakdown import Copies
from storage.reads.compare import Change, Pair
from storage.reads.coverage import Scored
from storage.reads.folders import Folders, OutcomeCounts
from storage.records import ErrorKind, Finding, ImageError, Outcome
from storage.writes import listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.reads.breakdown import Breakdown
    from storage.records import Batch
    from storage.writes.scans import Scan
    from tests.storage.conftest import Fill


def read(fill: Fill, scan: Scan, ai_from: Mapping[str, float] | None = None) -> Breakdown:
    """Return the breakdown of a scan."""
    with fill.store.read() as connection:
        return breakdown.read_breakdown(connection, scan.scan_id, ai_from or {}, is_labelled=True)


def judged(fill: Fill, scan: Scan, outcomes: Mapping[bytes, Outcome | None]) -> Batch:
    """Add a batch with these outcomes; None is not judged yet."""
    batch = fill.batch(scan, *outcomes)
    assert batch is not None
    failure = ImageError(ErrorKind.EMPTY, "no bytes")
    verdicts = [
        fill.failed(one.image_id, failure)
        if outcome == Outcome.ERROR
        else fill.verdict(one.image_id, outcome)
        for one in batch.images
        if (outcome := outcomes[one.path]) is not None
    ]
    fill.judge(batch, *verdicts)
    return batch


OUTCOMES = {
    b"a/x/1": Outcome.AI,
    b"a/2": Outcome.NO_EVIDENCE,
    b"b\xff/3": Outcome.ERROR,
    b"b\xff/4": None,
    b"5": Outcome.UNSURE,
}


@pytest.mark.parametrize("steps", [folders.MAX_STEPS, 1])
def test_by_folder(fill: Fill, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Each folder counts everything below it; files beside folders are counted separately."""
    monkeypatch.setattr(folders, "MAX_STEPS", steps)
    scan = fill.scan()
    judged(fill, scan, OUTCOMES)

    assert read(fill, scan).folders == Folders(
        b"",
        {
            b"a": OutcomeCounts(2, ai=1),
            b"b\xff": OutcomeCounts(2, error=1),
            b"": OutcomeCounts(1, unsure=1),
        },
        OutcomeCounts(0),
    )


def test_names_that_sort_between(fill: Fill) -> None:
    """Folders are counted correctly whatever names sort between them."""
    scan = fill.scan()
    judged(fill, scan, {b"a/1": Outcome.AI, b"a0": None, b"a-b/2": None, b"a-b0/3": None})

    assert read(fill, scan).folders.by_name == {
        b"a": OutcomeCounts(1, ai=1),
        b"a-b": OutcomeCounts(1),
        b"a-b0": OutcomeCounts(1),
        b"": OutcomeCounts(1),
    }


def test_common_folder_is_left_out(fill: Fill) -> None:
    """The folder that contains all images is not listed, but the folders in it."""
    scan = fill.scan()
    judged(fill, scan, {b"all/in/ab/1": Outcome.AI, b"all/in/ac/2": None, b"all/in/ac/3": None})
    found = read(fill, scan).folders

    assert found.parent == b"all/in/"
    assert found.by_name == {b"ab": OutcomeCounts(1, ai=1), b"ac": OutcomeCounts(2)}


def test_images_of_other_scans_do_not_count(fill: Fill) -> None:
    """Images of the collection that are not in the scan do not count."""
    before, after = fill.scan("photos"), fill.scan("photos")
    judged(fill, before, {b"a/1": Outcome.AI, b"a/2": Outcome.AI, b"b/3": Outcome.AI})
    judged(fill, after, {b"a/1": Outcome.AI, b"b/3": None})

    assert read(fill, after).folders.by_name == {
        b"a": OutcomeCounts(1, ai=1),
        b"b": OutcomeCounts(1),
    }


def test_many_folders(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest folders are listed, the others counted together."""
    monkeypatch.setattr(folders, "MAX_FOLDERS", 1)
    scan = fill.scan()
    judged(fill, scan, {b"a/1": None, b"b/2": Outcome.AI, b"b/3": None, b"c/4": Outcome.AI})
    found = read(fill, scan).folders

    assert found.by_name == {b"b": OutcomeCounts(2, ai=1)}
    assert found.others == OutcomeCounts(2, ai=1)


def test_by_month(fill: Fill) -> None:
    """Months are those of the files, in UTC; times beyond the calendar are unknown."""
    scan = fill.scan()
    times = {
        b"1": int(datetime(2024, 2, 29, 23, 59, tzinfo=UTC).timestamp()) * 10**9,
        b"2": int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 10**9,
        b"3": int(datetime(2024, 3, 31, tzinfo=UTC).timestamp()) * 10**9,
    }
    listed = [fill.listed(path, mtime_ns=at) for path, at in times.items()]
    batch = listing.add_batch(fill.store, scan, listed, None)
    assert batch is not None
    fill.judge(batch, fill.verdict(batch.images[1].image_id, Outcome.AI))

    assert read(fill, scan).months == {
        "2024-02": OutcomeCounts(1),
        "2024-03": OutcomeCounts(2, ai=1),
    }


def test_copies(fill: Fill) -> None:
    """Files of the same bytes are copies; files without a digest do not count."""
    scan = fill.scan()
    batch = fill.batch(scan, *(b"%d" % n for n in range(5)))
    assert batch is not None
    digests = [b"\x01" * 32, b"\x01" * 32, b"\xf0" * 32, b"\x01" * 32, None]
    outcomes = [Outcome.AI, Outcome.AI, Outcome.AI, Outcome.NO_EVIDENCE, Outcome.NO_EVIDENCE]
    fill.judge(
        batch,
        *(
            replace(fill.verdict(one.image_id, outcome), digest=digest)
            for one, outcome, digest in zip(batch.images, outcomes, digests, strict=True)
        ),
    )

    assert read(fill, scan).copies == Copies(4, 2, 3, 2, 1)


def test_copies_of_many(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many images, copies are counted among a share of the digests."""
    monkeypatch.setattr(breakdown, "DIGESTS_COMPARED", 3)
    scan = fill.scan()
    batch = fill.batch(scan, *(b"%d" % n for n in range(4)))
    assert batch is not None
    digests = [b"\x0f" * 32, b"\x0f" * 32, b"\x10" * 32, b"\xf0" * 32]
    fill.judge(
        batch,
        *(
            replace(fill.verdict(one.image_id), digest=digest)
            for one, digest in zip(batch.images, digests, strict=True)
        ),
    )

    assert read(fill, scan).copies == Copies(2, 1, 0, 0, 16)


def test_coverage_of_detectors(fill: Fill) -> None:
    """Images, not regions, are counted by their detectors: as measured, and not settled."""
    scan = fill.scan()
    batch = fill.batch(scan, b"1", b"2", b"3", b"4", b"5", b"6")
    assert batch is not None
    said = [
        (Finding("faces", "face", 0.95), Finding("faces", "face", 0.2)),
        (Finding("faces", "face", 0.1), Finding("scenes", "score", 0.9)),
        (
            Finding("faces", "face", 0.99, "", {"resized_from": [9, 9]}),
            Finding("scenes", "score", 0.95, "", {"resized_from": [9, 9]}),
        ),
        (Finding("router", "no_detector"), Finding("scenes", "score", 0.89)),
        (Finding("router", "degraded"), Finding("scenes", "score", 0.99)),
        (Finding("provenance", "generator_tag", 0.98), Finding("scenes", "score", 0.99)),
    ]
    fill.judge(
        batch,
        *(
            fill.verdict(one.image_id, Outcome.AI, *found)
            for one, found in zip(batch.images, said, strict=True)
        ),
    )

    names = ("provenance", "faces", "scenes", "objects-32")
    coverage = read(fill, scan, dict.fromkeys(names, 0.9)).coverage

    assert {"faces": 3, "scenes": 5, "objects-32": 0} == coverage.scored
    assert 1 == coverage.settled
    assert {
        Scored(("faces",), 1, 1),
        Scored(("faces", "scenes"), 1, 1),
        Scored(("scenes",), 1, 0),
    } == set(coverage.as_measured)


def test_calls_against_labels(fill: Fill) -> None:
    """Scored, labelled images are counted by folder and by deciding detector."""
    scan = fill.scan()
    labels = {b"a/1": True, b"a/2": False, b"b/3": True, b"b/4": None}
    listed = [fill.listed(path, label=label) for path, label in labels.items()]
    batch = listing.add_batch(fill.store, scan, listed, None)
    assert batch is not None
    scores = (0.9, 0.5, 0.1, 0.9)
    fill.judge(
        batch,
        *(
            replace(fill.verdict(one.image_id, Outcome.AI), score=score)
            for one, score in zip(batch.images, scores, strict=True)
        ),
    )
    found = read(fill, scan)

    assert found.calls_by_folder == {
        b"a": Counter({(True, True): 1, (False, True): 1}),
        b"b": Counter({(True, False): 1}),
    }
    assert found.calls_by_detector == {
        "objects-32": Counter({(True, True): 1, (False, True): 1, (True, False): 1})
    }


def test_many_labelled_scores_come_in_steps(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of many images are rounded to steps; none crosses the threshold."""
    monkeypatch.setattr(labelled, "EXACT_IMAGES", 3)
    scan = fill.scan()
    listed = [fill.listed(b"%d" % n, label=True) for n in range(4)]
    batch = listing.add_batch(fill.store, scan, listed, None)
    assert batch is not None
    scores = (0.5, 0.4999999, 1.0, 0.0)
    fill.judge(
        batch,
        *(
            replace(fill.verdict(one.image_id, Outcome.AI), score=score)
            for one, score in zip(batch.images, scores, strict=True)
        ),
    )
    found = [one.score for one in report.read_figures(fill.store, scan.scan_id, {}).labelled]
    told = sorted(score for score in found if score is not None)

    assert told == pytest.approx(sorted(scores), abs=1 / 4096)
    assert [score >= 0.5 for score in told] == [False, False, True, True]


def test_changes(fill: Fill) -> None:
    """Images that both scans judged are counted by outcomes and correctness."""
    before, after = fill.scan("photos"), fill.scan("photos", rules=2)
    judged(fill, before, {b"1": Outcome.AI, b"2": Outcome.NO_EVIDENCE, b"3": Outcome.AI})
    listed = [fill.listed(b"1", label=False), fill.listed(b"2"), fill.listed(b"3")]
    batch = listing.add_batch(fill.store, after, listed, None)
    assert batch is not None
    first, second, _ = batch.images
    fill.judge(
        batch,
        replace(fill.verdict(first.image_id, Outcome.UNSURE), score=0.7),
        fill.verdict(second.image_id, Outcome.NO_EVIDENCE),
    )
    found = compare.compare_scans(fill.store, before.scan_id, after.scan_id)

    # A score of 0.25 was right about a real image, 0.7 is not.
    assert set(found.pairs) == {
        Pair(Outcome.AI, Outcome.UNSURE, False, True, False, 1),
        Pair(Outcome.NO_EVIDENCE, Outcome.NO_EVIDENCE, None, None, None, 1),
    }
    assert found.examples == (Change(b"1", Outcome.AI, Outcome.UNSURE),)
