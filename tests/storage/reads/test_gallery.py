"""Pages of the gallery: in order, without gaps, by every filter, and by an index."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from storage.reads import gallery
from storage.reads.gallery import Reviewed, Selection
from storage.records import ErrorKind, Finding, ImageError, Outcome
from storage.writes import results
from storage.writes.reviews import Answer, record_answer

if TYPE_CHECKING:
    from storage.reads.gallery import Tile
    from storage.writes.scans import Scan
    from tests.storage.conftest import Fill

EVERYTHING = Selection(outcomes=tuple(Outcome))


def filled(fill: Fill) -> tuple[Scan, dict[int, dict[str, object]]]:
    """Add a scan of 120 images of every kind, some with equal scores; return their verdicts."""
    results.record_host(fill.store, results.Host("h2", "laptop", "x86_64", {}))
    scan = fill.scan()
    chance = random.Random(5)
    rows: dict[int, dict[str, object]] = {}
    for host, folder in (("h1", "a"), ("h2", "a/b"), ("h1", "ab")):
        batch = fill.batch(scan, *(f"{folder}/{n:02}.jpg".encode() for n in range(40)))
        assert batch is not None
        verdicts = []
        for image in batch.images:
            outcome = chance.choice(list(Outcome))
            failed = outcome is Outcome.ERROR
            score = None if failed else chance.choice([0.5, 0.7, 0.9, chance.random()])
            if outcome is Outcome.NO_EVIDENCE and chance.random() < 0.4:
                score = None
            kind = chance.choice(list(ErrorKind)) if failed else None
            evidence = Finding(
                "provenance", chance.choice(["c2pa_generated", "generator_tag"]), score
            )
            verdicts.append(
                replace(
                    fill.verdict(image.image_id, outcome, evidence),
                    score=score,
                    detector=None if score is None else chance.choice(["provenance", "objects-32"]),
                    examined=chance.random() < 0.5,
                    error=None if kind is None else ImageError(kind, "why"),
                )
            )
            rows[image.image_id] = {
                "folder": folder,
                "host": host,
                "evidence": evidence.kind,
                "error": kind,
                "outcome": outcome,
                "score": score,
                "detector": verdicts[-1].detector,
            }
        results.record_verdicts(fill.store, fill.run(batch, host), verdicts)
    return scan, rows


def in_order(rows: dict[int, dict[str, object]]) -> list[int]:
    """Return the images in the order of the pages: flagged by score, then others, latest first."""

    def rank(one: int) -> tuple[float, int]:
        flagged = rows[one]["outcome"] in {Outcome.AI, Outcome.UNSURE}
        return (float(str(rows[one]["score"])) if flagged else -1.0, one)

    return sorted(rows, key=rank, reverse=True)


def walked(fill: Fill, scan: Scan, selection: Selection, limit: int = 7) -> list[Tile]:
    """Return all pages of a selection."""
    tiles: list[Tile] = []
    while more := gallery.page(
        fill.store, scan, selection, limit, tiles[-1].position if tiles else None
    ):
        tiles += more
    return tiles


def test_pages_have_every_image_once_and_in_order(fill: Fill) -> None:
    """Pages forwards, and backwards from the end, have the same images in the same order."""
    scan, rows = filled(fill)
    tiles = walked(fill, scan, EVERYTHING)
    back = [tiles[-1]]
    while more := gallery.page_before(fill.store, scan, EVERYTHING, 7, back[0].position):
        back = more + back

    assert in_order(rows) == [tile.image_id for tile in tiles]
    assert tiles == back


@pytest.mark.parametrize(
    ("selection", "key", "values"),
    [
        (Selection(), "outcome", {Outcome.AI, Outcome.UNSURE}),
        (Selection(outcomes=(Outcome.NO_EVIDENCE,)), "outcome", {Outcome.NO_EVIDENCE}),
        (replace(EVERYTHING, detector="objects-32"), "detector", {"objects-32"}),
        (replace(EVERYTHING, folder=b"a"), "folder", {"a", "a/b"}),
        (replace(EVERYTHING, folder=b"a/b/"), "folder", {"a/b"}),
        (replace(EVERYTHING, host="h2"), "host", {"h2"}),
        (replace(EVERYTHING, evidence="generator_tag"), "evidence", {"generator_tag"}),
        (replace(EVERYTHING, error=ErrorKind.DAMAGED), "error", {ErrorKind.DAMAGED}),
    ],
)
def test_each_filter_selects_its_images(
    fill: Fill, selection: Selection, key: str, values: set[str]
) -> None:
    """A selection has exactly the images that match it."""
    scan, rows = filled(fill)
    wanted = [one for one in in_order(rows) if rows[one][key] in values]

    assert wanted
    assert wanted == [tile.image_id for tile in walked(fill, scan, selection)]
    assert wanted == [tile.image_id for tile in gallery.iterate(fill.store, scan, selection)]


def test_images_are_filtered_by_review(fill: Fill) -> None:
    """Images are selected by review: yes, no, or in disagreement."""
    scan, rows = filled(fill)
    by_outcome = {
        outcome: [one for one in rows if rows[one]["outcome"] is outcome] for outcome in Outcome
    }
    agreed, denied, disputed = by_outcome[Outcome.AI][:3]
    unsure, clean = by_outcome[Outcome.UNSURE][0], by_outcome[Outcome.NO_EVIDENCE][0]
    said = [
        (agreed, Answer.AI, "ann"),
        (denied, Answer.NOT_AI, "ann"),
        (disputed, Answer.AI, "ann"),
        (disputed, Answer.NOT_AI, "bob"),
        (unsure, Answer.NOT_AI, "ann"),
        (clean, Answer.AI, "ann"),
    ]
    for image_id, answer, who in said:
        record_answer(fill.store, scan.scan_id, image_id, answer, who)

    def images(reviewed: Reviewed) -> set[int]:
        return {t.image_id for t in walked(fill, scan, replace(EVERYTHING, reviewed=reviewed))}

    assert {agreed, denied, disputed, unsure, clean} == images(Reviewed.YES)
    assert set(rows) - images(Reviewed.YES) == images(Reviewed.NO)
    assert {denied, disputed, clean} == images(Reviewed.DISAGREE)


def test_a_page_is_read_from_the_index(sqlite_fill: Fill) -> None:
    """A page's query neither sorts nor reads the table, which would take seconds for a million."""
    scan, _ = filled(sqlite_fill)
    for (conditions, flagged), forwards in itertools.product(
        gallery._ranges(scan, EVERYTHING), (True, False)
    ):
        place = gallery.Position(0.5 if flagged else None, 9)
        step = gallery._Step(place, 60, forwards)
        query = gallery._part(conditions, step, flagged=flagged)
        with sqlite_fill.store.read() as connection:
            compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]

        assert len(plan) == 1, plan
        assert "USING COVERING INDEX" in plan[0]
        assert ("(score,image_id)" if flagged else "image_id") in plan[0]
