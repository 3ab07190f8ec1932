"""The pages' content, read without a browser."""

from __future__ import annotations

import hashlib
import html
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from scanner.report.figures.build import build
from scanner.report.figures.recall import Recall
from scanner.report.formats.html import report_html
from scanner.web import score_maps
from scanner.web.filters import commands
from scanner.web.looked_at import further_views
from scanner.web.memory_cache import MemoryCache
from scanner.web.pages import selected
from scanner.web.previews import Shape
from storage.reads.progress import list_hosts
from storage.reads.verdicts import verdict_rows
from storage.records import Finding, ListedImage, Outcome, Timings, Verdict
from storage.writes import results, scans
from storage.writes.listing import add_batch
from storage.writes.reviews import (
    Agreed,
    Answer,
    list_reviews,
    record_answer,
    review_progress,
    withdraw_answer,
)
from storage.writes.samples import draw_sample, sample_images
from storage.writes.scans import cancel, find_scan, forget
from workers.detectors.card import Card, Thresholds, View
from workers.detectors.installed import installed
from workers.pipeline.crops import crop_places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.database.store import Store
    from tests.scanner.web.conftest import Scanned, Served

# A hostile name.
HOSTILE = "<img src=x onerror=alert(1)>.jpg"
ALL = "verdict=ai&verdict=unsure&verdict=no_evidence&verdict=error"


def test_the_gallery_has_every_image_once(site: Served, store: Store) -> None:
    """The gallery has the scan's images, flagged ones first, the highest score first."""
    page = site.get(f"/scan/1/gallery?{ALL}").text
    shown = re.findall(r'href="/scan/1/image/(\d+)\?', page)
    rows = {str(row.image_id): row.verdict for row in verdict_rows(store, 1)}
    outcomes = [rows[one].outcome for one in shown]  # type: ignore[union-attr]
    flagged = [one for one in outcomes if one in {Outcome.AI, Outcome.UNSURE}]
    scores = [rows[one].score for one in shown[: len(flagged)]]  # type: ignore[union-attr]

    assert sorted(rows) == sorted(shown)
    assert flagged == outcomes[: len(flagged)]
    assert sorted(scores, reverse=True) == scores


def test_hostile_names_are_only_text(site: Served) -> None:
    """Names with tags, direction marks or control characters are shown escaped."""
    page = site.get(f"/scan/1/gallery?{ALL}").text

    assert "&lt;img src=x onerror=alert(1)&gt;.jpg" in page
    assert "<img src=x" not in page
    assert r"\u202egpj.exe\x1b[2J.jpg" in page
    assert not {"\u202e", "\x1b"} & set(page)


def test_image_page(serve: Callable[..., Served], store: Store) -> None:
    """The page of an image has findings, signature, boxes, timings and location."""
    row = next(one for one in verdict_rows(store, 1) if one.path == b"plain/dunes.jpg")
    detail = {"generator": "Some_Model/1.0", "signature": "verified", "signer": "A <b>Signer</b>"}
    said = (
        Finding("provenance", "c2pa_generated", 0.99, "C2PA manifest by Some Model.", detail),
        Finding("faces", "face", 0.7, "a face", {"box": [48, 32, 96, 128.5]}),
        Finding("faces", "face", 0.6, "no box", {"box": ["<", 1, 2, 3]}),
    )
    judged = Verdict(
        row.image_id, Outcome.AI, 0.99, "provenance", True, said, None,
        row.verdict.digest if row.verdict else None, Timings(1500, 2500, 3500),
    )  # fmt: skip
    _judge(store, judged)
    page = html.unescape(serve(store).get(f"/scan/1/image/{row.image_id}").text)

    assert "verified: a known signer, and the file is unchanged since" in page
    assert "A <b>Signer</b>" in page
    assert "<b>" not in serve(store).get(f"/scan/1/image/{row.image_id}").text
    assert 'viewBox="0 0 480 320"' in page
    assert ['class="face" x="48" y="32" width="48" height="96.5"'] == re.findall(
        r"<rect ([^>]*)/>", page
    )
    assert "read 1.50 ms, decoded 2.50 ms, scored 3.50 ms" in page
    assert "/photos/plain/dunes.jpg" in page
    assert "480x320 pixels" in page


