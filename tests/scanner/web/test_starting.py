"""Scans that are started and steered from the pages: real scans, as child processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from scanner.web.folders import NoFolder, is_below, open_folder
from scanner.web.pages import steer
from scanner.web.runs import Runs
from storage.database.store import Store
from storage.writes.scans import find_scan, list_scans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.scanner.web.conftest import Served, Visitor

# Seconds until a started scan has come as far as a test waits for, on a machine with much to do.
PATIENCE = 120


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    """Return a store without scans."""
    opened = Store.open(str(tmp_path / "store.db"))
    yield opened
    opened.close()


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """Return what starts scans into that store."""
    with Runs({"SCANNER_STORE_URL": str(tmp_path / "store.db")}) as made:
        yield made


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def is_over(runs: Runs, scan_id: int) -> bool:
    """Return whether the latest run of a scan has ended."""
    run = runs.of(scan_id)
    return run is not None and not run.is_running


@pytest.mark.usefixtures("slow_images")
def test_from_an_empty_store_to_a_report(
    serve: Callable[..., Served], empty: Store, runs: Runs, photos: Path, visitor: Visitor
) -> None:
    """A folder is chosen and scanned; the scan is paused, killed, resumed and cancelled."""
    (photos / "inside").mkdir()
    site = serve(empty, roots={"photos": photos.parent}, runs=runs)
    page = visitor.page
    page.goto(site.url)
    visitor.shoot("empty")
    found = visitor.violations()
    page.get_by_role("link", name="photos").click()
    page.get_by_role("link", name="photos", exact=True).last.click()
    page.get_by_role("link", name="inside").wait_for()
    visitor.shoot("folder")
    found += visitor.violations()
    page.get_by_role("button", name="Scan this folder").click()
    page.wait_for_url("**/scan/1")
    second = site.post("/start?root=photos", {"name": "all"})
    page.get_by_role("button", name="Pause").click()
    pausing = site.get("/scan/1").text
    page.get_by_text("Paused.").wait_for(timeout=PATIENCE * 1000)
    visitor.shoot("paused")
    paused, listed = site.get("/scan/1").text, site.get("/scans").text
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Pause").wait_for()
    run = runs.of(1)
    assert run is not None
    run._process.send_signal(signal.SIGKILL)
    page.get_by_text("was killed (signal 9)").wait_for(timeout=PATIENCE * 1000)
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("link", name="Cancel this scan").click()
    visitor.shoot("cancel")
    page.get_by_role("button", name="Cancel this scan").click()
    page.get_by_text("This scan is cancelled.").wait_for(timeout=PATIENCE * 1000)
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Pause").wait_for()

    assert [] == found
    assert 409 == second.status
    assert "A scan is running already" in second.text
    assert '<a href="/scan/1">Scan 1</a>' in second.text
    assert 'action="/scan/1/pause"' not in pausing
    assert "Time left" not in paused
    assert "<td>paused</td>" in listed
    assert ["photos/photos"] == [scan.collection for scan in list_scans(empty)]
    assert "unfinished" == find_scan(empty, 1).state


def test_store_that_was_removed(
    serve: Callable[..., Served], empty: Store, runs: Runs, photos: Path, tmp_path: Path
) -> None:
    """Without its store the server says so, is ill, and starts no scan in a new one."""
    site = serve(empty, roots={"photos": photos}, runs=runs)
    well = site.get("/health").status
    for file in tmp_path.glob("store.db*"):
        file.unlink()
    pages = [site.get("/scans"), site.get("/start"), site.post("/start?root=photos", {})]

    assert (200, 503) == (well, site.get("/health").status)
    assert [503] * 3 == [page.status for page in pages]
    assert all("The store is not available" in page.text for page in pages)
    assert [] == list(tmp_path.glob("store.db*"))


def test_repeated_scans(
    serve: Callable[..., Served], empty: Store, runs: Runs, tmp_path: Path
) -> None:
    """A finished scan can be repeated, with the options that it had, but not paused."""
    folder = tmp_path / "FAKE"
    folder.mkdir()
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    site = serve(empty, roots={"two": folder}, runs=runs)
    first = site.post("/start?root=two", {"name": "two", "detectors": "provenance", "labels": "1"})
    until(lambda: is_over(runs, 1))
    none = site.post("/scan/1/sample", {"size": "5"})
    buttons = set(re.findall(">([^<>]+)</button>", site.get("/scan/1").text))

    assert "/scan/1" == first.headers["location"]
    assert ["--detectors=provenance", "--labels-from-folders"] == steer._options(
        find_scan(empty, 1)
    )
    assert 409 == site.post("/scan/1/pause", {}).status
    assert "Scan 1 has no readable images." in none.text
    assert {"Judge everything again", "Retry the errors"} <= buttons


def test_what_is_not_started(serve: Callable[..., Served], store: Store, tmp_path: Path) -> None:
    """Without roots, or for a folder that is elsewhere, a sentence says why."""
    nothing = serve(store)
    elsewhere = serve(store, roots={"photos": tmp_path}, runs=Runs({}))

    assert "scanner serve --root" in nothing.get("/start").text
    assert "Resume" not in elsewhere.get("/scan/1").text
    assert "not below the server&#39;s roots" in elsewhere.post("/scan/1/again", {}).text
    assert "expected 1 to 100,000" in elsewhere.post("/scan/1/sample", {"size": "0"}).text
    assert 404 == elsewhere.post("/start?root=nothing", {}).status
    assert 403 == elsewhere.post("/scan/1/cancel", {}, Origin="http://other.example").status


def test_folders_never_lead_out_of_their_root(tmp_path: Path) -> None:
    """Neither dots nor links can be opened; hidden folders are not shown."""
    top = tmp_path / "top"
    for name in (b"a", b"b\xff", b".hidden"):
        os.makedirs(os.path.join(os.fsencode(top), name))  # noqa: PTH103, PTH118 - a name in bytes
    (top / "a" / "link").symlink_to(tmp_path)
    (top / "loop").symlink_to("loop")
    roots = {"top": top}

    assert (b"a", b"b\xff") == open_folder(roots, "top", b"").folders
    assert b"top/b\xff" == open_folder(roots, "top", b"/b\xff/").name
    for path in (b"..", b"a/..", b"a/link", b"loop", b"nothing", b"a\0b", b"x" * 5_000):
        with pytest.raises(NoFolder):
            open_folder(roots, "top", path)
    with pytest.raises(NoFolder):
        open_folder(roots, "other", b"")
    assert is_below(roots, os.fsencode(top / "a"))
    assert not is_below(roots, os.fsencode(tmp_path / "topmost"))


def test_a_scan_that_fails_says_why(runs: Runs, tmp_path: Path) -> None:
    """What the child says before it ends is one sentence, and its store's address is not shown."""
    wrong = runs.start([str(tmp_path), "--name=x", "--detectors=nothing"])
    wrong.wait_until_known(PATIENCE)
    lost = Runs({"SCANNER_STORE_URL": "postgresql://ann:secret@127.0.0.1:1/x"})
    away = lost.start([str(tmp_path)])
    away.wait_until_known(PATIENCE)

    assert "There is no detector called nothing" in wrong.trouble()
    assert "see the output of `scanner serve`" in away.trouble()
    assert not runs.of(1)


