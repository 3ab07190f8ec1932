"""The heartbeat of a worker on its own machine: the times of two files, for `worker health`.

One is that when the main process last ran, the other that when the broker last answered it. So a
process that hangs can be told from one whose broker is away; and either from one that is gone. A
check reads them without importing anything that takes time.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from storage.private import make_private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds between two beats.
BEAT_SECONDS = 5.0
# Seconds after which a file of another container, whose processes cannot be seen, is removed.
FOREIGN_SECONDS = 24 * 3600.0
# Before the name of the file that has the time when the broker last answered.
_BROKER = "broker-"
# The field of /proc/PID/stat with the time when the process started, after the command's name.
_STARTED = 19


class Health(StrEnum):
    """The health of a worker, the worst last."""

    WORKS = "works"
    SILENT = "silent"  # it runs, and does not reach the broker
    HUNG = "hung"  # it exists, and does nothing
    DEAD = "dead"  # it ended without saying so


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """The health of one worker, and for how many seconds it has been so (0 if it works)."""

    name: str
    pid: int
    health: Health
    seconds: float


class HeartbeatFile:
    """The heartbeat of this process."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def listened(self) -> None:
        """Note that the broker answers this process."""
        with contextlib.suppress(OSError):
            _of_broker(self._file).touch()

    def beat(self, *_: object) -> None:
        """Note that this process runs, for systemd, too."""
        with contextlib.suppress(OSError):
            os.utime(self._file)
        _notify_systemd()


@contextmanager
def heartbeat_file(state_dir: Path, name: str) -> Iterator[HeartbeatFile]:
    """Beat every BEAT_SECONDS in the main thread while the context lasts; then remove its files.

    By a timer of the system, since the main loop also waits for a broker that is away. Children
    that are forked do not inherit the timer.
    """
    folder = _folder(state_dir)
    make_private_folder(folder)
    _remove_old(folder)
    file = folder / f"{_namespace()}-{os.getpid()}"
    file.write_text(json.dumps({"name": name, "started": _started(os.getpid())}), encoding="utf-8")
    heartbeat = HeartbeatFile(file)
    heartbeat.listened()
    before = signal.signal(signal.SIGALRM, heartbeat.beat)
    signal.setitimer(signal.ITIMER_REAL, BEAT_SECONDS, BEAT_SECONDS)
    try:
        yield heartbeat
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        file.unlink(missing_ok=True)
        _of_broker(file).unlink(missing_ok=True)


def read_health(state_dir: Path, max_seconds: float) -> list[WorkerHealth]:
    """Return the health of each worker of this user on this machine, or in this container.

    A beat may be `max_seconds` old. Workers that are gone are returned only if none is left.
    """
    beats = []
    for file in sorted(_folder(state_dir).glob(f"{_namespace()}-*")):
        with contextlib.suppress(OSError, LookupError, TypeError, ValueError):
            beats.append(_read(file, max_seconds))
    return [one for one in beats if one.health is not Health.DEAD] or beats


def _read(file: Path, max_seconds: float) -> WorkerHealth:
    status = file.stat()
    known = json.loads(file.read_text(encoding="utf-8"))
    name, pid = str(known["name"]), int(file.name.rpartition("-")[2])
    now = time.time()
    if _started(pid) != known["started"]:
        return WorkerHealth(name, pid, Health.DEAD, now - status.st_mtime)
    if now - status.st_mtime > max_seconds:
        return WorkerHealth(name, pid, Health.HUNG, now - status.st_mtime)
    answered_at = _of_broker(file).stat().st_mtime
    if now - answered_at > max_seconds:
        return WorkerHealth(name, pid, Health.SILENT, now - answered_at)
    return WorkerHealth(name, pid, Health.WORKS, 0.0)


def _folder(state_dir: Path) -> Path:
    return state_dir / "workers"


def _of_broker(file: Path) -> Path:
    return file.with_name(f"{_BROKER}{file.name}")


def _namespace() -> str:
    """Return what process ids are unique in: containers may share the folder."""
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    return "0"


def _started(pid: int) -> str:
    """Return when a process started, in ticks since the boot; empty where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()
    except OSError:
        return _exists(pid)
    # A zombie is gone.
    return "" if fields[0] == "Z" else fields[_STARTED]


def _exists(pid: int) -> str:
    """Return "running" for a process that exists, empty for others, where there is no /proc."""
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"


def _remove_old(folder: Path) -> None:
    """Remove the files of workers that were killed."""
    for file in folder.iterdir():
        with contextlib.suppress(OSError, ValueError):
            namespace, _, pid = file.name.removeprefix(_BROKER).rpartition("-")
            is_here = namespace == _namespace()
            is_old = time.time() - file.stat().st_mtime > FOREIGN_SECONDS
            if is_old or (is_here and not _started(int(pid))):
                file.unlink()


def _notify_systemd() -> None:
    """Tell systemd that this process runs, where it waits for that (WatchdogSec)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        sender.setblocking(False)
        sender.sendto(b"WATCHDOG=1", address.replace("@", "\0", 1))
