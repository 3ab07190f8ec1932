"""The pages in a real browser: live, gallery, image, review by keyboard, export, accessibility."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from storage.database.store import Store
from storage.reads import gallery
from storage.reads.selection import Selection
from storage.reads.verdicts import verdict_rows
from storage.records import Outcome
from storage.writes import samples
from storage.writes.reviews import Agreed, list_reviews, review_progress
from storage.writes.scans import find_scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from tests.scanner.web.conftest import Scanned, Served, Visitor

ROOT = Path(__file__).parents[3]
# Verdicts of the large gallery.
MANY = 100_000
UNSURE = Selection(outcomes=(Outcome.UNSURE,))
# Different figures that a live page has to show while a scan runs.
MOVES = 3
ALL = "verdict=ai&verdict=unsure&verdict=no_evidence&verdict=error"


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a store with many verdicts on a few real files."""
    place = tmp_path_factory.mktemp("many")
    program = ROOT / "benchmarks" / "synthetic.py"
    given = ["--store", place / "store.db", "--folder", place / "pictures", "--images", str(MANY)]
    subprocess.run([sys.executable, program, *given], check=True, stdout=subprocess.DEVNULL)
    return place / "store.db"


@pytest.fixture
def large(many: Path) -> Iterator[Store]:
    """Return that store, opened."""
    opened = Store.open(str(many))
    yield opened
    opened.close()


def unsure(store: Store) -> list[int]:
    """Return the unsure images of the scan, in the order of a review."""
    rows = [row for row in verdict_rows(store, 1) if row.verdict is not None]
    unsure = [row for row in rows if row.verdict and row.verdict.outcome is Outcome.UNSURE]
    ordered = sorted(unsure, key=lambda row: (row.verdict.score, row.image_id), reverse=True)  # type: ignore[union-attr]
    return [row.image_id for row in ordered]


def slow_down(monkeypatch: pytest.MonkeyPatch, function: str, seconds: float) -> None:
    """Let each call of a function of the server take some seconds longer."""
    module, _, name = function.rpartition(".")
    original = getattr(importlib.import_module(module), name)

    def slow(*arguments: object) -> object:
        time.sleep(seconds)
        return original(*arguments)

    monkeypatch.setattr(function, slow)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("live", "/scan/1"),
        ("gallery", f"/scan/1/gallery?{ALL}&detector=objects-32"),
        ("gallery-empty", "/scan/1/gallery?name=nowhere&sort=taken"),
        ("image", "/scan/1/image/2"),
        ("map", "/scan/1/image/11/map"),
        ("failed", "/scan/1/image/1"),
        ("review", "/scan/1/review"),
        ("review-ai", "/scan/1/review?verdict=ai"),
        ("scans", "/scans"),
        ("start", "/start"),
        ("check", "/check"),
        ("report", "/scan/1/report"),
        ("comparison", "/scan/1/compare?with=1"),
        ("nothing", "/nowhere"),
    ],
)
def test_pages_are_accessible(site: Served, visitor: Visitor, name: str, address: str) -> None:
    """Pages meet WCAG 2.2 AA as far as axe-core can tell, light and dark, wide and narrow."""
    visitor.page.goto(site.url + address[1:])
    visitor.shoot(name)

    assert [] == visitor.violations()


def test_cancelling_is_accessible(
    serve: Callable[..., Served], store: Store, visitor: Visitor
) -> None:
    """The page that asks whether to cancel meets the same rules."""
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scan SET finished_at = NULL")
    visitor.page.goto(f"{serve(store).url}scan/1/cancel")
    visitor.shoot("cancel")

    assert visitor.page.get_by_role("button", name="Cancel this scan").is_visible()
    assert [] == visitor.violations()


def test_wide_tables_scroll_on_a_telephone(site: Served, visitor: Visitor) -> None:
    """A table that is wider than the window scrolls by itself, by key too, and shows it."""
    page = visitor.page
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{site.url}scans")
    region = page.get_by_role("region", name="Scans")
    wide, narrow = region.evaluate("one => [one.scrollWidth, one.clientWidth]")
    shadows = region.evaluate("one => getComputedStyle(one).backgroundAttachment")
    region.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    moved = region.evaluate("one => one.scrollLeft")

    assert wide > narrow
    assert moved > 0
    assert "local, local, scroll, scroll" == shadows
    assert re.search(r"\d\d:\d\d:\d\d UTC", region.inner_text())


