"""Collections whose images were moved after they were enqueued: the scan ends, and resumes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from fleets import start_hub
from ports import free_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Machine = Any

IMAGES = 10


@pytest.fixture
def few(photo: Path, tmp_path: Path) -> Path:
    """Make a folder of a few photographs, all below another folder."""
    folder = tmp_path / "few"
    (folder / "all").mkdir(parents=True)
    for number in range(IMAGES):
        os.link(photo, folder / "all" / f"{number}.jpg")
    return folder


def swap_for_a_link(folder: Path, outside: Path) -> None:
    """Replace the folder of all images by a link to another folder with files of these names."""
    (folder / "all").rename(outside.with_name("kept"))
    outside.mkdir()
    for number in range(IMAGES):
        (outside / f"{number}.jpg").write_bytes(b"secret")
    (folder / "all").symlink_to(outside)


def rename_most(folder: Path, _outside: Path) -> None:
    """Rename all images."""
    for file in (folder / "all").iterdir():
        file.rename(file.with_suffix(".moved"))


@pytest.mark.parametrize("move", [swap_for_a_link, rename_most], ids=["link", "renamed"])
def test_moved(
    machine: Callable[[str], Machine],
    few: Path,
    tmp_path: Path,
    started: list[subprocess.Popen[str]],
    move: Callable[[Path, Path], None],
) -> None:
    """Images that were moved are errors after the stated time; `resume` judges them when back."""
    hub, outside = machine("hub"), tmp_path / "outside"
    start_hub(hub, free_port(), started)
    scan_id = str(hub.cli.json("enqueue", few, "--json")["scan"])
    move(few, outside)
    started.append(hub.cli.start("worker", "--concurrency", "1", "--give-up-after", "0.05"))
    hub.cli.run("status", scan_id, "--watch", check=3)
    ended = hub.cli.json("status", scan_id, "--json")
    listed = hub.cli.run("verdicts", scan_id).stdout.splitlines()
    if outside.exists():
        (few / "all").unlink()
        (tmp_path / "kept").rename(few / "all")
    for file in (few / "all").glob("*.moved"):
        file.rename(file.with_suffix(".jpg"))
    hub.cli.run("resume", scan_id)
    hub.cli.run("status", scan_id, "--watch")
    resumed = hub.cli.json("status", scan_id, "--json")

    assert ("finished", IMAGES) == (ended["state"], ended["verdicts"]["error"])
    assert all('"moved"' in row for row in listed), listed[0]
    assert ("finished", 0) == (resumed["state"], resumed["verdicts"]["error"])
    assert IMAGES == sum(resumed["verdicts"].values())
