"""`scanner scan` as users run it: nothing else installed, nothing else running."""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import shutil
import signal
import sqlite3
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from workers.detectors import installed

if TYPE_CHECKING:
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any


def total(report: dict[str, Any]) -> int:
    """Return the sum of the five counts."""
    return sum(report["verdicts"].values())


def test_counts_add_up(cli: Cli, samples: Path) -> None:
    """A scan counts every file, and its exit code says that some could not be read."""
    report = cli.json("scan", samples, "--json", check=3)

    assert sum(1 for file in samples.rglob("*") if file.is_file()) == report["images"]
    assert report["images"] == total(report)
    assert 2 == report["verdicts"]["error"]
    assert 0 == report["verdicts"]["pending"]
    assert report["images"] == sum(host["images"] for host in report["hosts"])


def test_nothing_is_left_running(cli: Cli, samples: Path, home: Path) -> None:
    """The broker and the worker that a scan starts end with it."""
    cli.run("scan", samples, check=3)

    mine = f"HOME={home}".encode()
    left = [file for file in Path("/proc").glob("[0-9]*/environ") if mine in environment(file)]

    assert [] == left
    assert [] == list((home / ".local/state/scanner/logs").iterdir())


def environment(file: Path) -> list[bytes]:
    """Return a process's environment, empty if it has ended meanwhile."""
    try:
        return file.read_bytes().split(b"\0")
    except OSError:
        return []


def test_second_scan_keeps_verdicts(cli: Cli, samples: Path) -> None:
    """Unchanged images keep their verdicts; changed and new ones are judged."""
    first = cli.json("scan", samples, "--json", check=3)
    changed = samples / "plain" / "poster.png"
    shutil.copy(changed, samples / "new.jpg")
    os.utime(changed, (1, 1))
    second = cli.json("scan", samples, "--json", check=3)

    assert first["images"] + 1 == second["images"] == total(second)
    assert first["images"] - 1 == second["kept"]
    assert 2 == sum(host["images"] for host in second["hosts"])


def test_sidecars(cli: Cli, test_data: Path, tmp_path: Path) -> None:
    """Sidecars decide, in `scan` and `check`; when they change, their images are judged again."""
    folder = tmp_path / "photos"
    shutil.copytree(test_data / "cases" / "23-sidecars", folder)
    first = cli.json("scan", folder, "--json")
    found = [json.loads(line) for line in cli.run("verdicts").stdout.splitlines()]
    checked = cli.run("check", folder / "a.jpg", folder / "b.png").stdout
    for sidecar in folder.glob("a.*xmp"):
        sidecar.unlink()
    second = cli.json("scan", folder, "--json")

    assert (2, 0) == (first["verdicts"]["ai"], first["kept"])
    named = {row["path"]: [f["detail"].get("sidecar") for f in row["findings"]] for row in found}
    assert ["a.xmp", "a.jpg.xmp"] == named["a.jpg"][:2]
    assert "b.txt" == named["b.png"][0]
    assert 2 == checked.count("AI-generated, score")
    assert (1, 1) == (second["verdicts"]["ai"], second["kept"])


def test_dry_run_does_nothing(cli: Cli, samples: Path) -> None:
    """`--dry-run` counts what would be scanned, and creates no store."""
    counted = cli.json("scan", samples, "--dry-run", "--json")

    assert (14, 1) == (counted["images"], counted["batches"])
    assert not Path(cli.env["XDG_DATA_HOME"]).exists()


def test_rescan_keeps_nothing(cli: Cli, samples: Path) -> None:
    """`--rescan` judges every image again."""
    cli.run("scan", samples, check=3)
    again = cli.json("scan", samples, "--rescan", "--json", check=3)

    assert 0 == again["kept"]
    assert again["images"] == sum(host["images"] for host in again["hosts"])


def test_verify_finds_replaced_files(cli: Cli, samples: Path, tmp_path: Path) -> None:
    """A file replaced by one of the same size and time is judged again with --verify alone."""
    photos = tmp_path / "photos"
    photos.mkdir()
    tagged = (samples / "tagged" / "webui.png").read_bytes()
    same = (samples / "tiny" / "10.jpg").read_bytes()
    files = {photos / "a.jpg": same, photos / "b.png": tagged}
    for file, body in files.items():
        file.write_bytes(body)
        os.utime(file, (1_000_000_000, 1_000_000_000))
    before = cli.json("scan", photos, "--json", check=None)
    replaced = photos / "b.png"
    replaced.write_bytes(b"?" * len(tagged))
    os.utime(replaced, (1_000_000_000, 1_000_000_000))
    plain = cli.json("scan", photos, "--json", check=None)
    verified = cli.json("scan", photos, "--json", "--verify", check=3)

    assert (1, 2) == (before["verdicts"]["ai"], before["images"])
    assert (1, 2) == (plain["verdicts"]["ai"], plain["kept"])
    assert (0, 1, 1) == (
        verified["verdicts"]["ai"], verified["verdicts"]["error"], verified["kept"]
    )  # fmt: skip


