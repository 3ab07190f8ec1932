"""A report's HTML file in a real browser, opened from the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scanner.web.conftest import Scanned, Visitor

# By name, the words that make it of a scan without labels (1) and of one with them (2).
REPORTS = {
    "unlabelled": ("1",),
    "labelled": ("2",),
    "redacted": ("2", "--redact"),
    "compared": ("1", "2"),
}

# A4 less a browser's margins, at 96 pixels an inch.
PAPER = {"width": 718, "height": 1000}


@pytest.fixture(scope="session")
def reports(scanned: Scanned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a report of each kind on real scans."""
    place = tmp_path_factory.mktemp("reports")
    names = sorted(file.name for file in (scanned.folder / "tiny").iterdir())
    labels = (f"tiny/{name},{('real', 'ai')[n % 2]}\n" for n, name in enumerate(names))
    (place / "labels.csv").write_text("".join(["path,label\n", *labels]))
    store = place / "store.db"
    shutil.copy(scanned.store_file, store)
    env = os.environ | {"HOME": str(place), "XDG_STATE_HOME": str(place / "state")}
    labelled = ("scan", scanned.folder, "--labels", place / "labels.csv", "--rescan")
    done = scanner(*labelled, "--store", store, env=env)
    assert 3 == done.returncode, done.stderr
    with closing(sqlite3.connect(store)) as connection, connection:
        # Files of more months than a page shows unfolded, as in a collection that grew.
        connection.execute("UPDATE entry SET mtime_ns = image_id * 40 * 86400 * 1000000000")
    for name, words in REPORTS.items():
        out = ("--format", "html", "--output", place / f"{name}.html")
        done = scanner("report", *words, *out, "--store", store, env=env)
        assert 0 == done.returncode, done.stderr
    return place


def scanner(*words: str | Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    command = [sys.executable, "-m", "scanner", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=env)


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_accessible(reports: Path, visitor: Visitor, name: str) -> None:
    """Pages meet WCAG 2.2 AA as far as axe-core can tell, light and dark, wide and narrow."""
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.page.goto((reports / f"{name}.html").as_uri())
    visitor.shoot(f"report-{name}")

    assert [] == visitor.violations()
    assert [(reports / f"{name}.html").as_uri()] == asked


def test_printed_report_is_complete(reports: Path, visitor: Visitor) -> None:
    """On paper no table is cut off, and details are open."""
    page = visitor.page
    page.goto((reports / "labelled.html").as_uri())
    page.set_viewport_size(PAPER)
    folded = page.locator("details").evaluate("one => one.getBoundingClientRect().height")
    page.emulate_media(media="print")
    table = page.locator("details table").evaluate("one => one.getBoundingClientRect().height")
    printed = page.locator("details").evaluate("one => one.getBoundingClientRect().height")
    cut = page.evaluate(
        "[...document.querySelectorAll('.wide')].filter(w => w.scrollWidth > w.clientWidth).length"
    )

    assert folded < table < printed
    assert 0 == cut
