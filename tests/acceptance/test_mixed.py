"""A folder of all kinds of images: each image goes to the detectors that suit it."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from acceptance.conftest import Cli

# A folder per data set: its first images, their number, and the detectors that may examine them.
KINDS = {
    "faces": ("faces.zip", "test/REAL/lfw/", 4, {"faces", "scenes", "router"}),
    "portraits": ("faces.zip", "test/FAKE/stylegan2-tpdne/", 4, {"faces", "scenes", "router"}),
    "rooms": ("scenes.zip", "test/REAL/interiors/", 4, {"scenes", "router"}),
    "cameras": ("scenes.zip", "test/REAL/cameras/", 2, {"scenes", "router"}),
    "tiny": ("cifake-test.zip", "", 10, {"objects-32"}),
}


@pytest.fixture
def mixed(tmp_path: Path, test_data: Path) -> Path:
    """Write faces, rooms, camera photographs, tiny images, and a small face."""
    root = tmp_path / "mixed"
    for folder, (archive, below, count, _) in KINDS.items():
        (root / folder).mkdir(parents=True)
        for number, body in enumerate(_bodies(test_data / archive, below, count)):
            (root / folder / f"{number}.jpg").write_bytes(body)
    (root / "small").mkdir()
    face = Image.open(io.BytesIO(next(_bodies(test_data / "faces.zip", "test/REAL/lfw/", 1))))
    face.resize((120, 120)).save(root / "small" / "face.png")
    return root


def _bodies(archive: Path, below: str, count: int) -> Iterator[bytes]:
    with zipfile.ZipFile(archive) as kept:
        names = sorted(
            name for name in kept.namelist() if name.startswith(below) and name[-1] != "/"
        )
        for name in names[:count]:
            yield kept.read(name)


def test_routing(cli: Cli, mixed: Path) -> None:
    """Faces go to `faces`, rooms to `scenes`, tiny ones to `objects-32`; faces have boxes."""
    report = cli.json("scan", mixed, "--json")
    rows = [json.loads(line) for line in cli.run("verdicts").stdout.splitlines()]

    assert len(rows) == report["images"] == sum(report["verdicts"].values())
    assert 1 == report["not_examined"]
    for row in rows:
        folder = row["path"].split("/")[0]
        said = {one["detector"]: one for one in row["findings"]}
        if folder == "small":
            assert {"router"} == set(said)
            continue
        allowed = KINDS[folder][3] | {"context"}
        assert set(said) <= allowed, row["path"]
        assert said.keys() & {"faces", "scenes", "objects-32"}, row["path"]
        if folder in {"faces", "portraits"}:
            left, top, right, bottom = said["faces"]["detail"]["box"]
            assert 0 <= left < right <= 256
            assert 0 <= top < bottom <= 256
        if folder in {"rooms", "cameras"}:
            assert 3 == said["scenes"]["detail"]["crops"]


def test_scenes_is_unsure_at_most(cli: Cli, mixed: Path) -> None:
    """An experimental detector says `unsure` at most."""
    cli.run("scan", mixed, "--detectors", "scenes")
    rows = [json.loads(line) for line in cli.run("verdicts").stdout.splitlines()]

    assert {row["verdict"] for row in rows} <= {"unsure", "no_evidence"}


def test_thresholds_from_real_photos(cli: Cli, mixed: Path) -> None:
    """Too few photos are refused with the number needed; enough make another plan."""
    refused = cli.run("calibrate", "--real", mixed / "rooms", "--detectors", "scenes", check=1)
    assert "at least 299 photos" in refused.stderr

    set_to = cli.json(
        "calibrate", "--real", mixed / "rooms", "--detectors", "scenes", "--rate", "0.6", "--json"
    )
    (scenes,) = set_to["detectors"]
    assert (4, "scenes") == (scenes["photos"], scenes["detector"])
    assert scenes["alarms"] / 4 <= 0.6
    first = cli.json("scan", mixed / "rooms", "--detectors", "scenes", "--json")
    cli.run("calibrate", "--forget")
    second = cli.json("scan", mixed / "rooms", "--detectors", "scenes", "--json")

    assert first["scan"] != second["scan"]
    assert 0 == second["kept"]
    assert scenes["alarms"] == first["verdicts"]["unsure"]
