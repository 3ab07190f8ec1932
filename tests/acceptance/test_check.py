"""`scanner check`: single files, with nothing else running and nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any

CASES = Path(__file__).parents[1] / "cases"


def test_tagged_and_plain_file(cli: Cli, samples: Path) -> None:
    """A tagged file is AI-generated, with its generator's name; a plain one is not real."""
    tagged = cli.run("check", samples / "tagged" / "webui.png").stdout
    plain = cli.run("check", samples / "plain" / "dunes.jpg", "--detectors", "provenance").stdout

    assert "webui.png: AI-generated, score 0.980" in tagged
    assert "Stable Diffusion web UI left its mark in png:parameters" in tagged
    assert "no evidence of AI (which does not make it real)" in plain
    assert "the detector for this size is not part of this scan's plan" in plain


def test_rows_are_those_of_a_scan(scanned_samples: Cli, drawn_samples: Path) -> None:
    """With --json each file gives the row of a scan, except for what only a scan knows."""
    cli, samples = scanned_samples, drawn_samples
    files = sorted(file for file in samples.rglob("*") if file.is_file())
    checked = [
        json.loads(line) for line in cli.run("check", *files, "--json", check=3).stdout.splitlines()
    ]
    scanned = [json.loads(line) for line in cli.run("verdicts").stdout.splitlines()]
    by_path = {str(samples / row["path"]): row for row in scanned}
    differing = {"path", "host", "edited", "fetch_ms", "decode_ms", "infer_ms"}

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


def test_metadata_settles_what_cannot_be_decoded(cli: Cli, samples: Path, tmp_path: Path) -> None:
    """A cut file that names its generator is AI-generated, with its error, and can fail a run."""
    whole = (samples / "tagged" / "webui.png").read_bytes()
    cut = tmp_path / "photos" / "cut.png"
    cut.parent.mkdir()
    cut.write_bytes(whole[:-40])
    checked = cli.run("check", cut)
    cli.run("check", cut, "--fail-on", "ai", check=5)
    cli.run("scan", cut.parent, "--fail-on", "ai", check=5)
    report = cli.json("report", "--format", "json")

    assert "cut.png: AI-generated, score 0.980" in checked.stdout
    assert "truncated: this PNG file is incomplete" in checked.stdout
    assert (1, 0) == (report["verdicts"]["ai"], report["verdicts"]["error"])
    assert [] == report["errors"]
    assert [("truncated", 1)] == [
        (each["kind"], each["images"]) for each in report["settled_errors"]
    ]
    text = cli.run("report").stdout
    assert "Of the AI-generated images, 1 could not be read beyond metadata" in " ".join(
        text.split()
    )


def test_file_that_crashes_its_decoder(cli: Cli, tmp_path: Path) -> None:
    """A HEIC that ends pi-heif 1.4 by a segmentation fault is an error in a sentence."""
    heic = CASES / "24-decoder-crash" / "segfault.heic"
    checked = cli.run("check", heic, check=3)
    cli.run("scan", heic.parent, check=3)
    (row,) = [json.loads(line) for line in cli.run("verdicts").stdout.splitlines()]

    assert "segfault.heic: could not be judged" in checked.stdout
    assert "truncated: this HEIF file is incomplete" in checked.stdout
    assert "" == checked.stderr
    assert ("error", "truncated") == (row["verdict"], row["error"])


def test_folder_is_for_a_scan(cli: Cli, samples: Path) -> None:
    """A folder is not judged, and the message names the command that does; kinds are in words."""
    folder, text = samples / "tiny", samples / "broken" / "no-picture.jpg"
    checked = cli.run("check", folder, text, check=3).stdout

    assert f"To judge the images in it: scanner scan {folder}" in checked
    assert "not an image: is not in a known image format" in checked
    assert 1 == checked.count("scanner scan")


def test_standard_input_is_a_file(cli: Cli, samples: Path) -> None:
    """A file that is standard input is judged; a pipe is not waited for."""
    command = [sys.executable, "-m", "scanner", "check", "/dev/stdin"]
    run = partial(subprocess.run, command, env=cli.env, capture_output=True, check=False)
    with (samples / "tagged" / "webui.png").open("rb") as file:
        judged = run(stdin=file)
    refused = run(input=b"bytes")

    assert b"/dev/stdin: AI-generated" in judged.stdout
    assert b"a pipe or a device, not a file" in refused.stdout


def test_unreadable_files_are_results(cli: Cli, samples: Path) -> None:
    """A missing file and a folder are errors; the other files are still judged."""
    files = [samples / "tiny" / "10.jpg", samples / "gone.jpg", samples / "tiny"]
    done = cli.run("check", *files, "--json", check=3)
    rows = [json.loads(line) for line in done.stdout.splitlines()]

    assert [str(file) for file in files] == [row["path"] for row in rows]
    assert [None, "unreadable", "unreadable"] == [row.get("error") for row in rows]
    assert "" == done.stderr
