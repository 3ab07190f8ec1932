"""Images that change, folders that go away, decoders that fail, clocks and versions that differ."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from stage import broken, wait_for

from workers.broker.field_types import VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from stage import RedisServer, Stage, Verdicts

# Seconds that an image may take where decoders fail.
IMAGE_SECONDS = 8
# Seconds that the folder is away.
AWAY_S = 15


@pytest.mark.faults
def test_files_that_change(stage: Stage, expected: Verdicts, tmp_path: Path) -> None:
    """Files that are not what was listed are errors, each for itself; nothing outside is read."""
    stage.enqueue()
    names = stage.not_fingerprinted()
    changed = gone, short, other, link, pipe, folder, device = names[:7]
    content = (stage.photos / gone).read_bytes()
    outside = tmp_path / "outside.jpg"
    shutil.copy(stage.photos / gone, outside)
    for name in changed:
        (stage.photos / name).unlink()
    (stage.photos / short).write_bytes(content[:1000])
    (stage.photos / other).write_bytes(content + b"more")
    (stage.photos / link).symlink_to(outside)
    os.mkfifo(stage.photos / pipe)
    (stage.photos / folder).mkdir()
    if not os.geteuid():
        os.mknod(stage.photos / device, 0o20644, os.makedev(1, 5))  # /dev/zero
    with stage.fault():
        stage.work()

    row = f"{len(changed)} files gone, cut, changed or swapped"
    stage.finish(row, expected, errors=changed)


@pytest.mark.faults
def test_file_written_again(stage: Stage, expected: Verdicts) -> None:
    """A file that is written again with the same size is an error, too."""
    stage.enqueue()
    again = stage.photos / stage.not_fingerprinted()[0]
    content = again.read_bytes()
    again.unlink()
    again.write_bytes(content[::-1])
    written = again.stat().st_mtime + 60
    os.utime(again, (written, written))
    with stage.fault():
        stage.work()

    stage.finish("a file written again with its size", expected, errors=[again.name])


@pytest.mark.faults
def test_folder_away_and_back(stage: Stage, expected: Verdicts) -> None:
    """Workers wait for a folder that is away, and no image becomes an error."""
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    away = stage.photos.with_name("away")
    with stage.fault():
        stage.photos.rename(away)
        time.sleep(AWAY_S)
        away.rename(stage.photos)

    stage.finish(f"folder away for {AWAY_S} s", expected)


@pytest.mark.faults
@pytest.mark.parametrize("failure", ["segfault", "loop", "hang", "memory"])
def test_decoder_that_fails(stage: Stage, expected: Verdicts, failure: str) -> None:
    """An image that its decoder fails on is an error, and its neighbours have their verdicts."""
    bad = stage.photos / "040.jpg"
    bad.unlink()
    Image.new("RGB", (640, 480)).save(bad, comment=failure.encode())
    stage.enqueue()
    with stage.fault():
        for _ in range(2):
            stage.work(**broken(PYTHON_FAULTS_DECODER=IMAGE_SECONDS))

    stage.finish(f"decoder: {failure}", expected, errors=[bad.name])


@pytest.mark.faults
@pytest.mark.parametrize(("seconds", "when"), [(3600, "an hour ahead"), (-1.7e9, "in the 1970s")])
def test_wrong_clock(
    stage: Stage, expected: Verdicts, tmp_path: Path, seconds: float, when: str
) -> None:
    """A worker whose clock jumps costs time only."""
    clock = tmp_path / "clock"
    stage.work(**broken(PYTHON_FAULTS_CLOCK=clock))
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        clock.write_text(str(seconds))

    stage.finish(f"one worker's clock {when}", expected)


@pytest.mark.faults
def test_mixed_versions(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """A worker of an older version leaves newer messages to the others."""
    old = stage.work(**broken(PYTHON_FAULTS_VERSION=VERSION - 1))
    stage.enqueue()
    with stage.fault():
        stage.work()

    stage.wait(lambda seen: seen.pending == 0)
    assert old.poll() is None
    stage.finish("an older worker in the fleet", expected)


@pytest.mark.faults
def test_mixed_models(stage: Stage, expected: Verdicts) -> None:
    """A worker whose models are others than those of the scan leaves it to the others."""
    other = stage.work(**broken(PYTHON_FAULTS_MODELS="other"))
    stage.enqueue()
    wait_for(stage.log, lambda said: "faces" in said, stage.log)
    with stage.fault():
        stage.work()

    stage.wait(lambda seen: seen.pending == 0)
    assert other.poll() is None
    stage.finish("a worker with other models in the fleet", expected)