def test_image_page_says_why_it_was_not_examined(
    serve: Callable[..., Served], store: Store
) -> None:
    """The page of an image that no detector examined has the reason, in words."""
    row = next(one for one in verdict_rows(store, 1) if one.path == b"plain/dunes.jpg")
    why = Finding("router", "out_of_domain", None, "a drawing: the detectors judge photographs")
    judged = Verdict(
        row.image_id, Outcome.NO_EVIDENCE, None, None, False, (why,), None,
        row.verdict.digest if row.verdict else None, Timings(),
    )  # fmt: skip
    _judge(store, judged)
    served = serve(store)
    page = html.unescape(served.get(f"/scan/1/image/{row.image_id}").text)

    assert "Not examined: a drawing: the detectors judge photographs. Only its metadata" in page
    assert "were not examined" in served.get("/scan/1").text


def test_each_finding_is_said_with_its_thresholds(
    serve: Callable[..., Served], store: Store
) -> None:
    """Gallery and review say it as the image does; what metadata settles heads the image."""
    tag = Finding("provenance", "generator_tag", 0.98, "", {"generator": "ComfyUI"})
    crops = Finding("scenes", "score", 0.999, "", {"crops": 5, "resized_from": [9, 9]})
    face = Finding("faces", "score", 0.999, "", {"box": [48, 32, 96, 128]})
    rows = {row.path: row for row in verdict_rows(store, 1)}
    names = (b"plain/dunes.jpg", HOSTILE.encode())
    for name, findings, outcome in zip(
        names, ((face, crops, tag), (crops, face)), (Outcome.AI, Outcome.UNSURE), strict=True
    ):
        row = rows[name]
        digest = row.verdict.digest if row.verdict else None
        decided = findings[0]
        _judge(
            store,
            Verdict(
                row.image_id, outcome, decided.score, decided.detector, True, findings, None,
                digest, Timings(),
            ),
        )  # fmt: skip
    served = serve(store)
    settled, resized = (rows[name].image_id for name in names)
    gallery = html.unescape(served.get("/scan/1/gallery").text)
    review = html.unescape(served.get(f"/scan/1/review?image={settled}").text)

    assert '<span class="why">0.980: tag of ComfyUI</span>' in gallery
    assert "at which scenes says unsure; resized, so unsure at most" in gallery
    assert "<span>0.980: tag of ComfyUI</span>" in review
    assert "the face in box 1" in review
    assert 'class="face" x="48" y="32" width="48" height="96"' in review
    assert "5 crops together" in html.unescape(served.get(f"/scan/1/image/{resized}").text)


def test_image_page_says_when_and_where_it_was_taken(
    serve: Callable[..., Served], store: Store, scanned: Scanned, tmp_path: Path
) -> None:
    """Camera, date and place are read from the file, for images of earlier scans as well."""
    row = next(one for one in verdict_rows(store, 1) if one.path == b"plain/dunes.jpg")
    exif = Image.Exif()
    exif[271], exif[272] = "Apple", "iPhone <13>"
    exif.get_ifd(0x8769)[0x9003] = "2019:05:02 13:14:15"
    exif.get_ifd(0x8769)[0x9011] = "+08:00"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (38, 30, 0), "W", (9, 15, 0)
    file = tmp_path / "photos" / "plain" / "dunes.jpg"
    file.parent.mkdir(parents=True)
    Image.open(scanned.folder / "plain" / "dunes.jpg").save(file, exif=exif)
    assert row.verdict is not None
    digest = hashlib.sha256(file.read_bytes()).digest()
    _judge(store, replace(row.verdict, digest=digest))
    served = serve(store, roots={"photos": tmp_path / "photos"})
    page = html.unescape(served.get(f"/scan/1/image/{row.image_id}").text)

    assert "2019-05-02 13:14:15</time> UTC+08:00" in page
    assert "Apple iPhone <13>" in page
    assert "38.50000° N, 9.25000° W" in page


def test_report_page(serve: Callable[..., Served], store: Store) -> None:
    """The report is a page: its answer, its estimate, and its findings with links and reasons."""
    page = html.unescape(serve(store).get("/scan/1/report").text)

    assert "look AI-generated" in page
    assert "The detectors give no estimate" in page
    certain = re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL)[1]
    assert re.search(r'href="/scan/1/image/\d+\?', certain)
    assert re.search(" at which [a-z0-9-]+ says (AI|unsure)", certain)
    assert re.findall(r"/image/\d+\?", certain) == [
        each.removesuffix("/thumbnail") + "?"
        for each in re.findall(r"/image/\d+/thumbnail", certain)
    ]


