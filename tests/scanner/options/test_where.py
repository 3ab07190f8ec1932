"""The conditions of `--where`, as typed, in both kinds of store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from scanner.options.where import parse_where
from storage.database.store import Store
from storage.reads.report import read_figures
from storage.reads.verdicts import verdict_rows
from storage.records import (
    ErrorKind,
    Finding,
    ImageError,
    ListedImage,
    Outcome,
    Plan,
    Timings,
    Verdict,
)
from storage.writes import listing, results, reviews, scans
from storage.writes.reviews import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

# Path, label, outcome, score, detector.
IMAGES = [
    (b"2019/a.jpg", True, Outcome.AI, 0.95, "objects-32"),
    (b"2019/sub/b.jpg", False, Outcome.UNSURE, 0.6, "objects-32"),
    (b"2019x/c.jpg", None, Outcome.AI, 0.98, "provenance"),
    (b"d,e/d.jpg", None, Outcome.NO_EVIDENCE, 0.1, "objects-32"),
    (b"\xff/e.jpg", None, Outcome.ERROR, None, None),
    (b"f.jpg", None, None, None, None),
]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """Return a store of each kind with the images."""
    opened = Store.unchecked(store_url)
    opened.upgrade()
    results.record_host(opened, results.Host("h1", "pi", "aarch64", {}))
    collection_id = scans.ensure_collection(opened, "photos", b"/photos")
    begun = scans.new_scan(opened, collection_id, scans.ensure_plan(opened, Plan(())), "fleet")
    listed = [
        ListedImage(path, 10, 1, truth, edited=path.endswith(b"b.jpg"))
        for path, truth, *_ in IMAGES
    ]
    batch = listing.add_batch(opened, begun, listed, None)
    assert batch is not None
    going = results.begin_run(opened, batch.batch_id, 1, ("h1", "w"))
    assert going is not None
    verdicts = []
    for one, (_, _, outcome, score, detector) in zip(batch.images, IMAGES, strict=True):
        if outcome is None:
            continue
        error = ImageError(ErrorKind.EMPTY, "-") if outcome == Outcome.ERROR else None
        said = () if detector is None else (Finding(detector, "score", score),)
        verdicts.append(
            Verdict(one.image_id, outcome, score, detector, True, said, error, None, Timings())
        )
    results.record_verdicts(opened, going[0], verdicts)
    for answer in (Answer.NOT_AI, Answer.AI):  # the last one stands
        reviews.record_answer(opened, begun.scan_id, batch.images[1].image_id, answer, "ann")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([], "abcdef"),
        (["verdict=ai"], "ac"),
        (["verdict=ai, unsure"], "abc"),
        (["verdict=pending"], "f"),
        (["verdict!=ai"], "bdef"),
        (["score>=0.6", "score<0.98"], "ab"),
        (["score <= 0.1"], "d"),
        (["folder=2019"], "ab"),
        (["folder=2019/sub/"], "b"),
        (["folder=./d,e"], "d"),
        (["folder=\udcff"], "e"),
        (["detector=provenance"], "c"),
        (["detector!=objects-32"], "cef"),
        (["error=empty,truncated"], "e"),
        (["host=pi", "verdict=no_evidence"], "d"),
        (["label=ai"], "a"),
        (["truth=ai"], "a"),
        (["truth=real"], "b"),
        (["reviewed=ai"], "b"),
        (["reviewed=not_ai,cant_tell"], ""),
        (["reviewed=no", "verdict=ai"], "ac"),
        (["edited=yes"], "b"),
        (["edited=no"], "acdef"),
    ],
)
def test_rows_that_match(store: Store, typed: list[str], expected: str) -> None:
    """All conditions have to match, of several values any; findings come with their rows."""
    rows = list(verdict_rows(store, 1, parse_where(typed)))

    assert "".join(chr(row.path.rpartition(b"/")[2][0]) for row in rows) == expected
    assert all(
        [finding.score for finding in row.verdict.findings] == [row.verdict.score]
        for row in rows
        if row.verdict is not None and row.verdict.error is None
    )


def test_edited_versions_are_counted(store: Store) -> None:
    """The figures of a report have the edited versions by verdict."""
    assert {Outcome.UNSURE: 1} == read_figures(store, 1, {}).edited


@pytest.mark.parametrize(
    "typed",
    [
        "nonsense",
        "colour=red",
        "verdict=fake",
        "score>=many",
        "score=2",
        "score=nan",
        "verdict>ai",
        "folder=/",
        "label=perhaps",
        "edited=perhaps",
        "truth=perhaps",
        "error=bad",
    ],
)
def test_invalid_condition(typed: str) -> None:
    """An invalid condition is an error of the option."""
    with pytest.raises(click.BadParameter) as error:
        parse_where([typed])

    assert error.value.param_hint == "--where"
