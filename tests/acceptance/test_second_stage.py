"""The second stage: on one machine, and by workers that start later."""

from __future__ import annotations

import json
import signal
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workers.detectors import installed

if TYPE_CHECKING:
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any
    Fleet = Any

IMAGES = 120
# A custom detector: the built-in model, which as a custom one says `unsure` at most.
FIRST = (
    Path(installed.__file__).parents[1] / "models" / "objects-32.tflite",
    "--name", "first", "--scale", "1", "--classes", "REAL,FAKE", "--output", "logits",
)  # fmt: skip
ASKED = ("--detectors", "first", "--strong", "objects-32")


@pytest.fixture
def images(test_data: Path, tmp_path: Path) -> Path:
    """Write tiny images, half of them AI-generated."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    with zipfile.ZipFile(test_data / "cifake-test.zip") as archive:
        names = sorted(archive.namelist())
        for number, name in enumerate(names[:: len(names) // IMAGES][:IMAGES]):
            (folder / f"{number}.jpg").write_bytes(archive.read(name))
    return folder


def outcomes(cli: Cli, scan: int) -> dict[str, str]:
    """Return each image's verdict."""
    rows = [json.loads(line) for line in cli.run("verdicts", str(scan)).stdout.splitlines()]
    return {row["path"]: row["verdict"] for row in rows}


def test_on_one_machine(cli: Cli, images: Path) -> None:
    """Images that are `unsure` at first get the verdict of the second stage, others do not."""
    cli.run("detectors", "add", *FIRST)
    alone = cli.json("scan", images, "--detectors", "objects-32", "--json")
    both = cli.json("scan", images, *ASKED, "--json")
    flagged = {
        path
        for path, said in outcomes(cli, alone["scan"]).items()
        if said in {"ai", "unsure"}  # `first` has the same lower threshold
    }

    assert outcomes(cli, alone["scan"]) == outcomes(cli, both["scan"])
    assert {"detector": "objects-32", "given": len(flagged), "waiting": 0} == both[
        "second_opinions"
    ]
    assert 0 < len(flagged) < IMAGES
    assert {"first": IMAGES, "objects-32": len(flagged)} == {
        one["name"]: one["images"] for one in both["detectors"]
    }
    assert f"objects-32 has judged {len(flagged)} unsure images." in " ".join(
        cli.run("report").stdout.split()
    )


def test_no_worker_has_it(fleet: Fleet, images: Path) -> None:
    """A scan ends without a worker for the second stage; one that starts later takes what waits."""
    fleet.cli.run("detectors", "add", *FIRST)
    fleet.work()
    scan = fleet.cli.json("enqueue", images, *ASKED, "--json")["scan"]
    fleet.wait(scan, lambda seen: seen.pending == 0)
    before = fleet.cli.json("report", str(scan), "--format", "json")

    assert "finished" == before["state"]
    assert 0 == before["verdicts"]["ai"]
    assert {
        "detector": "objects-32",
        "given": 0,
        "waiting": before["verdicts"]["unsure"],
    } == before["second_opinions"]

    said = fleet.cli.run("status", str(scan)).stdout
    assert (
        f"objects-32 has judged 0 unsure images, {before['verdicts']['unsure']} are waiting."
        in said
    )

    fleet.work("--strong", "objects-32")
    after = fleet.wait(scan, lambda seen: seen.ai > 0 and waiting(fleet, scan) == 0)

    assert before["verdicts"]["unsure"] == after.ai + after.unsure + (
        after.no_evidence - before["verdicts"]["no_evidence"]
    )


def test_kill_second_stage_worker(fleet: Fleet, images: Path) -> None:
    """Another worker takes over from a killed one, and each image is judged once."""
    fleet.cli.run("detectors", "add", *FIRST)
    scan = fleet.cli.json("enqueue", images, *ASKED, "--json")["scan"]
    doomed = fleet.work("--strong", "objects-32")
    fleet.wait(scan, lambda seen: seen.pending == 0)
    doomed.send_signal(signal.SIGKILL)
    fleet.work("--strong", "objects-32")
    deadline = time.monotonic() + 120
    while waiting(fleet, scan) and time.monotonic() < deadline:
        time.sleep(0.5)
    report = fleet.cli.json("report", str(scan), "--format", "json")

    assert IMAGES == sum(report["verdicts"].values())
    assert 0 == report["second_opinions"]["waiting"]
    assert {"ai", "no_evidence"} <= set(outcomes(fleet.cli, scan).values())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--strong", "nobody"), "unknown detector 'nobody': expected one of"),
        (("--strong", "provenance"), "unknown detector 'provenance': expected one of"),
        (
            ("--detectors", "scenes", "--strong", "scenes"),
            "invalid --second-stage 'scenes': it is one of --detectors",
        ),
    ],
)
def test_refused(cli: Cli, tmp_path: Path, options: tuple[str, ...], sentence: str) -> None:
    """A strong detector is one that is here, looks at pixels and does not look anyway."""
    said = cli.run("scan", tmp_path, *options, check=2)

    assert sentence in said.stderr


def waiting(fleet: Fleet, scan: int) -> int:
    """How many images still wait for a second opinion."""
    report: dict[str, Any] = fleet.cli.json("report", str(scan), "--format", "json")
    return int(report["second_opinions"]["waiting"])