def test_wide_tables_of_a_report_show_that_they_scroll(site: Served, visitor: Visitor) -> None:
    """Each table of a report has the shadows at its sides."""
    page = visitor.page
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{site.url}scan/1/report")
    shadows = page.locator(".report .wide").evaluate_all(
        "all => all.map((each) => getComputedStyle(each).backgroundAttachment)"
    )

    assert {"local, local, scroll, scroll"} == set(shadows)


def test_an_image_that_cannot_be_shown_says_why(
    serve: Callable[..., Served], store: Store, visitor: Visitor, tmp_path: Path
) -> None:
    """The reason has the room of an image, on its page and under Review."""
    site = serve(store, roots={"photos": tmp_path / "nowhere"})
    for address in ("scan/1/image/2", "scan/1/review"):
        visitor.page.goto(f"{site.url}{address}")
        box = visitor.page.locator(".frame img").bounding_box()

        assert box is not None
        assert box["height"] > 150
        assert box["width"] > 200
    visitor.shoot("unreachable")


def test_a_telephone_shows_images_before_filters(site: Served, visitor: Visitor) -> None:
    """The form of the gallery is folded on a telephone, even with further filters in it."""
    page = visitor.page
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{site.url}scan/1/gallery?{ALL}&examined=yes")
    box = page.locator(".tiles img").first.bounding_box()
    page.get_by_text("Search, filter and sort").click()

    assert box is not None
    assert box["y"] < 500
    assert page.get_by_label("Sort by").is_visible()


def test_names_of_files_are_not_cut(site: Served, visitor: Visitor) -> None:
    """In a narrow tile the folder is cut where a path is too long, and the name is whole."""
    page = visitor.page
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{site.url}scan/1/gallery?{ALL}")
    page.locator(".tiles .folder").first.evaluate(
        "one => { one.textContent = 'a-folder-with-a-very-long-name-indeed-2019/'; "
        "one.nextSibling.textContent = 'and-an-image-with-another-long-name-00001.jpg'; }"
    )
    folder, name = page.locator(".tiles .name").filter(has_text="00001.jpg").locator("span").all()
    cut = [one.evaluate("one => one.scrollWidth > one.clientWidth") for one in (folder, name)]

    assert [True, False] == cut
    assert [] == visitor.violations()


def test_an_answer_on_the_page_of_an_image(
    serve: Callable[..., Served], store: Store, visitor: Visitor
) -> None:
    """A key answers there, too, and the page stays."""
    page = visitor.page
    page.goto(f"{serve(store).url}scan/1/image/2")
    page.keyboard.press("n")
    page.get_by_text("All answers are stored.").wait_for()

    assert ["not_ai"] == [one.answer.value for one in list_reviews(store, 1, 2)]
    assert "/image/2" in page.url
    assert "not AI" in page.locator("#history").inner_text()


def test_the_token_page_is_accessible(
    serve: Callable[..., Served], store: Store, visitor: Visitor
) -> None:
    """A browser without the token is asked for it, and gets in with it."""
    token = "a-token-of-many-characters"
    site = serve(store, token=token)
    visitor.page.goto(site.url)
    found = visitor.violations()
    visitor.page.get_by_label("Token").fill(token)
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/scan/1")

    assert [] == found


