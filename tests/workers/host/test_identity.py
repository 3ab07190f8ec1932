"""The id of a machine: created once, and the same for processes that start together."""

from __future__ import annotations

import errno
import os
import platform
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from workers.host import identity
from workers.host.identity import this_host

if TYPE_CHECKING:
    from pathlib import Path


def test_kept(tmp_path: Path) -> None:
    """The id is created once, in a folder that need not exist, and is independent of the label."""
    first = this_host(tmp_path / "state" / "scanner", "pi4")
    again = this_host(tmp_path / "state" / "scanner", "other")

    assert 32 == len(first.host_id)
    assert first.host_id == again.host_id
    assert ("pi4", "other") == (first.label, again.label)


def test_each_machine_its_own(tmp_path: Path) -> None:
    """Two machines with the same name have different ids."""
    one, other = this_host(tmp_path / "1", "raspberrypi"), this_host(tmp_path / "2", "raspberrypi")

    assert one.host_id != other.host_id


def test_host_facts(tmp_path: Path) -> None:
    """A host has the facts that its throughput depends on."""
    here = this_host(tmp_path, "pi4")

    assert platform.machine() == here.arch
    assert os.cpu_count() == here.info["cores"]


def test_at_once(tmp_path: Path) -> None:
    """Processes that start together agree on one id."""
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda _: this_host(tmp_path / "new", "pi4").host_id, range(64)))

    assert 1 == len(set(ids))
    assert 32 == len(ids[0])


def test_half_written(tmp_path: Path) -> None:
    """An empty file, as after a power cut, gets an id, once."""
    (tmp_path / "host-id").write_bytes(b"")
    first = this_host(tmp_path, "pi4").host_id

    assert 32 == len(first)
    assert first == this_host(tmp_path, "pi4").host_id


@pytest.mark.parametrize(
    "content",
    [b"\n", bytes(33), b"\xff\xfe" * 16, "übel\n".encode(), b"two words", b"a" * 100_000],
    ids=["empty", "zeros", "binary", "umlaut", "words", "endless"],
)
def test_garbage(tmp_path: Path, content: bytes) -> None:
    """A file with invalid content gets a new id, once."""
    (tmp_path / "host-id").write_bytes(content)
    first = this_host(tmp_path, "pi4").host_id

    assert re.fullmatch("[0-9a-f]{32}", first)
    assert f"{first}\n" == (tmp_path / "host-id").read_text()
    assert first == this_host(tmp_path, "pi4").host_id


def test_garbage_at_once(tmp_path: Path) -> None:
    """Processes that start together agree on the id that replaces invalid content."""
    (tmp_path / "host-id").write_bytes(bytes(33))
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda _: this_host(tmp_path, "pi4").host_id, range(64)))

    assert 1 == len(set(ids))


def test_a_custom_id(tmp_path: Path) -> None:
    """An id that was written by hand is kept."""
    (tmp_path / "host-id").write_text("pi4.attic-2")

    assert "pi4.attic-2" == this_host(tmp_path, "pi4").host_id


def test_a_disk_that_cannot_take_an_id(tmp_path: Path) -> None:
    """If no id can be written, the system's error is raised."""
    (tmp_path / "host-id").mkdir()

    with pytest.raises(IsADirectoryError, match="host-id"):
        this_host(tmp_path, "pi4")


def test_a_disk_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An existing id is read from a read-only disk."""
    known = this_host(tmp_path, "pi4").host_id

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    # As root, permissions would refuse nothing.
    monkeypatch.setattr(identity.fcntl, "flock", refuse)

    assert known == this_host(tmp_path, "pi4").host_id