def test_the_headline_says_how_much_is_found(
    serve: Callable[..., Served], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page and HTML file say once, above all figures, how much of what is there is found."""
    known = build(store, find_scan(store, 1))
    measured = replace(known, recall=Recall(0.5, 0.05, 0.9, 12, counts_unsure=True))
    monkeypatch.setattr("scanner.web.pages.report.build", lambda *_: measured)
    for page in (serve(store).get("/scan/1/report").text, report_html(measured)):
        sentence = "like those that the detectors were measured on, about 1 in 2 is found"

        assert 1 == page.count(sentence)
        assert page.index(sentence) < page.index("<h2")


def test_figures_of_a_report_do_not_contradict_each_other(
    serve: Callable[..., Served], store: Store
) -> None:
    """The rate is of the time at work; reasons say why they add up to more; no folder is `.`."""
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE run SET started_at = 1000, ended_at = 1010")
        connection.exec_driver_sql(
            "UPDATE run SET started_at = 1090, ended_at = 1100 WHERE id = (SELECT max(id) FROM run)"
        )
    report = build(store, find_scan(store, 1))
    site = serve(store)
    page, live = site.get("/scan/1/report").text, site.get("/scan/1").text
    seconds = 20 if len(report.breakdown.runs) > 1 else 10
    rate = report.counts.judged_here / seconds
    (said,) = re.findall(r"at work: ([\d.]+) images/s", page) or [f"{rate:.1f}"]

    assert abs(float(said) - rate) < 0.06
    assert re.search(rf"<dt>Rate</dt><dd>{rate:.1f}".replace(".", r"\."), live)
    assert '<th scope="col" class="number">Rate</th>' not in live
    assert f"{report.counts.not_examined} of the images without evidence were not examined" in page
    assert '<th scope="row">(in no folder)</th>' in page
    assert '<th scope="row">.</th>' not in page


def test_a_scan_without_images_says_so(serve: Callable[..., Served], store: Store) -> None:
    """An empty scan is no table of zeros, and has no images that are reviewed."""
    with store.write() as connection:
        connection.exec_driver_sql("DELETE FROM finding")
        connection.exec_driver_sql("DELETE FROM verdict")
        connection.exec_driver_sql("DELETE FROM entry")
        connection.exec_driver_sql("UPDATE scan SET images = 0, skipped = '{\"raw\": 3}'")
    site = serve(store)
    live, review = site.get("/scan/1").text, site.get("/scan/1/review").text

    assert "Nothing to judge but 3 RAW files, which need --raw" in live
    assert "Skipped: " in live
    assert "0 of 0" not in live
    assert "Verdicts" not in live
    assert "There are no such images in this scan." in review
    assert "All these images are reviewed." not in review


def test_the_list_of_scans_says_what_waits(
    serve: Callable[..., Served], store: Store, clean_redis: str
) -> None:
    """A scan of the fleet whose queue answers waits for workers, and is not just unfinished."""
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scan SET finished_at = NULL, broker = 'fleet'")
        connection.exec_driver_sql("UPDATE run SET ended_at = started_at + 1 - 1000")
    page = serve(store, broker=clean_redis).get("/scans").text

    assert "<td>waiting for workers</td>" in page


@pytest.mark.parametrize(
    "address", ["/nowhere", "/scan/99", "/scan/99/report", "/scan/1/image/99999"]
)
def test_what_is_not_found_leads_to_the_scans(site: Served, address: str) -> None:
    """No command, with raw backticks, but a link."""
    answer = site.get(address)

    assert 404 == answer.status
    assert '<a href="/scans">All scans</a>' in answer.text
    assert "`" not in answer.text


def test_commands_in_messages_are_code() -> None:
    """What is in backticks is code; tags in a message are only text."""
    assert "a <code>scanner serve</code> &lt;b&gt;" == commands("a `scanner serve` <b>")


def test_report_page_has_all_figures(serve: Callable[..., Served], store: Store) -> None:
    """The page has the figures of the HTML report, its charts, and nothing that its policy bars."""
    served = serve(store)
    page = served.get("/scan/1/report").text
    file = report_html(build(store, find_scan(store, 1)))
    headings = re.compile(r"<h[23][^>]*>(.*?)</h[23]>")
    styles = re.compile(r"<style|\bstyle=|<script(?! src)|data:image")

    assert len(headings.findall(file)) >= 5
    assert set(headings.findall(file)) <= set(headings.findall(page))
    assert file.count("<svg") <= page.count("<svg")
    assert [] == styles.findall(page)
    assert "style-src 'self'" in served.get("/scan/1/report").headers["content-security-policy"]


def test_no_image_is_hidden_without_a_word(site: Served) -> None:
    """What only the filter of verdicts hides is counted, with a link; undated images are shown."""
    found = html.unescape(site.get("/scan/1/gallery?name=dunes&verdict=error").text)
    link = re.search(r'(\d+) with another verdict match\w*: <a href="([^"]*)"', found)
    assert link is not None
    everything = site.get(link[2]).text
    nowhere = site.get("/scan/1/gallery?name=nowhere").text
    taken = site.get("/scan/1/gallery?sort=taken").text

    assert "No images match these filters." in found
    assert int(link[1]) == everything.count('name="image"')
    assert "with another verdict" not in everything + nowhere
    assert taken.count('name="image"') == site.get("/scan/1/gallery").text.count('name="image"') > 0
    assert "no date" in taken


def test_the_way_back_leads_to_the_page_of_the_gallery(site: Served) -> None:
    """An image keeps the place of the page that it was opened from, and so do its neighbours."""
    first = re.findall(r'name="image" value="(\d+)"', site.get("/scan/1/gallery").text)
    page = html.unescape(site.get(f"/scan/1/gallery?after=-:{10**9}").text)
    (opened, *_) = re.findall(r'href="(/scan/1/image/\d+\?[^"]*)"', page) or [
        f"/scan/1/image/{first[1]}?verdict=ai&after=-:1000000000"
    ]
    shown = html.unescape(site.get(opened).text)

    assert 1 == len(re.findall(r'gallery\?[^"]*after=-%3A1000000000">All of these', shown))


def test_an_image_shown_at_full_size_has_its_place_from_the_start(
    site: Served, store: Store
) -> None:
    """The size of the picture is part of the page, so that nothing moves when it is loaded."""
    row = next(one for one in verdict_rows(store, 1) if one.path == b"plain/dunes.jpg")
    address = f"/scan/1/image/{row.image_id}"

    assert 'width="480" height="320"' in site.get(f"{address}?full=1").text
    assert 'full" width' not in site.get(address).text


def test_copies_are_listed_wherever_they_are(site: Served, store: Store) -> None:
    """The page of an image has its copies in other folders, not only those next to it by name."""
    row = next(one for one in verdict_rows(store, 1) if one.path == b"plain/dunes.jpg")
    page = html.unescape(site.get(f"/scan/1/image/{row.image_id}").text)
    (alike,) = re.findall(r'<section aria-labelledby="alike">(.*?)</section>', page, re.DOTALL)

    assert 3 == alike.count("the same file")


def test_two_scans_side_by_side(serve: Callable[..., Served], store: Store) -> None:
    """Another scan of the collection can be chosen; the page has all of both, the earlier first."""
    rescan(store)
    first, other = find_scan(store, 1), scans.ensure_collection(store, "other", b"/other")
    scans.new_scan(store, other, first.plan_id, "fleet")
    served = serve(store)
    report = served.get("/scan/1/report").text
    page = served.get("/scan/2/compare?with=1").text
    turned = served.get("/scan/1/compare?with=2").text

    assert ["2"] == re.findall(r'<option value="(\d)">', report)
    assert ["Scan 1", "Scan 2"] == re.findall(r"<h2>(Scan \d)</h2>", page)
    assert re.findall(r"<h2>.*</h2>", page) == re.findall(r"<h2>.*</h2>", turned)
    assert 2 == page.count('<svg class="share"')
    assert "Changed verdicts" in page
    headings = re.compile(r"<h2[^>]*>(.*?)</h2>")
    assert set(headings.findall(report)) <= set(headings.findall(page))
    assert 2 == page.count('<table class="certain">')
    for scan_id in (1, 2):
        assert re.search(rf'src="/scan/{scan_id}/image/\d+/thumbnail"', page)
    for wrong, code in (("", 400), ("x", 400), ("99", 404), ("9" * 30, 404)):
        assert code == served.get(f"/scan/1/compare?with={wrong}").status


def rescan(store: Store) -> None:
    """Add a scan of the same folder and images, with verdicts that are all `unsure`."""
    first = find_scan(store, 1)
    rows = list(verdict_rows(store, 1))
    second = scans.new_scan(store, first.collection_id, first.plan_id, "fleet")
    listed = [ListedImage(row.path, 1, 1) for row in rows]
    batch = add_batch(store, second, listed, None)
    assert batch is not None
    results.record_host(store, results.Host("h1", "pi4", "aarch64", {}))
    begun = results.begin_run(store, batch.batch_id, 1, ("h1", "w"))
    assert begun is not None
    verdicts = [
        Verdict(one.image_id, Outcome.UNSURE, 0.5, "scenes", True, (), None, None, Timings(1, 1, 1))
        for one in batch.images
    ]
    results.record_verdicts(store, begun[0], verdicts)
    results.finish_batch(store, begun[0])
    scans.mark_listed(store, second.scan_id, {}, 0)


def test_image_page_draws_the_crops_with_their_threshold(site: Served, store: Store) -> None:
    """A score has its threshold; its crops are drawn where a scan cuts them; a map is one link."""
    row = next(one for one in verdict_rows(store, 1) if one.path == b"plain/dunes.jpg")
    page = html.unescape(site.get(f"/scan/1/image/{row.image_id}").text)
    card = installed()["scenes"]
    assert card.input is not None
    places = crop_places((480, 320), card.input, card.view.crops)
    drawn = re.findall(r'<rect class="crop" x="(\d+)" y="(\d+)" width="224"', page)

    assert [(str(left), str(top)) for left, top in places] == drawn
    assert re.search(r"\d\.\d{3}, (above|below) the \d\.\d{3} at which scenes says", page)
    assert re.search(rf'href="/scan/1/image/{row.image_id}/map\?[^"]*by=scenes"', page)


def test_map_page(serve: Callable[..., Served], store: Store, tmp_path: Path) -> None:
    """The map has the score of each square and a legend; it is cached, and made of those bytes."""
    row = next(one for one in verdict_rows(store, 1) if one.path == b"plain/dunes.jpg")
    address = f"/scan/1/image/{row.image_id}/map"
    page = html.unescape(serve(store).get(address).text)
    squares = re.findall(
        r'<rect class="s\d[^"]*" x="[\d.]+" y="[\d.]+"[^>]*/><text [^>]*>\d\d<', page
    )

    assert 6 == len(squares)
    assert re.search(r'role="img" aria-label="Map: 6 squares, scores from 0\.\d+ to', page)
    assert "80 to 100" in page
    assert "says unsure of an image" in page
    assert page == html.unescape(serve(store).get(address).text)
    (kept,) = [file for file in (tmp_path / "cache").rglob("*-map-*") if file.is_file()]
    kept.unlink()
    away = serve(store, roots={"photos": tmp_path / "away"}).get(address)
    assert (404, True) == (away.status, "There is no map: its collection is not" in away.text)


def test_maps_are_made_one_at_a_time(
    site: Served, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who would wait too long for another map is told to come again."""
    row = next(one for one in verdict_rows(store, 1) if one.path == b"plain/dunes.jpg")
    monkeypatch.setattr(score_maps, "WAIT_SECONDS", 0.01)
    with score_maps._MAKING:
        answer = site.get(f"/scan/1/image/{row.image_id}/map")

    assert (503, True) == (answer.status, "another map is being made" in answer.text)


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        (b"tiny/10.jpg", "", "no detector of this scan looked at crops of this image"),
        (b"broken/cut-off.jpg", "", "no detector of this scan looked at crops of this image"),
        (b"plain/dunes.jpg", "?by=faces", "no detector of this scan looked at crops"),
    ],
)
def test_map_page_says_why_there_is_none(
    site: Served, store: Store, path: bytes, query: str, said: str
) -> None:
    """An image without crops has one sentence instead of a map."""
    row = next(one for one in verdict_rows(store, 1) if one.path == path)
    answer = site.get(f"/scan/1/image/{row.image_id}/map{query}")

    assert 404 == answer.status
    assert f"There is no map: {said}" in answer.text


