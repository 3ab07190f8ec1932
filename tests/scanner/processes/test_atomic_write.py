"""Write files atomically."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scanner.processes.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    """The file changes at the end of the context, and only its user can read it."""
    file = tmp_path / "file"
    file.write_bytes(b"before")
    with atomic_write(file) as output:
        output.write(b"after")
        before = file.read_bytes()

    assert (b"before", b"after") == (before, file.read_bytes())
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Limit the files of this process to four bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """An error when the buffer is written at the end leaves the old file and no other."""
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with pytest.raises(OSError, match="File too large"), atomic_write(file) as output:
        output.write(b"more than there is room for")

    assert b"old" == file.read_bytes()
    assert [file] == list(tmp_path.iterdir())


def _write(file: Path) -> None:
    with atomic_write(file) as output:
        output.write(b"new")


def test_target_of_a_symlink_is_replaced(tmp_path: Path) -> None:
    """A link stays a link, also in a chain of links, and its target changes at the end."""
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    target.write_bytes(b"old")
    (tmp_path / "folder" / "inner").symlink_to("target")
    link = tmp_path / "link"
    link.symlink_to("folder/inner")
    before = target.stat().st_ino
    _write(link)

    assert (b"new", True) == (target.read_bytes(), link.is_symlink())
    assert before != target.stat().st_ino
    assert {"inner", "target"} == {path.name for path in target.parent.iterdir()}


def test_link_to_a_new_file_creates_it(tmp_path: Path) -> None:
    """A link that leads nowhere yet stays, and its target is created."""
    link = tmp_path / "link"
    link.symlink_to("target")
    _write(link)

    assert (b"new", True) == ((tmp_path / "target").read_bytes(), link.is_symlink())


def test_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    """A named pipe, here behind a link, gets the content and is not replaced."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    _write(link)
    reader.join(10)

    assert ([b"new"], True) == (received, pipe.is_fifo())


@pytest.mark.parametrize("name", ["device", "link"])
def test_device_is_written_to_and_stays(tmp_path: Path, name: str) -> None:
    """A device, here a terminal, gets the content and is not replaced, also by root."""
    controller, device = os.openpty()
    (tmp_path / "link").symlink_to(os.ttyname(device))
    _write(Path(os.ttyname(device)) if name == "device" else tmp_path / "link")

    assert b"new" == os.read(controller, 100)
    assert Path(os.ttyname(device)).is_char_device()
    os.close(controller)
    os.close(device)


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="makes a device")
def test_device_in_a_folder_of_ones_own_is_not_replaced(tmp_path: Path) -> None:
    """A device like /dev/null is not replaced by root, who may write to its folder."""
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        device.write_bytes(b"")
    except OSError:
        pytest.skip("devices cannot be made or used here")
    _write(device)

    assert [device] == list(tmp_path.iterdir())
    assert stat.S_ISCHR(device.stat().st_mode)


def test_folder_is_refused(tmp_path: Path) -> None:
    """A folder is not replaced, and nothing is left in it."""
    with pytest.raises(IsADirectoryError):
        _write(tmp_path)

    assert [] == list(tmp_path.iterdir())


SCRIPT = """
import sys
from pathlib import Path
from scanner.processes.atomic_write import atomic_write
with atomic_write(Path(sys.argv[1])) as output:
    output.write(b"new")
"""


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "link"])
def test_standard_output_is_written_to(tmp_path: Path, name: str) -> None:
    """/dev/stdout is a pipe, or a file that the shell has opened: it is added to, not replaced."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    log = tmp_path / "log"
    log.write_bytes(b"old")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / name)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    piped = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True, timeout=60)
    with log.open("ab") as file:
        subprocess.run(command, env=env, stdout=file, check=True, timeout=60)

    assert (b"new", b"oldnew") == (piped.stdout, log.read_bytes())


def test_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    """A link to itself is an error, not a loop."""
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="symbolic links"):
        _write(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a file of another user")
def test_link_of_another_user_in_a_public_folder_is_refused(tmp_path: Path) -> None:
    """A link that somebody else left in a folder like /tmp is not followed."""
    public, target = tmp_path / "public", tmp_path / "target"
    public.mkdir()
    public.chmod(0o1777)
    target.write_bytes(b"old")
    (public / "link").symlink_to(target)
    os.chown(public / "link", 12_345, -1, follow_symlinks=False)
    with pytest.raises(PermissionError):
        _write(public / "link")

    assert b"old" == target.read_bytes()
