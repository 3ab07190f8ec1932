"""Neighbourhoods of images that may be copies or bursts: whole, in order, and by an index."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from storage.reads import alike, gallery
from storage.reads.selection import Selection, Sort
from storage.records import Outcome, Photograph

if TYPE_CHECKING:
    from storage.reads.gallery import Tile
    from storage.writes.scans import Scan
    from tests.storage.conftest import Fill

# A time at which a span begins.
NOON = 1_558_008_000.0
BY_NAME = Selection(outcomes=tuple(Outcome), sort=Sort.NAME)


def filled(fill: Fill, *images: tuple[Outcome, float | None]) -> Scan:
    """Add a scan of images with these outcomes and dates, of ten bytes each."""
    scan = fill.scan()
    batch = fill.batch(scan, *(f"{n}.jpg".encode() for n in range(len(images))))
    assert batch is not None
    verdicts = [
        replace(fill.verdict(one.image_id, outcome), photograph=Photograph(taken_at=taken_at))
        for one, (outcome, taken_at) in zip(batch.images, images, strict=True)
    ]
    fill.judge(batch, *verdicts)
    return scan


def names(groups: list[list[Tile]]) -> list[list[str]]:
    """Return the names of images."""
    return [[tile.path.decode() for tile in group] for group in groups]


def test_a_neighbourhood_is_of_five_minutes_or_of_a_size(fill: Fill) -> None:
    """An image is with those of its five minutes; without a date, with those of its size."""
    scan = filled(
        fill,
        (Outcome.AI, NOON),
        (Outcome.AI, NOON + 299),
        (Outcome.AI, NOON + 300),
        (Outcome.AI, None),
        (Outcome.AI, None),
    )
    tiles = gallery.page(fill.store, scan, BY_NAME, 5)
    every = names(alike.neighbourhoods(fill.store, scan, BY_NAME, tiles))
    of_last = names(alike.neighbourhoods(fill.store, scan, BY_NAME, tiles[-1:]))
    backwards = replace(BY_NAME, is_reversed=True)

    assert [["0.jpg", "1.jpg"], ["2.jpg"], ["3.jpg", "4.jpg"]] == sorted(every)
    assert [["3.jpg", "4.jpg"]] == of_last
    assert [["4.jpg", "3.jpg"]] == names(
        alike.neighbourhoods(fill.store, scan, backwards, tiles[-1:])
    )
    assert [] == alike.neighbourhoods(fill.store, scan, BY_NAME, [])


def test_a_neighbourhood_is_of_the_selection(fill: Fill) -> None:
    """Images that the selection leaves out are in no neighbourhood."""
    scan = filled(fill, (Outcome.AI, NOON), (Outcome.NO_EVIDENCE, NOON), (Outcome.UNSURE, NOON))
    flagged = Selection()
    tiles = gallery.page(fill.store, scan, flagged, 5)

    assert [["2.jpg", "0.jpg"]] == names(alike.neighbourhoods(fill.store, scan, flagged, tiles))


def test_beyond_the_first_of_a_span_images_are_alone(fill: Fill) -> None:
    """Images beyond those that are compared stand alone, and none is missing."""
    most = alike.MOST
    scan = filled(fill, *[(Outcome.AI, NOON)] * (most + 2))
    tiles = gallery.page(fill.store, scan, BY_NAME, most + 2)
    groups = alike.neighbourhoods(fill.store, scan, BY_NAME, tiles)

    assert [1, 1, most] == sorted(map(len, groups))
    assert {tile.path for tile in tiles} == {tile.path for group in groups for tile in group}


def test_candidates_come_from_an_index(sqlite_fill: Fill) -> None:
    """Neither the verdicts nor the entries of a scan are read as a whole, or sorted."""
    scan = filled(sqlite_fill, (Outcome.AI, NOON), (Outcome.AI, None))
    plans = []
    for key in (("taken", int(NOON // alike.SPAN_SECONDS)), ("size", 10)):
        with sqlite_fill.store.read() as connection:
            compiled = alike._of(scan, key).compile(
                connection, compile_kwargs={"literal_binds": True}
            )
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
            plans.append([row[3] for row in rows])

    assert [1, 1] == [len(plan) for plan in plans]
    assert (
        "COVERING INDEX ix_verdict_taken (scan_id=? AND taken_at>? AND taken_at<?)" in plans[0][0]
    )
    assert "ix_entry_scan_id_size_bytes_image_id (scan_id=? AND size_bytes=?)" in plans[1][0]
