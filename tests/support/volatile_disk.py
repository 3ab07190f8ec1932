"""A disk whose power can be cut: what was not flushed is partly lost, as in a drive's own cache.

The disk is a file in a file system in userspace, with a loop device and ext4 on it. Each flush of
ext4 arrives as an FSYNC. The file system runs in a process of its own (this module as a script):
the test maps files of the disk, and a page fault that waits for its own process would never end.
"""

from __future__ import annotations

import math
import os
import random
import select
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from fuse_file import FuseFile
from write_cache import SECTOR, WriteCache

SIZE = 512 * 2**20
# The power goes after one of so many writes, or after these seconds without as many.
WRITES, CUT_S = 10, 5.0
# Seconds that a mounted file system may stay in use by processes that are ending.
BUSY_S = 30.0


class VolatileDisk:
    """An ext4 file system at `folder`, while its power is on."""

    def __init__(self, files: Path, folder: Path) -> None:
        self.folder = folder
        self._medium = files / "medium"
        self._fuse = files / "fuse"
        self._fuse.mkdir(parents=True)
        folder.mkdir(exist_ok=True)
        self._medium.touch()
        os.truncate(self._medium, SIZE)
        self._attach()
        _run("mkfs.ext4", "-q", self._loop)
        _run("mount", self._loop, folder)

    def cut(self, seed: int) -> tuple[int, int]:
        """Cut the power soon; return how many unflushed sectors were kept, and of how many.

        It goes between two of the next writes, so that there is something to lose. From then on
        each access to the disk is an error. Its users have to be killed.
        """
        assert self._server.stdin is not None
        self._server.stdin.write(b"%d\n" % seed)
        kept, written = map(int, self._read().split())
        return kept, written

    def power_on(self) -> None:
        """Start the disk again with what was durable, as a machine does that boots.

        Raise RuntimeError where ext4 needs more than the replay of its journal.
        """
        self.power_off()
        self._attach()
        _run("mount", self._loop, self.folder)
        _unmount(self.folder)
        _run("e2fsck", "-fn", self._loop)
        _run("mount", self._loop, self.folder)

    def power_off(self) -> None:
        """Detach the disk; raise RuntimeError if a process still uses it."""
        _unmount(self.folder)
        if self._loop:
            _run("losetup", "--detach", self._loop)
        self._loop = ""
        _unmount(self._fuse)
        self._server.communicate()

    def close(self) -> None:
        """Detach the disk also from those who use it, and delete it."""
        subprocess.run(["umount", "--lazy", self.folder], check=False, capture_output=True)
        with suppress(RuntimeError):
            self.power_off()
        subprocess.run(["umount", "--lazy", self._fuse], check=False, capture_output=True)
        self._server.communicate()
        self._medium.unlink()

    def _attach(self) -> None:
        server, pipe = [sys.executable, __file__, self._medium, self._fuse], subprocess.PIPE
        self._loop = ""
        self._server = subprocess.Popen(server, stdin=pipe, stdout=pipe, bufsize=0, env={})
        assert b"mounted\n" == self._read()
        losetup = ("losetup", "--show", "--find", "--sector-size", str(SECTOR))
        self._loop = _run(*losetup, self._fuse / "disk").strip()
        cache = Path("/sys/block", Path(self._loop).name, "queue", "write_cache").read_text()
        assert "write back\n" == cache  # or ext4 would send no flushes

    def _read(self) -> bytes:
        assert self._server.stdout is not None
        return self._server.stdout.readline()


def why_not() -> str:
    """Return in a sentence why this machine cannot have such a disk; empty if it can."""
    devices = Path("/dev/fuse"), Path("/dev/loop-control")
    if (
        os.geteuid() == 0
        and all(device.exists() for device in devices)
        and shutil.which("mkfs.ext4")
    ):
        return ""
    return "a disk that loses power needs root, /dev/fuse, loop devices and mkfs.ext4"


def _run(*words: str | Path) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
    return done.stdout


def _unmount(folder: Path) -> None:
    """Unmount a folder; processes that were killed may take a while to let go of it."""
    end = time.monotonic() + BUSY_S
    while os.path.ismount(folder):
        done = subprocess.run(["umount", folder], check=False, capture_output=True, text=True)
        if done.returncode and time.monotonic() > end:
            raise RuntimeError(done.stderr)
        time.sleep(0.1)


def serve(medium: Path, folder: Path) -> None:
    """Be the disk until it is unmounted or the test ends; a line on stdin is the seed of a cut."""
    cache = WriteCache(medium)
    file = FuseFile(folder, cache)
    os.write(1, b"mounted\n")
    chance, cut_after, cut_at = random.Random(), math.inf, math.inf
    is_mounted = True
    while is_mounted:
        ready, _, _ = select.select([file.device, 0], [], [], 0.1)
        if 0 in ready:
            if not (seed := os.read(0, 100)):
                return
            chance.seed(int(seed))
            cut_after = cache.writes + chance.randrange(WRITES)
            cut_at = time.monotonic() + CUT_S
        if file.device in ready:
            is_mounted = file.answer_next()
        if not cache.is_cut and (cache.writes > cut_after or time.monotonic() > cut_at):
            os.write(1, b"%d %d\n" % cache.cut(chance))


if __name__ == "__main__":
    serve(*map(Path, sys.argv[1:]))