@pytest.mark.parametrize("options", [("--rescan", "--verify"), ("--verify", "--retry-errors")])
def test_one_way_to_judge_again(cli: Cli, samples: Path, options: tuple[str, str]) -> None:
    """Two of the options that say what to judge again are refused."""
    done = cli.run("scan", samples, *options, check=2)

    assert f"{options[0]} and {options[1]} exclude each other: name one" in done.stderr


def test_retry_errors(cli: Cli, samples: Path) -> None:
    """`--retry-errors` judges failed images again, in the same scan."""
    before = cli.json("scan", samples, "--json", check=3)
    repaired, broken = sorted((samples / "broken").iterdir())
    shutil.copy(samples / "tagged" / "webui.png", repaired)
    broken.write_bytes(b"?")
    after = cli.json("scan", samples, "--retry-errors", "--json", check=3)

    assert before["scan"] == after["scan"]
    assert before["images"] == total(after)
    assert before["verdicts"]["ai"] + 1 == after["verdicts"]["ai"]
    rows = [json.loads(line) for line in cli.run("verdicts").stdout.splitlines()]
    assert [("broken/no-picture.jpg", "not_an_image")] == [
        (row["path"], row["error"]) for row in rows if row["verdict"] == "error"
    ]


def test_interrupted_scan_is_resumed(cli: Cli, photos: Path) -> None:
    """Ctrl-C ends a scan with 130; the same command resumes it and judges each image once."""
    scan = cli.start("scan", photos, "--concurrency", "1")
    store = Path(cli.env["XDG_DATA_HOME"]) / "scanner" / "store.db"
    while scan.poll() is None and judged(store) < 40:
        time.sleep(0.02)
    assert scan.poll() is None
    scan.send_signal(signal.SIGINT)
    _, words = scan.communicate(timeout=60)

    assert 130 == scan.returncode
    assert "run the same command again to resume" in words
    before = judged(store)
    assert 40 <= before < 400
    assert f"interrupted, to go on: `scanner scan {photos}`" in cli.run("scans").stdout
    assert cli.run("report").stdout.startswith("Scan 1 of photos, interrupted\n")

    report = cli.json("scan", photos, "--json")

    assert 1 == report["scan"]
    assert 400 == report["images"] == total(report) == judged(store)


def judged(store: Path) -> int:
    """Return the number of verdicts in an SQLite store, 0 before it exists."""
    try:
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM verdict").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0


def test_names_that_are_not_utf8(cli: Cli, samples: Path) -> None:
    """A file whose name is not UTF-8 is judged and reported under that very name."""
    name = b"caf\xe9 \xff.png"
    shutil.copy(samples / "tagged" / "webui.png", os.fsencode(samples) + b"/" + name)
    cli.run("scan", samples, check=3)
    rows = [json.loads(line) for line in cli.run("verdicts").stdout.splitlines()]
    (row,) = (row for row in rows if "path_b64" in row)

    assert name == base64.b64decode(row["path_b64"])
    assert "ai" == row["verdict"]


def test_two_scans_at_once(cli: Cli, samples: Path, photos: Path) -> None:
    """Two simultaneous scans on one store do not disturb each other."""
    first, second = cli.start("scan", photos, "--json"), cli.start("scan", samples, "--json")
    outputs = [scan.communicate(timeout=150) for scan in (first, second)]
    assert [0, 3] == [first.returncode, second.returncode], outputs
    reports = [json.loads(out) for out, _ in outputs]

    assert [400, 14] == [report["images"] for report in reports]
    assert [400, 14] == [total(report) for report in reports]
    assert [400, 14] == [sum(host["images"] for host in report["hosts"]) for report in reports]


