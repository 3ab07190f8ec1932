"""Second opinions by a strong detector: on one machine, and by workers that come later."""

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

    # What the fixtures give: see conftest.py.
    Cli = Any
    Fleet = Any

IMAGES = 120
# A detector of a user's: the model that ships, which by itself calls nothing AI-made.
FIRST = (
    Path(installed.__file__).parents[1] / "models" / "objects-32.tflite",
    "--name", "first", "--scale", "1", "--classes", "REAL,FAKE", "--output", "logits",
)  # fmt: skip
ASKED = ("--detectors", "first", "--strong", "objects-32")


@pytest.fixture
def pictures(test_data: Path, tmp_path: Path) -> Path:
    """Tiny pictures, half of them AI-made."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    with zipfile.ZipFile(test_data / "cifake-test.zip") as archive:
        names = sorted(archive.namelist())
        for number, name in enumerate(names[:: len(names) // IMAGES][:IMAGES]):
            (folder / f"{number}.jpg").write_bytes(archive.read(name))
    return folder


def outcomes(cli: Cli, scan: int) -> dict[str, str]:
    """Each image's verdict."""
    rows = [json.loads(line) for line in cli.run("verdicts", str(scan)).stdout.splitlines()]
    return {row["path"]: row["verdict"] for row in rows}


def test_on_one_machine(cli: Cli, pictures: Path) -> None:
    """What the first detector doubts is what the strong one says of it; the rest is not asked."""
    cli.run("detectors", "add", *FIRST)
    alone = cli.json("scan", pictures, "--detectors", "objects-32", "--json")
    both = cli.json("scan", pictures, *ASKED, "--json")
    doubted = {
        path
        for path, said in outcomes(cli, alone["scan"]).items()
        if said in {"ai", "unsure"}  # objects-32 doubts from where it doubts as `first`
    }

    assert outcomes(cli, alone["scan"]) == outcomes(cli, both["scan"])
    assert {"detector": "objects-32", "given": len(doubted), "waiting": 0} == both[
        "second_opinions"
    ]
    assert 0 < len(doubted) < IMAGES
    assert {"first": IMAGES, "objects-32": len(doubted)} == {
        one["name"]: one["images"] for one in both["detectors"]
    }
    assert f"objects-32 has looked at {len(doubted)} doubtful images." in " ".join(
        cli.run("report").stdout.split()
    )


def test_nobody_has_it(fleet: Fleet, pictures: Path) -> None:
    """A scan ends without a strong worker; one that comes later takes up what waits for it."""
    fleet.cli.run("detectors", "add", *FIRST)
    fleet.work()
    scan = fleet.cli.json("enqueue", pictures, *ASKED, "--json")["scan"]
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
        f"objects-32 has looked at 0 doubtful images, {before['verdicts']['unsure']} wait for its "
        "second opinion." in said
    )

    fleet.work("--strong", "objects-32")
    after = fleet.wait(scan, lambda seen: seen.ai > 0 and waiting(fleet, scan) == 0)

    assert before["verdicts"]["unsure"] == after.ai + after.unsure + (
        after.no_evidence - before["verdicts"]["no_evidence"]
    )


def test_a_strong_worker_is_killed(fleet: Fleet, pictures: Path) -> None:
    """What it had at hand goes to the next one, and each image is looked at once."""
    fleet.cli.run("detectors", "add", *FIRST)
    scan = fleet.cli.json("enqueue", pictures, *ASKED, "--json")["scan"]
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
        (("--strong", "nobody"), "there is no detector 'nobody' here: choose from"),
        (("--strong", "provenance"), "there is no detector 'provenance' here: choose from"),
        (("--detectors", "scenes", "--strong", "scenes"), "scenes is one of --detectors"),
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