def test_map_page_with_another_version_of_the_detector(
    site: Served, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the detector of the scan may draw its boxes and its map."""
    row = next(one for one in verdict_rows(store, 1) if one.path == b"plain/dunes.jpg")
    monkeypatch.setattr("scanner.web.looked_at.installed.installed", dict)

    assert "another version of scenes" in site.get(f"/scan/1/image/{row.image_id}/map").text
    assert "<rect" not in site.get(f"/scan/1/image/{row.image_id}").text


def test_further_views_are_said_in_words() -> None:
    """Views that cannot be drawn are said: an image of a megapixel is not reduced to one."""
    seen = Finding("mine", "score", 0.5, detail={"crops": 5})
    view = View("crops", crops=5, reduced_crops=5, overview=True)
    cards = {"mine": Card("mine", "1", "", Thresholds(0.5, 0.9), (), view=view)}

    assert (
        "The detector also looked at the whole image reduced to one crop's size."
        == further_views(seen, Shape((1000, 1000), 1), cards)
    )
    assert "reduced to a megapixel and at the whole" in further_views(
        seen, Shape((3000, 2000), 1), cards
    )
    assert "" == further_views(seen, Shape((3000, 2000), 1), {})


def _judge(store: Store, judged: Verdict) -> None:
    """Replace the verdict on an image."""
    with store.write() as connection:
        (run_id,) = connection.exec_driver_sql("SELECT max(id) FROM run").one()
        connection.exec_driver_sql(f"DELETE FROM verdict WHERE image_id = {judged.image_id}")
    results.record_verdicts(store, results.Run(run_id, 1, 1, 1), [judged])


def test_live_page_without_broker(serve: Callable[..., Served], store: Store) -> None:
    """Without a broker, the number of waiting batches is unknown, not 0."""
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scan SET finished_at = NULL, broker = 'fleet'")
    page = serve(store).get("/scan/1").text

    assert "The broker does not answer" in page
    assert "unknown" in page


def test_live_page_of_a_new_scan(serve: Callable[..., Served], store: Store) -> None:
    """A scan of which nothing is judged yet is starting, and waits after a minute."""
    with store.write() as connection:
        connection.exec_driver_sql("DELETE FROM verdict")
        connection.exec_driver_sql("UPDATE scan SET finished_at = NULL, broker = 'fleet'")
        connection.exec_driver_sql("UPDATE run SET ended_at = started_at + 1 - 1000")
    pages = []
    for age in (0, 99):
        with store.write() as connection:
            connection.exec_driver_sql(f"UPDATE scan SET created_at = {time.time() - age}")
        pages.append(serve(store).get("/scan/1").text)
    new, old = pages

    assert "This scan is starting." in new
    assert "This scan is waiting for workers: start one with <code>scanner worker</code>." in old


def test_live_page_with_queue(serve: Callable[..., Served], store: Store, clean_redis: str) -> None:
    """With a broker, the number of waiting batches is shown."""
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scan SET finished_at = NULL, broker = 'fleet'")
    page = serve(store, broker=clean_redis).get("/scan/1").text

    assert re.search(r"<dt>Batches waiting</dt><dd>\s*0\s*</dd>", page)


def test_live_page_shows_temperature(serve: Callable[..., Served], store: Store) -> None:
    """A host's last temperature is shown, but not after a minute of silence."""
    now = time.time()
    (known,) = list_hosts(store)
    results.record_host(store, replace(known, info={"temperature_c": 71.6}))
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scan SET finished_at = NULL, broker = 'fleet'")
        connection.exec_driver_sql(f"UPDATE run SET started_at = {now - 5}, ended_at = {now - 1}")
    at_work = serve(store).get("/scan/1").text
    with store.write() as connection:
        connection.exec_driver_sql(f"UPDATE run SET ended_at = {now - 90}, started_at = {now - 95}")
    silent = serve(store).get("/scan/1").text

    assert "<td>71.6 °C</td>" in at_work
    assert "°C" not in silent


def test_events_end_with_the_scan(serve: Callable[..., Served], store: Store) -> None:
    """A finished scan sends one last event, and the stream ends."""
    cancel(store, 1)
    answer = serve(store).get("/scan/1/events")

    assert "text/event-stream" in answer.headers["content-type"]
    assert 1 == answer.text.count("event: ")
    assert "event: over" in answer.text
    assert "This scan is" in answer.text


def test_a_store_without_scans_says_what_to_do(serve: Callable[..., Served], store: Store) -> None:
    """Without scans, pages say how to start one."""
    forget(store, 1)
    site = serve(store)

    assert "/start" == site.get("/").headers["location"]
    assert "scanner serve --root photos=" in site.get("/start").text
    assert "No scan yet." in site.get("/scans").text
    assert 404 == site.get("/scan/1").status
    assert 200 == site.get("/metrics").status


@pytest.mark.parametrize(
    "form", [{"image": "1"}, {"image": "x", "answer": "ai"}, {"image": "1", "answer": "real"}]
)
def test_invalid_answer_is_refused(site: Served, form: dict[str, str]) -> None:
    """Invalid answers are refused."""
    assert 400 == site.post("/scan/1/review", form).status


def test_a_script_sends_several_answers_at_once(site: Served, store: Store) -> None:
    """Each image gets its own answer, and each is undone by itself."""
    form = [("image", "1"), ("answer", "ai"), ("image", "2"), ("answer", "not_ai")]
    answer = site.post("/scan/1/review", form, Accept="application/json")
    before = [[one.answer.value for one in list_reviews(store, 1, image)] for image in (1, 2)]
    site.post("/scan/1/review/undo", {})
    after = [[one.is_current for one in list_reviews(store, 1, image)] for image in (1, 2)]

    assert 200 == answer.status
    assert [["ai"], ["not_ai"]] == before
    assert [[True], [False]] == after


def test_reviewers_who_contradict_each_other(site: Served, store: Store) -> None:
    """Tile and table do not show them as agreed; each is named with what they said."""
    for answer, who in ((Answer.AI, "ann"), (Answer.NOT_AI, "<bob>")):
        record_answer(store, 1, 2, answer, who)
    record_answer(store, 1, 11, Answer.AI, "ann")
    gallery = " ".join(site.get(f"/scan/1/gallery?{ALL}&reviewed=yes").text.split())
    said = re.findall(r'class="reviewed"> ?(.*?) ?</span>', gallery)
    table = re.search(r"<table>.*</table>", site.get("/scan/1/review").text, re.DOTALL)
    assert table is not None
    cells = [re.findall(r">([^<]+)</t[hd]>", row) for row in table[0].split("<tr>")[1:]]

    assert {
        "reviewed: AI (<bdi>ann</bdi>), not AI (<bdi>&lt;bob&gt;</bdi>)",
        "reviewed: AI",
    } == set(said)
    assert ["AI", "not AI", "can&#39;t tell", "contradicting"] == cells[0][2:]
    assert [["1", "0", "0", "0"], ["0", "0", "0", "1"]] == sorted(
        (row[2:] for row in cells[1:] if any(map(int, row[2:]))), reverse=True
    )


def first_image(page: str) -> int:
    """Return the image that a page of the review shows."""
    found = re.search(r'name="image" value="(\d+)"', page)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("sample", ["", "&sample=1"])
def test_reviewers_share_the_work(site: Served, store: Store, sample: str) -> None:
    """Nobody is shown what is on another's screen, or loaded for it, while there are others."""
    draw_sample(store, 1, 5, seed=1)
    address = f"/scan/1/review?verdict=unsure{sample}"

    def see(who: str, page: str = address) -> str:
        return site.get(page, Cookie=f"scanner_reviewer={who}").text

    anns = see("ann")
    ahead = re.search(r'data-open="([^"]+)"', anns)
    assert ahead is not None
    second = first_image(see("ann", html.unescape(ahead[1])))
    bobs = see("bob")
    seen = {first_image(anns), second}
    again = first_image(see("ann"))
    while (image := first_image(see("bob"))) not in seen:
        form = {"image": str(image), "answer": "ai"}
        site.post(address, form, Cookie="scanner_reviewer=bob")

    assert first_image(anns) == again
    assert first_image(bobs) not in seen
    # Only what Ann has is left.
    assert image == first_image(anns)


def test_a_blind_sample_shows_no_answer(site: Served, store: Store) -> None:
    """Answers that were withdrawn, by whomever, would influence the reviewer, too."""
    drawn = draw_sample(store, 1, 2, seed=1)
    (image, _), _ = sample_images(store, drawn)
    for who in ("ann", "bob"):
        record_answer(store, 1, image, Answer.NOT_AI, who)
        withdraw_answer(store, 1, who)
    blind = site.get("/scan/1/review?sample=1").text
    record_answer(store, 1, image, Answer.AI, "bob")
    after = site.get(f"/scan/1/review?sample=1&image={image}").text

    assert image == first_image(blind)
    assert 'class="history"' not in blind
    assert 4 == after.count("<time>") + 1


def test_the_end_of_a_review_has_a_next_step(site: Served, store: Store) -> None:
    """With all images reviewed, the page leads to the report and to what can be exported."""
    draw_sample(store, 1, 1, seed=1)
    before = site.get("/scan/1/review?sample=1").text
    site.post("/scan/1/review?sample=1", {"image": str(first_image(before)), "answer": "ai"})
    after = site.get("/scan/1/review?sample=1").text

    assert "Next: the" not in before
    assert "The whole sample is reviewed." in after
    assert 'Next: the <a href="/scan/1/report">report</a>' in after
    assert "0 left. <strong>" in " ".join(after.split())


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"answer": "ai"}, 400),
        ({"image": "1", "answer": "maybe"}, 400),
        ({"image": "x", "answer": "ai"}, 400),
        ({"image": "999999", "answer": "ai"}, 404),
        ({"image": "1", "form": "exe"}, 400),
        ({"image": "999999", "form": "nul"}, 200),
    ],
)
def test_invalid_choices_change_nothing(
    site: Served, store: Store, form: dict[str, str], status: int
) -> None:
    """What is not of the scan is neither answered nor exported."""
    answer = site.post("/scan/1/selected", form)

    assert status == answer.status
    assert status != 200 or answer.body == b""
    assert {} == review_progress(store, 1).answers