def test_children_end_with_the_server(runs: Runs, photos: Path) -> None:
    """When the server stops, so does its scan, in order."""
    run = runs.start([str(photos)])
    run.wait_until_known(PATIENCE)
    runs.__exit__()

    assert not run.is_running
    assert isinstance(run._process, subprocess.Popen)
    assert 130 == run._process.returncode


def test_a_fleet_scans(
    serve: Callable[..., Served], empty: Store, photos: Path, clean_redis: str
) -> None:
    """With a broker a scan is put on the queue; it is cancelled and resumed there, not paused."""
    settings = {
        "SCANNER_STORE_URL": str(empty.engine.url.database),
        "SCANNER_BROKER_URL": clean_redis,
    }
    with Runs(settings, has_fleet=True) as runs:
        site = serve(empty, roots={"photos": photos}, runs=runs, broker=clean_redis)
        started = site.post("/start?root=photos", {"name": "photos"})
        until(lambda: is_over(runs, 1))
        waiting = site.get("/scan/1").text
        cancelled = site.post("/scan/1/cancel", {})
        state = find_scan(empty, 1).state
        resumed = site.post("/scan/1/resume", {})
        runs._settings = settings | {"SCANNER_BROKER_URL": "redis://:x@127.0.0.1:1/0"}
        without_broker = site.post("/scan/1/resume", {})

        assert 409 == without_broker.status
        assert "see the output of <code>scanner serve</code>" in without_broker.text
        assert ["/scan/1"] * 3 == [
            said.headers["location"] for said in (started, cancelled, resumed)
        ]
        assert re.search(r"<dt>Batches waiting</dt><dd>\s*3\s*</dd>", waiting)
        assert "Pause" not in waiting
        assert ("cancelled", "unfinished") == (state, find_scan(empty, 1).state)
