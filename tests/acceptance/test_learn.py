"""`scanner learn`: from a scan that people reviewed to a detector, or to a sentence why not."""

from __future__ import annotations

import zipfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage.database.store import Store
from storage.reads.verdicts import verdict_rows
from storage.writes.reviews import Answer, record_answer

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any

EACH = 22


@pytest.fixture
def photos(test_data: Path, tmp_path: Path) -> Path:
    """Return a folder of real and AI-generated images, from the test part of the data."""
    folder = tmp_path / "photos"
    with zipfile.ZipFile(test_data / "scenes.zip") as archive:
        for part in ("test/REAL/street/", "test/REAL/city/", "test/FAKE/quiz-1/"):
            names = [name for name in archive.namelist() if name.startswith(part)]
            archive.extractall(folder, sorted(names)[: EACH if "FAKE" in part else EACH // 2])
    return folder


def test_learning_from_answers(cli: Cli, photos: Path, tmp_path: Path) -> None:
    """Answers are counted by detector; a learned detector is one that a scan can use."""
    store = tmp_path / "store.db"
    cli.run("scan", photos, "--store", store)
    nobody = cli.run("learn", "--store", store, check=1)
    assert "nobody has answered for an image of scan 1" in nobody.stderr

    with closing(Store.open(str(store))) as opened:
        for row in verdict_rows(opened, 1):
            answer = Answer.AI if b"/FAKE/" in row.path else Answer.NOT_AI
            record_answer(opened, 1, row.image_id, answer, "ann")
    done = cli.run("learn", "--store", store, check=None)
    assert "scenes: " in done.stdout
    assert "(held out)" in done.stdout
    assert "Traceback" not in done.stderr
    if done.returncode == 0:
        assert "written as scenes-learned" in done.stdout
        cli.run("scan", photos, "--store", store, "--detectors", "scenes-learned")
    else:
        assert "nothing was learned" in done.stderr
