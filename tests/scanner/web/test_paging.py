"""Pages of groups: each image is on one page, in the group of the first that it is like."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scanner.web import paging
from scanner.web.paging import Pager
from storage.database.store import Store
from storage.reads.selection import Selection, Sort
from storage.records import ListedImage, Outcome, Photograph, Plan, Timings, Verdict
from storage.writes import listing, results, scans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.writes.scans import Scan

BURSTS, BURST = 7, 5
BY_NAME = Selection(sort=Sort.NAME, is_grouped=True)


@pytest.fixture
def bursts(tmp_path: Path) -> Iterator[tuple[Store, Scan]]:
    """Return a scan of seven bursts of five images, whose names mix them, and a copy of each."""
    store = Store.open(str(tmp_path / "store.db"))
    results.record_host(store, results.Host("h1", "pi4", "aarch64", {}))
    collection_id = scans.ensure_collection(store, "photos", b"/photos")
    scan = scans.new_scan(
        store, collection_id, scans.ensure_plan(store, Plan((), rules=1)), "fleet"
    )
    count = BURSTS * BURST
    listed = [ListedImage(b"%03d.jpg" % n, 10 + n % BURSTS, 1, None) for n in range(2 * count)]
    batch = listing.add_batch(store, scan, listed, None)
    assert batch is not None
    begun = results.begin_run(store, batch.batch_id, batch.attempt, ("h1", "w1"))
    assert begun is not None
    verdicts = []
    for n, image in enumerate(batch.images):
        burst, is_copy = n % BURSTS, n >= count
        # Looks of different bursts differ in eight bits, those of one in one or two.
        look = (0xFF << 8 * burst) ^ (1 << (n // BURSTS) % BURST)
        look -= 2**64 if look >= 2**63 else 0
        taken = Photograph(1e9 + 1000 * burst + n // BURSTS, None, look)
        photograph = Photograph() if is_copy else taken
        digest = (b"copy" if is_copy else b"%d" % n).ljust(32, bytes([burst]))
        timings = Timings(1, 1, 1)
        verdicts.append(
            Verdict(
                image.image_id,
                Outcome.AI,
                0.9,
                "faces",
                True,
                (),
                None,
                digest,
                timings,
                photograph,
            )
        )
    results.record_verdicts(store, begun[0], verdicts)
    yield store, scan
    store.close()


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("step", [120, 4])
def test_bursts_and_copies_of_the_whole_scan_are_together(
    bursts: tuple[Store, Scan], step: int, *, is_reversed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forwards and backwards, pages of three groups have each burst whole, and no image twice."""
    store, scan = bursts
    monkeypatch.setattr(paging, "_STEP_TILES", step)
    monkeypatch.setattr(paging, "_STEPS", 100)
    pager = Pager(store, scan, replace(BY_NAME, is_reversed=is_reversed), 3)
    pages = [pager.page(None, None)]
    while pages[-1].end is not None:
        pages.append(pager.page(pages[-1].end, None))
    back = [pager.page(None, pages[-1].start)]
    while back[-1].start is not None:
        back.append(pager.page(None, back[-1].start))
    groups = [[int(tile.path[:3]) for tile in group] for page in pages for group in page.groups]
    count = BURSTS * BURST

    assert sorted(range(2 * count)) == sorted(n for group in groups for n in group)
    assert {BURST} == {len(group) for group in groups}
    assert all(len({(n % BURSTS, n < count) for n in group}) == 1 for group in groups)
    firsts = [group[0] for group in groups]
    assert sorted(firsts, reverse=is_reversed) == firsts
    assert [page.groups for page in pages[:-1]] == [page.groups for page in back][::-1]


def test_a_page_ends_though_no_group_begins_there(
    bursts: tuple[Store, Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all images belong to groups of other pages, the page is empty and leads on."""
    store, scan = bursts
    monkeypatch.setattr(paging, "_STEP_TILES", 2)
    monkeypatch.setattr(paging, "_STEPS", 2)
    pager = Pager(store, scan, BY_NAME, 60)
    pages = [pager.page(None, None)]
    while pages[-1].end is not None:
        pages.append(pager.page(pages[-1].end, None))

    assert () == tuple(pages[-1].groups)
    assert 2 * BURSTS == sum(len(page.groups) for page in pages)