@pytest.mark.usefixtures("slow_images")
def test_the_live_page_follows_a_scan(
    serve: Callable[..., Served], photos: Path, tmp_path: Path, visitor: Visitor
) -> None:
    """The figures change without a reload during a real scan, until it is finished."""
    file = tmp_path / "store.db"
    Store.open(str(file)).close()
    scan = subprocess.Popen(
        [sys.executable, "-m", "scanner", "scan", photos, "--store", file, "--concurrency", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    opened = Store.open(str(file))
    try:
        page = visitor.page
        site = serve(opened)
        while site.get("/scan/1").status != 200:
            assert scan.poll() is None
        page.goto(f"{site.url}scan/1")
        page.evaluate("window.here = 1")  # which a reload would lose
        seen: set[str] = set()
        while len(seen) < MOVES and scan.poll() is None:
            seen.add(page.get_by_role("heading").first.inner_text())
        visitor.shoot("live-at-work")
        found = visitor.violations()
        page.get_by_text("This scan is finished.").wait_for(timeout=120_000)

        assert f"{len(list(photos.iterdir()))} of" in page.get_by_role("heading").first.inner_text()
        assert MOVES == len(seen)
        assert 1 == page.evaluate("window.here")
        assert [] == found
    finally:
        scan.wait(120)
        opened.close()
    assert 0 == scan.returncode


def test_large_gallery(serve: Callable[..., Served], large: Store, visitor: Visitor) -> None:
    """A page has sixty tiles, loaded as they come into view; arrow keys turn pages."""
    page = visitor.page
    page.goto(f"{serve(large).url}scan/1/gallery")
    tiles = page.locator(".tiles li")
    page.wait_for_load_state("networkidle")
    first = tiles.first.inner_text()
    loaded = page.evaluate("[...document.images].map((each) => each.naturalWidth)")
    visitor.shoot("gallery-many")
    found = visitor.violations()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**after=**")
    second = tiles.first.inner_text()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**before=**")

    assert 60 == tiles.count()
    assert loaded[0] > 0
    assert 0 in loaded  # those that nobody has scrolled to
    assert first == tiles.first.inner_text() != second
    assert [] == found


def test_filters_by_keyboard(serve: Callable[..., Served], large: Store, visitor: Visitor) -> None:
    """The filters can be used with Tab, Space and Enter alone."""
    page = visitor.page
    page.goto(f"{serve(large).url}scan/1/gallery")
    page.keyboard.press("Tab")
    skips = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("52.JPG")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # AI-generated off
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # unsure off
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")  # errors on
    page.keyboard.press("Tab")
    page.keyboard.type("2020/05")
    page.keyboard.press("Enter")
    page.wait_for_url("**folder=2020**")
    names = page.locator(".tiles .name").all_text_contents()

    assert "Skip to the content" == skips
    assert "?name=52.JPG&verdict=error&folder=2020%2F05" in page.url
    assert names
    assert all(name.startswith("2020/05/") and name.endswith("52.jpg") for name in names)


def test_search_suggests_and_sorts(
    serve: Callable[..., Served], large: Store, visitor: Visitor
) -> None:
    """Typing suggests folders; sorted by size with a camera chosen, the largest come first."""
    page = visitor.page
    page.goto(f"{serve(large).url}scan/1/gallery?verdict=no_evidence")
    page.get_by_role("combobox", name="Folder").press_sequentially("2020/0")
    page.locator("#folders option").first.wait_for(state="attached")
    suggested = page.locator("#folders option").evaluate_all("all => all.map((o) => o.value)")
    page.get_by_role("combobox", name="Folder").fill("")
    page.get_by_label("Sort by").select_option("size")
    page.get_by_text("More filters").click()
    page.locator("select[name=camera]").select_option("Canon EOS 80D")
    page.get_by_label("Month taken").fill("2020-05")
    visitor.shoot("gallery-filters")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**camera=Canon**")
    sizes = [float(text.split()[0]) for text in page.locator(".tiles .fact").all_inner_texts()]
    names = page.locator(".tiles .name").all_text_contents()

    assert "2020/01" in suggested
    assert all(one.startswith("2020/0") for one in suggested)
    assert 60 == len(sizes)
    assert sorted(sizes, reverse=True) == sizes
    assert all(name.startswith("2020/05/") for name in names)
    assert [] == visitor.violations()


def test_folders_are_a_tree(serve: Callable[..., Served], large: Store, visitor: Visitor) -> None:
    """A folder leads to those in it, and back, with the other filters kept."""
    page = visitor.page
    page.goto(f"{serve(large).url}scan/1/gallery?verdict=ai&group=1")
    page.get_by_text("Folders", exact=True).click()
    page.get_by_role("link", name="2020", exact=True).click()
    page.get_by_role("link", name="2020/05", exact=True).click()
    page.wait_for_url("**folder=2020%2F05**")
    names = page.locator(".tiles > li > a .name").all_text_contents()
    way = page.locator(".tree a").all_inner_texts()
    visitor.shoot("gallery-tree")

    assert all(name.startswith("2020/05/") for name in names)
    assert ["all folders", "2020", "2020/05"] == way
    assert "verdict=ai" in page.url
    assert page.get_by_label("copies and bursts together").is_checked()
    assert [] == visitor.violations()


def test_hostile_names_are_harmless(site: Served, visitor: Visitor) -> None:
    """Hostile names are only text in the gallery and on their own pages."""
    page = visitor.page
    page.goto(f"{site.url}scan/1/gallery?{ALL}")
    links = page.locator(".tiles a", has_text=re.compile(r"onerror|\\u202e|\\n"))
    addresses = [link.get_attribute("href") for link in links.all()]
    for address in addresses:
        page.goto(f"{site.url}{(address or '')[1:]}")
        page.wait_for_load_state("networkidle")

        assert 0 == page.locator("img[src='x'], img[src=x]").count()
    assert 3 == len(addresses)


def press_when_shown(page: Page, key: str, image_id: int) -> None:
    """Press a key once an image is on the screen."""
    image = f"#work:has(input[value='{image_id}']) .frame img"
    page.wait_for_function("image => document.querySelector(image)?.complete", arg=image)
    page.keyboard.press(key)


def test_a_review_by_keyboard(serve: Callable[..., Served], store: Store, visitor: Visitor) -> None:
    """Three keys answer and go on, arrows move, `u` undoes; the store has all of it."""
    page = visitor.page
    images = unsure(store)
    page.goto(f"{serve(store).url}scan/1/review")

    def shown() -> int:
        return int(page.locator("input[name=image]").get_attribute("value") or 0)

    def press(key: str) -> int:
        with page.expect_navigation():
            press_when_shown(page, key, shown())
        return shown()

    assert images[0] == shown()
    assert [images[1], images[2], images[3]] == [press(key) for key in "anc"]
    assert [images[4], images[3], images[2]] == [
        press("ArrowRight"),
        press("ArrowLeft"),
        press("u"),
    ]
    visitor.shoot("review-at-work")
    said = [
        [(one.answer.value, one.reviewer, one.is_current) for one in list_reviews(store, 1, image)]
        for image in images[:3]
    ]
    assert [
        [("ai", "ann", True)],
        [("not_ai", "ann", True)],
        [("cant_tell", "ann", False)],
    ] == said
    assert [] == visitor.violations()


# Notes, for each key, the image on the screen, None where it is not shown yet.
NOTE_SEEN = """() => {
  window.seen = [];
  addEventListener("keydown", () => {
    const image = document.querySelector("#work .frame img");
    const { value } = document.querySelector("input[name=image]");
    window.seen.push(image.complete ? Number(value) : null);
  }, true);
}"""


def test_no_key_for_an_image_that_is_shown_is_lost(
    serve: Callable[..., Served], large: Store, visitor: Visitor
) -> None:
    """Fifty keys, each when its image is there, are fifty answers without a page load."""
    page = visitor.page
    images = [tile.image_id for tile in gallery.page(large, find_scan(large, 1), UNSURE, 51)]
    before = list_reviews(large, 1, images[0])
    page.goto(f"{serve(large).url}scan/1/review")
    page.evaluate("window.here = 1")  # which a page load would lose
    keys = "anc" * 16 + "an"
    for image, key in zip(images, keys, strict=False):
        press_when_shown(page, key, image)
    page.locator(f"input[name=image][value='{images[50]}']").wait_for(state="attached")
    page.get_by_text("All answers are stored.").wait_for()
    answers = {"a": "ai", "n": "not_ai", "c": "cant_tell"}
    stored = [[one.answer.value for one in list_reviews(large, 1, image)] for image in images]

    assert () == before
    assert 1 == page.evaluate("window.here")
    assert [[answers[key]] for key in keys] == stored[:50]
    assert [] == stored[50]
    assert "50 of" in page.locator("#tabs").inner_text()
    assert "" == page.locator("#missed").inner_text()


def test_no_answer_is_for_an_image_that_was_not_shown(
    serve: Callable[..., Served], large: Store, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that come before their image are counted on the page, and are no answers."""
    page = visitor.page
    sample = Selection(outcomes=(Outcome.UNSURE,), folder=b"2021")
    images = [tile.image_id for tile in gallery.page(large, find_scan(large, 1), sample, 41)]
    before = {image for image in images if list_reviews(large, 1, image)}
    slow_down(monkeypatch, "scanner.web.pages.image._preview", 0.4)
    page.goto(f"{serve(large).url}scan/1/review?verdict=unsure&folder=2021")
    page.evaluate(NOTE_SEEN)
    for _ in range(40):
        page.keyboard.press("n")
    said = page.locator("#missed").inner_text()
    place = page.locator("#missed").bounding_box()
    page.get_by_text("All answers are stored.").wait_for()
    seen = {image for image in page.evaluate("window.seen") if image is not None}
    stored = {image for image in images if list_reviews(large, 1, image)} - before
    visitor.shoot("review-too-quick")

    assert 41 == len(images)
    assert place is not None
    assert place["y"] + place["height"] <= 900  # in sight
    assert stored
    assert stored <= seen
    assert f"{40 - len(stored)} answers were not taken" in said
    assert [] == visitor.violations()


def test_leaving_a_review_asks_and_sends_what_is_left(
    serve: Callable[..., Served], store: Store, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While answers are not stored the page says so; leaving asks, and sends them together."""
    page = visitor.page.context.new_page()
    images = unsure(store)[:4]
    slow_down(monkeypatch, "storage.writes.reviews.record_answer", 1.5)
    page.goto(f"{serve(store).url}scan/1/review")
    for image in images:
        press_when_shown(page, "n", image)
    said = page.locator("#answered").inner_text()
    before = [bool(list_reviews(store, 1, image)) for image in images]
    asked: list[str] = []
    leave = page.get_by_role("link", name="Gallery")
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    leave.click(no_wait_after=True)
    page.wait_for_timeout(300)
    stayed = page.url
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    leave.click()
    page.wait_for_url("**/gallery", wait_until="commit")
    meanwhile = [bool(list_reviews(store, 1, image)) for image in images]
    page.wait_for_timeout(7_000)
    after = [[one.answer.value for one in list_reviews(store, 1, image)] for image in images]

    assert "Storing …" == said
    assert "/review" in stayed
    assert ["beforeunload", "beforeunload"] == asked
    assert not all(before)
    assert not all(meanwhile)
    assert [["not_ai"]] * 4 == after


def test_an_answer_that_is_not_stored_is_said(
    serve: Callable[..., Served], store: Store, visitor: Visitor
) -> None:
    """Answers that the server refuses are counted, stay, and are stored by another try."""
    page = visitor.page
    images = unsure(store)
    page.route("**/review?*", lambda route: (
        route.fulfill(status=403) if route.request.method == "POST" else route.continue_()
    ))  # fmt: skip
    page.goto(f"{serve(store).url}scan/1/review")
    press_when_shown(page, "a", images[0])
    press_when_shown(page, "n", images[1])
    page.get_by_text("2 answers are not stored").wait_for()
    found = visitor.violations()
    visitor.shoot("review-not-stored")
    before = [list_reviews(store, 1, image) for image in images[:2]]
    page.unroute("**/review?*")
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("All answers are stored.").wait_for()
    after = [[one.answer.value for one in list_reviews(store, 1, image)] for image in images[:2]]

    assert [(), ()] == before
    assert [["ai"], ["not_ai"]] == after
    assert [] == found


def test_who_is_signed_out_is_told(
    serve: Callable[..., Served], store: Store, visitor: Visitor
) -> None:
    """Answers wait for a session that has ended, and are stored after signing in elsewhere."""
    page = visitor.page
    images = unsure(store)
    token = "a-token-of-many-characters"
    page.goto(f"{serve(store, token=token).url}scan/1/review?token={token}")
    page.wait_for_load_state("networkidle")
    page.context.clear_cookies()
    press_when_shown(page, "a", images[0])
    press_when_shown(page, "n", images[1])
    page.get_by_text("You are signed out.").wait_for()
    visitor.shoot("review-signed-out")
    found = visitor.violations()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in a new tab").click()
    opened.value.get_by_label("Token").fill(token)
    opened.value.keyboard.press("Enter")
    opened.value.get_by_text("Results").wait_for()
    opened.value.close()
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.get_by_text("All answers are stored.").wait_for()
    stored = [[one.answer.value for one in list_reviews(store, 1, image)] for image in images[:2]]

    assert "/scan/1/review" in opened.value.url
    assert [["ai"], ["not_ai"]] == stored
    assert [] == found


def test_quick_keys_are_taken_while_images_are_ready(
    serve: Callable[..., Served], large: Store, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that was loaded in advance is shown at once: the keys for it need no server."""
    page = visitor.page
    page.goto(f"{serve(large).url}scan/1/review?verdict=unsure&folder=2022")
    page.wait_for_load_state("networkidle")
    slow_down(monkeypatch, "scanner.web.pages.review.verdict_row", 2.0)
    page.evaluate(NOTE_SEEN)
    for _ in range(5):
        page.keyboard.press("n", delay=30)
    seen = page.evaluate("window.seen")

    assert "" == page.locator("#missed").inner_text()
    assert 5 == len(set(seen))


def test_an_image_at_its_own_size(site: Served, visitor: Visitor) -> None:
    """`z` shows one pixel of the image as one of the page, with the boxes over it, and back."""
    page = visitor.page
    page.goto(f"{site.url}scan/1/image/11")
    visitor.shoot("image-neighbours")
    with page.expect_navigation():
        page.keyboard.press("z")
    page.wait_for_load_state("networkidle")
    size = page.locator(".frame img").evaluate("one => [one.width, one.naturalWidth]")
    boxes = page.locator(".boxes rect").count()
    drawn = page.locator(".boxes").bounding_box()
    found = visitor.violations()
    with page.expect_navigation():
        page.keyboard.press("z")

    assert size[0] == size[1]
    assert boxes
    assert drawn is not None
    assert size[0] == drawn["width"]
    assert "full=1" not in page.url
    assert [] == found


def test_copies_are_shown_together(site: Served, store: Store, visitor: Visitor) -> None:
    """Images of the same bytes are one tile that opens; neighbours that are alike say so."""
    page = visitor.page
    page.goto(f"{site.url}scan/1/gallery?verdict=unsure&group=1")
    digests = [
        row.verdict.digest
        for row in verdict_rows(store, 1)
        if row.verdict is not None and row.verdict.outcome is Outcome.UNSURE
    ]
    page.get_by_text("more like it").first.click()
    visitor.shoot("gallery-grouped")
    found = visitor.violations()
    groups = page.locator(".tiles > li").count()
    listed = groups + page.locator(".alike li").count()
    page.locator(".alike a").first.click()
    page.get_by_text("the same file").first.wait_for()

    assert len(digests) == listed
    assert groups <= len(set(digests)) < len(digests)
    assert [] == found


def test_many_images_are_answered_and_exported_at_once(
    serve: Callable[..., Served], store: Store, visitor: Visitor, tmp_path: Path
) -> None:
    """Selected images get the same answer, or go into one file; others do not."""
    page = visitor.page
    images = unsure(store)
    page.goto(f"{serve(store).url}scan/1/gallery?verdict=unsure")
    page.locator(".pick input").nth(0).check()
    page.locator(".pick input").nth(2).click(modifiers=["Shift"])
    told = page.locator("#number").inner_text()
    visitor.shoot("gallery-selected")
    found = visitor.violations()
    with page.expect_navigation():
        page.get_by_role("button", name="Not AI").click()
    stored = [[one.answer.value for one in list_reviews(store, 1, image)] for image in images]
    page.get_by_label("select all on this page").check()
    page.get_by_label("Export as").select_option("xmp")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    download.value.save_as(tmp_path / "zip")
    with zipfile.ZipFile(tmp_path / "zip") as archive:
        names, packets = archive.namelist(), [archive.read(each) for each in archive.namelist()]

    assert "3 selected" == told
    assert [["not_ai"]] * 3 + [[]] * (len(images) - 3) == stored
    assert len(images) == len(names)
    assert all(name.endswith(".xmp") for name in names)
    assert 3 == sum(b"scanner:reviewed_not_ai" in packet for packet in packets)
    assert len(images) - 3 == sum(b"scanner:unsure" in packet for packet in packets)
    assert [] == found


def test_a_whole_selection_is_answered_and_undone(
    serve: Callable[..., Served], large: Store, visitor: Visitor
) -> None:
    """All images that match get an answer after one confirmation, and lose it by one undo."""
    page = visitor.page
    before = review_progress(large, 1).answers
    page.goto(f"{serve(large).url}scan/1/gallery?verdict=ai&folder=2020")
    page.get_by_label("all that match, on every page").check()
    told = page.locator("#number").inner_text()
    page.get_by_role("button", name="AI", exact=True).click()
    page.get_by_role("heading", name="images at once?").wait_for()
    number = page.locator("input[name=confirmed]").get_attribute("value")
    visitor.shoot("answer-all")
    found = visitor.violations()
    page.get_by_role("button", name=f"Answer {int(number or 0):,} images: AI").click()
    page.get_by_text(f"Answered {int(number or 0):,} images: AI.").wait_for()
    visitor.shoot("gallery-answered")
    found += visitor.violations()
    stored = review_progress(large, 1).answers
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url("**/gallery?verdict=ai&folder=2020")

    assert "all selected" == told
    assert int(number or 0) > 60
    assert (Outcome.AI, Agreed.AI) in stored
    assert sum(before.values()) + int(number or 0) == sum(stored.values())
    assert before == review_progress(large, 1).answers
    assert [] == found


@pytest.mark.parametrize("address", ["gallery", "review", "image/2"])
def test_question_mark_shows_the_keys(site: Served, visitor: Visitor, address: str) -> None:
    """The help names the keys of the page, and Escape closes it."""
    page = visitor.page
    page.goto(f"{site.url}scan/1/{address}")
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keyboard")
    help_.wait_for()
    visitor.shoot(f"help-{address[:5]}")
    found = visitor.violations()
    text = help_.inner_text()
    page.keyboard.press("Escape")

    assert "→" in text
    assert not help_.is_visible()
    assert [] == found


def test_keys_can_be_switched_off(site: Served, store: Store, visitor: Visitor) -> None:
    """Keys do nothing once shortcuts are off, nor in a text field."""
    page = visitor.page
    page.goto(f"{site.url}scan/1/review")
    page.get_by_label("Your name").focus()
    page.keyboard.type("nan")
    page.get_by_role("button", name="Keyboard shortcuts: on").click()
    page.locator("body").press("a")
    page.wait_for_timeout(300)

    assert page.get_by_role("button", name="Keyboard shortcuts: off").is_visible()
    assert {} == review_progress(store, 1).answers


def test_sample_is_reviewed_blind(
    serve: Callable[..., Served], store: Store, visitor: Visitor
) -> None:
    """Name and verdict are hidden until the answer; the answers give the estimate."""
    drawn = samples.draw_sample(store, 1, 3, seed=1)
    (first, _), *_ = samples.sample_images(store, drawn)
    row = next(one for one in verdict_rows(store, 1) if one.image_id == first)
    page = visitor.page
    page.goto(f"{serve(store).url}scan/1/review?sample=1")
    blind = page.locator(".image-page").inner_text()
    boxes = page.locator(".boxes").count()
    found = visitor.violations()
    visitor.shoot("review-sample")
    for key in "ana":
        with page.expect_navigation():
            page.keyboard.press(key)
    text = page.locator("main").inner_text()

    assert os.fsdecode(row.path) not in blind
    assert "hidden until you answer" in blind
    assert page.locator(".badge").count() == 0
    assert "threshold" not in blind
    assert boxes == 0
    assert "The whole sample is reviewed." in text
    # Two of three: Wilson's interval, as its article's formula gives it by hand.
    assert "0 left. Prevalence (share of AI-generated images): 66.7 %" in text
    assert "66.7 % (95 % interval 20.8 % to 93.9 %, Wilson)" in text
    assert [] == found


def test_disagreement_is_shown(site: Served, store: Store, visitor: Visitor) -> None:
    """An answer against the verdict is counted, and links to the image."""
    row = next(
        one
        for one in verdict_rows(store, 1)
        if one.verdict is not None and one.verdict.outcome is Outcome.AI
    )
    page = visitor.page
    page.goto(f"{site.url}scan/1/image/{row.image_id}")
    page.keyboard.press("n")
    page.locator("#history").get_by_text("not AI").wait_for()
    page.get_by_role("link", name="Review").first.click()
    page.get_by_role("link", name="Disagreements 1").click()
    page.wait_for_url("**reviewed=disagree")

    assert 1 == page.locator(".tiles li").count()
    assert "reviewed: not AI" in page.locator(".tiles li").inner_text()
    assert [] == visitor.violations()


def test_an_export_is_downloaded(
    site: Served, scanned: Scanned, visitor: Visitor, tmp_path: Path
) -> None:
    """The NUL-separated list of a selection names existing files."""
    page = visitor.page
    page.goto(f"{site.url}scan/1/gallery?verdict=unsure&folder={quote('plain')}")
    page.get_by_text("Export these").click()
    visitor.shoot("gallery-export")
    found = visitor.violations()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("xargs -0")).click()
    download.value.save_as(tmp_path / "list")
    named = (tmp_path / "list").read_bytes().split(b"\0")[:-1]

    assert "scan-1-selection.nul" == download.value.suggested_filename
    assert page.locator(".tiles li").count() == len(named) > 0
    assert all(Path(os.fsdecode(name)).parent == scanned.folder / "plain" for name in named)
    assert [] == found
