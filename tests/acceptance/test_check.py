"""`scanner check`: single files, with nothing else running and nothing written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any


def test_tagged_and_plain_file(cli: Cli, samples: Path) -> None:
    """A tagged file is AI-generated, with its generator's name; a plain one is not real."""
    tagged = cli.run("check", samples / "tagged" / "webui.png").stdout
    plain = cli.run("check", samples / "plain" / "dunes.jpg", "--detectors", "provenance").stdout

    assert "webui.png: AI-generated, score 0.980" in tagged
    assert "Stable Diffusion web UI left its mark in png:parameters" in tagged
    assert "no evidence of AI (which does not make it real)" in plain
    assert "the detector for this size is not part of this scan's plan" in plain


def test_rows_are_those_of_a_scan(scanned_samples: Cli, drawn_samples: Path) -> None:
    """With --json each file gives the row of a scan, except for timings and host."""
    cli, samples = scanned_samples, drawn_samples
    files = sorted(file for file in samples.rglob("*") if file.is_file())
    checked = [
        json.loads(line) for line in cli.run("check", *files, "--json", check=3).stdout.splitlines()
    ]
    scanned = [json.loads(line) for line in cli.run("verdicts").stdout.splitlines()]
    by_path = {str(samples / row["path"]): row for row in scanned}
    differing = {"path", "host", "fetch_ms", "decode_ms", "infer_ms"}

    assert [str(file) for file in files] == [row["path"] for row in checked]
    for row in checked:
        other = by_path[row["path"]]

        assert row.keys() == other.keys()
        assert {key: row[key] for key in row.keys() - differing} == {
            key: other[key] for key in row.keys() - differing
        }


def test_nothing_is_written(cli: Cli, samples: Path, home: Path) -> None:
    """There is no store, no queue and no log: the home stays empty."""
    cli.run("check", samples / "tiny" / "10.jpg")

    assert [] == list(home.rglob("*"))


def test_unreadable_files_are_results(cli: Cli, samples: Path) -> None:
    """A missing file and a folder are errors; the other files are still judged."""
    files = [samples / "tiny" / "10.jpg", samples / "gone.jpg", samples / "tiny"]
    done = cli.run("check", *files, "--json", check=3)
    rows = [json.loads(line) for line in done.stdout.splitlines()]

    assert [str(file) for file in files] == [row["path"] for row in rows]
    assert [None, "unreadable", "unreadable"] == [row.get("error") for row in rows]
    assert "" == done.stderr