def test_a_whole_selection_is_confirmed_first(site: Served, store: Store) -> None:
    """Nothing is stored before it is confirmed, or where other images match than were confirmed."""
    address = "/scan/1/selected?verdict=no_evidence&folder=tiny"
    number = site.get(address.replace("selected", "gallery")).text.count('class="pick"')
    reviewer = {"all": "1", "answer": "not_ai"}
    asked = site.post(address, reviewer)
    others = site.post(address, reviewer | {"confirmed": str(number + 1)})
    before = review_progress(store, 1).answers
    done = site.post(address, reviewer | {"confirmed": str(number)})
    page = site.get(done.headers["location"]).text
    at = re.search(r'name="at" value="([^"]+)"', page)

    assert (200, 200, 303) == (asked.status, others.status, done.status)
    assert f'name="confirmed" value="{number}"' in asked.text
    assert "<dt>Folder</dt><dd><bdi>tiny</bdi>" in asked.text
    assert {} == before
    assert {(Outcome.NO_EVIDENCE, Agreed.NOT_AI): number} == review_progress(store, 1).answers
    assert f"Answered {number} images: not AI." in page
    assert at

    undone = site.post("/scan/1/review/undo?folder=plain&group=1", {"at": at[1]})
    again = site.post("/scan/1/review/undo", {"at": at[1]})

    assert (303, 409) == (undone.status, again.status)
    assert undone.headers["location"].endswith(
        "gallery?verdict=ai&verdict=unsure&folder=plain&group=1"
    )
    assert {} == review_progress(store, 1).answers


