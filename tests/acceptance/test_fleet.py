"""The commands of a fleet, one after the other, as users enter them."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from stage import broken

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any
    Fleet = Any

# Seconds by which each image takes longer, so that commands find a scan at work on any machine.
SLOW = {"PYTHON_FAULTS_SLOW": 0.02}


def test_dry_run_counts(fleet: Fleet, photos: Path, photo: Path) -> None:
    """A dry run counts images, bytes and batches, and writes nothing to the store."""
    said = fleet.cli.json("enqueue", photos, "--dry-run", "--json")

    assert 400 == said["images"]
    assert 400 * photo.stat().st_size == said["size_bytes"]
    # Batches end at 64 MiB.
    each = 64 * 2**20 // photo.stat().st_size
    assert -(-400 // each) == said["batches"]
    assert {"scans": []} == fleet.cli.json("scans", "--json")


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)  # the store of most fleets
def test_cancelled_and_resumed(fleet: Fleet, photos: Path) -> None:
    """Workers drop the rest of a cancelled scan; `resume` finishes it."""
    scan_id = fleet.cli.json("enqueue", photos, "--name", "holiday", "--json")["scan"]
    waiting = fleet.cli.json("status", "--json")

    assert (scan_id, "holiday", "unfinished") == tuple(
        waiting[key] for key in ("scan", "collection", "state")
    )
    assert {"ai": 0, "unsure": 0, "no_evidence": 0, "error": 0, "pending": 400} == waiting[
        "verdicts"
    ]
    assert waiting["queue"]["waiting"] > 1

    fleet.cli.env.update(broken(**SLOW))
    fleet.work()
    fleet.wait(scan_id, lambda seen: seen.judged >= 20)
    said = fleet.cli.run("status")
    assert re.search(r"recently active processes:\n    \S+:\d+ batch \d+ of scan", said.stdout)
    fleet.cli.run("cancel", str(scan_id))
    watched = fleet.cli.run("status", str(scan_id), "--watch", check=1)
    left = fleet.counts(scan_id).pending

    assert "cancelled" in watched.stdout
    assert left > 0
    assert "is cancelled" in fleet.cli.run("cancel", str(scan_id)).stdout
    assert left >= fleet.counts(scan_id).pending > 0

    fleet.cli.run("resume", str(scan_id))
    fleet.cli.run("status", str(scan_id), "--watch")
    finished = fleet.cli.json("status", str(scan_id), "--json")

    assert ("finished", 400) == (finished["state"], finished["verdicts"]["no_evidence"])
    assert 0 == finished["queue"]["waiting"]


def test_rows_in_both_formats(fleet: Fleet, photos: Path) -> None:
    """JSON lines and CSV have one row per image, with the same values."""
    fleet.work()
    scan_id = fleet.cli.json(
        "enqueue", photos, "--include", "00*.jpg", "--detectors", "provenance", "--json"
    )["scan"]
    fleet.wait(scan_id, lambda seen: seen.pending == 0)
    lines = [json.loads(line) for line in fleet.cli.run("verdicts").stdout.splitlines()]
    rows = list(csv.DictReader(io.StringIO(fleet.cli.run("verdicts", "--format", "csv").stdout)))

    assert [f"00{number}.jpg" for number in range(10)] == sorted(line["path"] for line in lines)
    assert [(line["path"], line["digest"]) for line in lines] == [
        (row["path"], row["digest"]) for row in rows
    ]
    assert {"the detector for this size is not part of this scan's plan"} == {
        said["text"] for line in lines for said in line["findings"]
    }


def test_forgotten_scan_is_gone(fleet: Fleet, photos: Path) -> None:
    """A forgotten scan is not listed; another scan of the same folder is kept."""
    first = fleet.cli.json("enqueue", photos, "--json")["scan"]
    second = fleet.cli.json("enqueue", photos, "--detectors", "provenance", "--json")["scan"]
    fleet.cli.run("scans", "forget", str(first), "--yes")

    assert [second] == [one["scan"] for one in fleet.cli.json("scans", "--json")["scans"]]
    assert 400 == fleet.cli.json("status", "--json")["images"]
    assert 1 == fleet.cli.run("report", str(first), check=None).returncode


def test_two_stores_share_a_redis(cli: Cli, tmp_path: Path, clean_redis: str) -> None:
    """Two stores on one Redis, both with a folder called `pics`, each judge their own images."""
    running = []
    for number, name in enumerate(("ann", "bob"), start=1):
        folder = tmp_path / name / "pics"
        folder.mkdir(parents=True)
        for image in range(60):
            Image.new("RGB", (100 * number, 100)).save(folder / f"{image}.png")
        store = tmp_path / name / "store.db"
        running.append(
            cli.start("scan", folder, "--store", store, "--broker", clean_redis, "--json")
        )
    reports = [json.loads(scan.communicate(timeout=100)[0]) for scan in running]

    assert [0, 0] == [scan.returncode for scan in running]
    assert [(60, 0)] * 2 == [
        (report["verdicts"]["no_evidence"], report["verdicts"]["error"]) for report in reports
    ]


def test_refused_scan_changes_nothing(cli: Cli, photos: Path, clean_redis: str) -> None:
    """A second `scan` of a folder is refused, and the first keeps its rescuer."""
    cli.env.update(broken(**SLOW))
    first = cli.start("scan", photos, "--json", "--concurrency", "1")
    until = time.monotonic() + 60
    while time.monotonic() < until and not started(cli):
        time.sleep(0.1)
    refused = cli.run("scan", photos, "--broker", clean_redis, check=1)
    report = json.loads(first.communicate(timeout=100)[0])

    assert "is running already" in refused.stderr
    assert 400 == report["verdicts"]["no_evidence"]


def test_cancelled_scan_exits_with_a_message(cli: Cli, photos: Path) -> None:
    """A cancelled `scan` exits with a message, not as if it were finished."""
    cli.env.update(broken(**SLOW))
    scan = cli.start("scan", photos, "--concurrency", "1")
    until = time.monotonic() + 60
    while time.monotonic() < until and not started(cli):
        time.sleep(0.1)
    cli.run("cancel", "--yes")
    _, words = scan.communicate(timeout=60)

    assert 1 == scan.returncode
    assert "was cancelled; run the same command again to resume" in words
    cli.env.pop("PYTHON_FAULTS_SLOW")
    assert 400 == cli.json("scan", photos, "--json")["verdicts"]["no_evidence"]


def started(cli: Cli) -> bool:
    """Tell whether some image of the latest scan has been judged."""
    done = cli.run("status", "--json", check=None)
    return done.returncode == 0 and json.loads(done.stdout)["verdicts"]["no_evidence"] > 0
