"""The heartbeat of a worker on its own machine."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from workers.host.heartbeat_file import Health, heartbeat_file, read_health

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_file_while_it_works(tmp_path: Path) -> None:
    """There is a healthy worker while the context lasts, and none before and after."""
    before = read_health(tmp_path, 60)
    with heartbeat_file(tmp_path, "attic"):
        (during,) = read_health(tmp_path, 60)

    assert [] == before == read_health(tmp_path, 60)
    assert ("attic", Health.WORKS) == (during.name, during.health)


def test_number_of_another_process(tmp_path: Path) -> None:
    """A process that has the number of a worker that is gone is not taken for it."""
    with heartbeat_file(tmp_path, "attic"):
        (file,) = (tmp_path / "workers").glob("[0-9]*")
        file.write_text('{"name": "attic", "started": "1"}')

        assert [Health.DEAD] == [one.health for one in read_health(tmp_path, 60)]


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    """Files of other containers, and what is no heartbeat, are no workers."""
    with heartbeat_file(tmp_path, "attic"):
        (file,) = (tmp_path / "workers").glob("[0-9]*")
        (tmp_path / "workers" / "1-7").write_text('{"name": "other", "started": "1"}')
        for name, text in (("x", "{"), ("7", "{"), ("8", "{}"), ("9", "[]")):
            file.with_name(f"{file.name}-{name}").write_text(text)

        assert ["attic"] == [one.name for one in read_health(tmp_path, 60)]


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each beat tells systemd's watchdog, where there is one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with heartbeat_file(tmp_path, "attic") as heartbeat:
            heartbeat.beat()

        assert b"WATCHDOG=1" == systemd.recv(100)


def test_check_loads_little() -> None:
    """The check imports no runtime of models, no client of a queue or a store."""
    code = (
        "import sys\n"
        "from scanner.cli import cli\n"
        "cli(['worker', 'health'], standalone_mode=False)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert "click" in loaded
    assert set() == loaded & {"numpy", "PIL", "ai_edge_litert", "celery", "redis", "sqlalchemy"}