def test_a_whole_selection_is_exported(site: Served) -> None:
    """The file has what matches, on whatever page."""
    some = site.post("/scan/1/selected?verdict=no_evidence", {"all": "1", "form": "nul"})
    every = site.get("/scan/1/export?verdict=no_evidence&form=nul")

    assert every.body.count(b"\0") > 1
    assert every.body == some.body


def test_too_many_images_are_not_answered(
    site: Served, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit the page asks for further filters, and nothing is stored."""
    monkeypatch.setattr(selected, "MAX_ANSWERED", 1)
    refused = site.post(
        "/scan/1/selected?verdict=no_evidence", {"all": "1", "answer": "ai", "confirmed": "2"}
    )

    assert 400 == refused.status
    assert "At most 1 images" in refused.text
    assert {} == review_progress(store, 1).answers


def test_reviewer_needs_a_name_beyond_loopback(serve: Callable[..., Served], store: Store) -> None:
    """Without a name an answer is refused; with one it is stored with the answer."""
    site = serve(store, reviewer="")
    form = {"image": "1", "answer": "not_ai"}
    refused = site.post("/scan/1/review", form)
    named = site.post("/scan/1/reviewer?verdict=ai", {"name": ' Zo\u00eb "\u202e<b> '})
    cookie = named.headers["set-cookie"].split(";")[0]
    taken = site.post("/scan/1/review", form, Cookie=cookie)

    assert (400, 303, 303) == (refused.status, named.status, taken.status)
    assert "/scan/1/review?verdict=ai" == named.headers["location"]
    assert [r'Zoë "\u202e<b>'] == [one.reviewer for one in list_reviews(store, 1, 1)]


def test_results_are_cached() -> None:
    """Within its time a result is reused; another key is computed."""
    computed: list[str] = []
    cache: MemoryCache[float] = MemoryCache(60)

    def compute() -> float:
        computed.append("")
        return time.monotonic()

    assert cache.get("a", compute) == cache.get("a", compute)
    cache.get("b", compute)
    assert 2 == len(computed)


def test_pages_speak_the_language_of_the_browser(site: Served) -> None:
    """A browser that prefers Chinese gets it, whatever is shown; English is the default."""
    addresses = ("/scans", "/scan/1", "/scan/1/report", "/scan/1/review", "/scan/1/image/2")
    wanted = {"Accept-Language": "zh-TW,zh;q=0.9,en;q=0.8"}
    chinese = [site.get(address, **wanted).text for address in addresses]

    assert all('<html lang="zh-Hant">' in page and "掃描" in page for page in chinese)
    assert '<html lang="en">' in site.get("/scans").text
    assert "找不到頁面" in site.get("/nowhere", **wanted).text
    assert "event: over" in (events := site.get("/scan/1/events", **wanted).text)
    assert "AI 生成" in events


@pytest.mark.parametrize(
    ("page", "target"),
    [
        ("{url}scan/1/gallery?verdict=ai", "/scan/1/gallery?verdict=ai"),
        ("http://other.example/scan/1", "/"),
        ("{url}/other.example/", "/other.example/"),
        ("", "/"),
    ],
)
def test_a_chosen_language_stays(site: Served, page: str, target: str) -> None:
    """The switch leads back to its page, and wins over what the browser prefers."""
    said = site.post("/language", {"language": "zh-Hant"}, Referer=page.format(url=site.url))
    cookie = said.headers["set-cookie"].partition(";")[0]
    other = site.post("/language", {"language": "../../etc"}, Referer=site.url)

    assert (303, target) == (said.status, said.headers["location"])
    assert '<html lang="zh-Hant">' in site.get("/scans", Cookie=cookie).text
    assert "set-cookie" not in other.headers