def test_same_scan_twice_at_once(cli: Cli, photos: Path) -> None:
    """A second `scan` of a folder that is being scanned is refused with a message."""
    first = cli.start("scan", photos)
    store = Path(cli.env["XDG_DATA_HOME"]) / "scanner" / "store.db"
    while first.poll() is None and judged(store) < 1:
        pass
    second = cli.run("scan", photos, check=1)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)

    assert "is running already" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["scan", "no-such-folder"], 2),
        (["scan", "samples/plain/poster.png"], 2),
        (["scan", "samples", "--detectors", "nonsense"], 2),
        (["scan", "samples", "--store", "mysql://localhost/x"], 1),
        (["scan", "samples", "--broker", "redis://127.0.0.1:1/0"], 4),
        (["enqueue", "samples", "--broker", "redis://127.0.0.1:1/0"], 4),
        (["worker", "--broker", "redis://127.0.0.1:1/0"], 4),
        (["report", "7"], 1),
        (["report", "--store", "postgresql://nobody@127.0.0.1:1/x"], 4),
    ],
)
def test_wrong_input_is_one_sentence(
    cli: Cli, samples: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
) -> None:
    """Invalid input is reported in one sentence, with its exit code."""
    monkeypatch.chdir(samples.parent)
    done = cli.run(*arguments, check=code)

    assert "" == done.stdout
    assert "Traceback" not in done.stderr
    assert 8 >= len(done.stderr.splitlines()) >= 1


def test_name_taken(cli: Cli, samples: Path) -> None:
    """A name that belongs to another folder is refused in one sentence."""
    cli.run("scan", samples / "plain", "--name", "mine")
    done = cli.run("scan", samples / "tiny", "--name", "mine", check=1)

    assert "--name" in done.stderr


def test_hostile_files(cli: Cli, test_data: Path, tmp_path: Path) -> None:
    """Every file of a hostile collection is counted; none stops the scan."""
    folder = tmp_path / "hostile"
    with zipfile.ZipFile(test_data / "hostile.zip") as archive:
        archive.extractall(folder)
        files = [name for name in archive.namelist() if not name.endswith("/")]
    report = cli.json("scan", folder, "--all-files", "--hidden", "--json", check=3)

    assert len(files) == report["images"] == total(report)
    assert 0 == report["verdicts"]["pending"]
    assert {1} == attempts(Path(cli.env["XDG_DATA_HOME"]) / "scanner" / "store.db")


def attempts(store: Path) -> set[int]:
    """Return the attempts of all runs; a second one means that a worker died."""
    connection = sqlite3.connect(store)
    try:
        return {row[0] for row in connection.execute("SELECT attempt FROM run")}
    finally:
        connection.close()


def test_provenance_against_labels(cli: Cli, test_data: Path, tmp_path: Path) -> None:
    """Every AI-generated file with metadata of its generator is found, and nothing else."""
    folder = tmp_path / "provenance"
    with zipfile.ZipFile(test_data / "provenance.zip") as archive:
        archive.extractall(folder)
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as lines:
        known = {row["path"] for row in csv.DictReader(lines) if row["known_ai"] == "yes"}
    cli.run("scan", folder, "--detectors", "provenance", check=None)
    rows = [json.loads(line) for line in cli.run("verdicts").stdout.splitlines()]
    found = {row["path"] for row in rows if row["verdict"] == "ai"}

    # Its tag is hidden in the pixels' lowest bits, which are not read.
    assert known - {"sd-parsers/automatic1111_stealth.png"} == found


def test_cifake(cli: Cli, test_data: Path, tmp_path: Path) -> None:
    """The 10,000 test images give the accuracy on the card, in the figures that a scan reports."""
    folder = tmp_path / "cifake"
    with zipfile.ZipFile(test_data / "cifake-test.zip") as archive:
        archive.extractall(folder)
    report = cli.json("scan", folder, "--labels-from-folders", "--json")
    truth = report["truth"]
    measured = installed.built_in()["objects-32"].measured

    assert measured is not None
    assert 10_000 == report["images"] == total(report) == truth["images"]
    # The gate takes the others for graphics.
    assert measured.images == truth["scored"] == sum(truth["confusion"].values())
    assert pytest.approx(measured.accuracy) == truth["accuracy"]


def test_html_report_shows_its_findings(scanned_samples: Cli) -> None:
    """The HTML report has thumbnails of its most certain findings, unless it is redacted.

    So has the page on two scans, of both.
    """
    page = scanned_samples.run("report", "--format", "html").stdout
    redacted = scanned_samples.run("report", "--format", "html", "--redact").stdout
    shown = re.findall(r'<img class="thumbnail" src="data:image/(png|jpeg);base64,(\S+)"', page)

    assert 4 <= len(shown) <= 10
    for kind, body in shown:
        image = Image.open(BytesIO(base64.b64decode(body)))
        assert kind == str(image.format).lower()
        assert max(image.size) <= 512
    assert "<img" not in redacted
    compared = scanned_samples.run("report", "1", "1", "--format", "html").stdout
    assert 2 * len(shown) == compared.count('<img class="thumbnail"')
    order = ["Verdict", "Most certain", "Prevalence"]
    assert order == sorted(order, key=lambda heading: page.index(f">{heading}"))
