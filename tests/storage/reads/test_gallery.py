"""Pages of the gallery: in order, without gaps, by every filter, and by an index."""

from __future__ import annotations

import itertools
import random
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from storage.database.schema import entry
from storage.reads import gallery, order
from storage.reads.choices import Choices, read_choices
from storage.reads.names import suggestions
from storage.reads.order import Position
from storage.reads.selection import FEW, Reviewed, Selection, Sort, month_span
from storage.records import ErrorKind, Finding, ImageError, Outcome, Photograph
from storage.writes import results
from storage.writes.reviews import Answer, record_answer

if TYPE_CHECKING:
    from storage.reads.gallery import Tile
    from storage.writes.scans import Scan
    from tests.storage.conftest import Fill

# The first second.
MAY_2019 = datetime(2019, 5, 1, tzinfo=UTC).timestamp()
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
                "provenance",
                chance.choice(["c2pa_generated", "generator_tag"]),
                score,
                detail=chance.choice([{}, {"generator": "ComfyUI"}, {"generator": "Firefly"}]),
            )
            verdicts.append(
                replace(
                    fill.verdict(image.image_id, outcome, evidence),
                    score=score,
                    detector=None if score is None else chance.choice(["provenance", "objects-32"]),
                    examined=chance.random() < 0.5,
                    error=None if kind is None else ImageError(kind, "why"),
                    photograph=Photograph(
                        chance.choice([None, MAY_2019 - 1, MAY_2019, MAY_2019 + 3e6, 0.0]),
                        chance.choice([None, "Canon EOS 80D", "Apple iPhone 13"]),
                    ),
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
                "examined": verdicts[-1].examined,
                "camera": verdicts[-1].photograph.camera,
                "taken": verdicts[-1].photograph.taken_at,
                "generator": evidence.detail.get("generator"),
                "path": image.path,
                "size": image.size_bytes,
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
        (replace(EVERYTHING, is_examined=False), "examined", {False}),
        (replace(EVERYTHING, is_examined=True), "examined", {True}),
        (replace(EVERYTHING, generator="ComfyUI"), "generator", {"ComfyUI"}),
        (replace(EVERYTHING, camera="Canon EOS 80D"), "camera", {"Canon EOS 80D"}),
        (replace(EVERYTHING, month="2019-05"), "taken", {MAY_2019}),
        (replace(EVERYTHING, month="2019"), "taken", {MAY_2019 - 1, MAY_2019, MAY_2019 + 3e6}),
        (replace(EVERYTHING, name=b"A/B"), "folder", {"a/b"}),
    ],
)
def test_each_filter_selects_its_images(
    fill: Fill, selection: Selection, key: str, values: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A selection has exactly the images that match it, be they few or many."""
    scan, rows = filled(fill)
    wanted = [one for one in in_order(rows) if rows[one][key] in values]

    assert wanted
    assert wanted == [tile.image_id for tile in walked(fill, scan, selection)]
    monkeypatch.setattr("storage.reads.selection.FEW", 2)
    assert wanted == [tile.image_id for tile in gallery.iterate(fill.store, scan, selection)]


@pytest.mark.parametrize("few", [FEW, 2])
def test_images_are_sorted(fill: Fill, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each order has every image once, forwards and backwards, be they few or many."""
    monkeypatch.setattr("storage.reads.order.FEW", few)
    scan, rows = filled(fill)
    with fill.store.write() as connection:
        for n, (image_id, row) in enumerate(rows.items()):
            row["size"], row["changed"] = 1000 * n % 7, 5 - 1000 * n % 11
            connection.execute(
                sa.update(entry)
                .where(entry.c.image_id == image_id)
                .values(size_bytes=row["size"], mtime_ns=row["changed"])
            )
    keys = {Sort.NAME: "path", Sort.TAKEN: "taken", Sort.SIZE: "size", Sort.CHANGED: "changed"}
    for (sort, key), is_reversed in itertools.product(keys.items(), (False, True)):
        wanted = replace(EVERYTHING, sort=sort, is_reversed=is_reversed)
        known: list[Any] = [(row[key], image_id) for image_id, row in rows.items()]
        ascending = is_reversed is not (sort is Sort.NAME)
        known.sort(key=lambda one: (one[0] or b"" if sort is Sort.NAME else one[0] or 0.0, one[1]))
        dated = [image_id for key, image_id in known if key is not None]
        undated = [image_id for key, image_id in known if key is None]
        step = 1 if ascending else -1
        expected = dated[::step] + undated[::step]
        tiles = walked(fill, scan, wanted, 23)
        back = [tiles[-1]]
        while more := gallery.page_before(fill.store, scan, wanted, 23, back[0].position):
            back = more + back

        assert expected == [tile.image_id for tile in tiles], wanted
        assert tiles == gallery.in_order(wanted, tiles[::-1])
        assert tiles == back


@pytest.mark.parametrize("few", [FEW, 0])
def test_images_of_a_repeated_scan_are_listed_once(
    fill: Fill, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each order has an image once that two scans of its collection judged."""
    monkeypatch.setattr("storage.reads.order.FEW", few)
    paths = (b"a.jpg", b"b.jpg")
    for _ in range(2):
        scan = fill.scan("photos")
        batch = fill.batch(scan, *paths)
        assert batch is not None
        ids = [image.image_id for image in batch.images]
        fill.judge(batch, *(fill.verdict(image_id, Outcome.AI) for image_id in ids))
    for sort in Sort:
        tiles = walked(fill, scan, replace(EVERYTHING, sort=sort))

        assert sorted(ids) == sorted(tile.image_id for tile in tiles), sort


def test_reversed_scores_end_with_the_highest(fill: Fill) -> None:
    """The order of scores is reversed as a whole."""
    scan, rows = filled(fill)
    tiles = walked(fill, scan, replace(EVERYTHING, is_reversed=True))

    assert in_order(rows)[::-1] == [tile.image_id for tile in tiles]


NAMES = (
    "2019/Lisbon trip/IMG_0001.JPG",
    "2019/lisbon/img_0002.jpg",
    "2020/100%/a_b.jpg",
    "2020/axb.jpg",
    unicodedata.normalize("NFD", "Été/Ågot.jpg"),
)


@pytest.mark.parametrize("few", [FEW, 0])
def test_images_are_found_by_name(fill: Fill, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All words have to be in the path, in any order and case; nothing is a wildcard."""
    monkeypatch.setattr("storage.reads.selection.FEW", few)
    scan = fill.scan()
    batch = fill.batch(scan, *(name.encode() for name in NAMES), b"not utf-8 \xff.jpg")
    assert batch is not None
    verdicts = [fill.verdict(image.image_id, Outcome.AI) for image in batch.images]
    results.record_verdicts(fill.store, fill.run(batch, "h1"), verdicts)
    wanted = {
        "lisbon": {0, 1},
        "LISBON img_0002": {1},
        "0001 2019": {0},
        "100%": {2},
        "a_b": {2},
        "%": {2},
        "\\": set(),
        "été": {4},
        "åGOT": {4},
        "trip/img": {0},
        "nowhere": set(),
    }
    found = {
        typed: {tile.path for tile in walked(fill, scan, Selection(name=typed.encode()))}
        for typed in wanted
    }
    raw = walked(fill, scan, Selection(name=b"utf-8 \xff"))

    assert {
        typed: {NAMES[n].encode() for n in numbers} for typed, numbers in wanted.items()
    } == found
    assert [b"not utf-8 \xff.jpg"] == [tile.path for tile in raw]


def test_new_images_are_found_too(fill: Fill) -> None:
    """What a search found before does not hide images that are listed later."""
    scan = fill.scan()
    counts = []
    for name in (b"cat-1.jpg", b"cat-2.jpg"):
        batch = fill.batch(scan, name)
        assert batch is not None
        verdict = fill.verdict(batch.images[0].image_id, Outcome.AI)
        results.record_verdicts(fill.store, fill.run(batch, "h1"), [verdict])
        counts.append(len(walked(fill, scan, Selection(name=b"cat"))))

    assert [1, 2] == counts


def test_folders_and_names_are_suggested(fill: Fill) -> None:
    """Folders come first, each once, without those below it."""
    scan = fill.scan()
    fill.batch(scan, *(name.encode() for name in NAMES), b"lisbon.jpg")
    args = fill.store, scan.collection_id

    assert [b"2019/Lisbon trip", b"2019/lisbon", b"lisbon.jpg"] == suggestions(*args, b"Lisb")
    assert [b"2019/Lisbon trip"] == suggestions(*args, b"lisbon tri", folders_only=True)
    assert [b"2019/lisbon"] == suggestions(*args, b"2019/lisbon", folders_only=True)[-1:]
    assert [] == suggestions(*args, b"  ")


@pytest.mark.parametrize("month", ["2019-13", "2019-00", "19-05", "2019-5", "0000", "\u0662019"])
def test_invalid_months(month: str) -> None:
    """A month is four digits, and two."""
    with pytest.raises(ValueError, match=month):
        month_span(month)


def test_what_can_be_filtered_by(fill: Fill) -> None:
    """Cameras and generators are listed once, and the dates have their range."""
    scan, _ = filled(fill)
    choices = read_choices(fill.store, scan.scan_id)

    assert ("Apple iPhone 13", "Canon EOS 80D") == choices.cameras
    assert ("ComfyUI", "Firefly") == choices.generators
    assert (0.0, MAY_2019 + 3e6) == choices.taken
    assert read_choices(fill.store, scan.scan_id + 1) == Choices((), (), None)


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
        order._ranges(scan, EVERYTHING), (True, False)
    ):
        place = Position(0.5 if flagged else None, 9)
        step = order.Step(place, 60, forwards)
        query = order._part(conditions, step, flagged=flagged)
        with sqlite_fill.store.read() as connection:
            compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]

        assert len(plan) == 1, plan
        assert "USING COVERING INDEX" in plan[0]
        assert ("(score,image_id)" if flagged else "image_id") in plan[0]
