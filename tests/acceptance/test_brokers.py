"""Brokers other than a plain Redis: at a socket, behind Sentinels, for a user with few rights."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import redis
from ports import free_port

from scanner.listing.sample_images import draw
from scanner.processes.embedded_broker import find_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    # The type of a fixture, see conftest.py.
    Cli = Any

SERVER = """\
port {port}
bind 127.0.0.1
unixsocket {folder}/redis.sock
save ""
requirepass s3cret
user ann on >p%@ss ~photos:* resetchannels +@all -@admin -@dangerous +info
"""
SENTINEL = """\
port {port}
bind 127.0.0.1
sentinel monitor photos 127.0.0.1 {master} 1
sentinel auth-pass photos s3cret
"""
LOCKED_SENTINEL = f"""{SENTINEL}\
user default off
user watcher on >w%tch allcommands
"""


@pytest.fixture
def start(tmp_path: Path, started: list[subprocess.Popen[str]]) -> Callable[..., int]:
    """Return a function that starts a server with a configuration, and returns its port."""

    def begin(text: str, *options: str, **values: object) -> int:
        port = free_port()
        file = tmp_path / f"{port}.conf"
        file.write_text(text.format(port=port, folder=tmp_path, **values))
        server = subprocess.Popen(
            [find_program(), file, *options],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(server)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                with redis.Redis(port=port, password=None if options else "s3cret") as client:
                    client.ping()
            except redis.AuthenticationError:
                return port
            except redis.ConnectionError:
                time.sleep(0.05)
            else:
                return port
        pytest.fail("the server did not start")

    return begin


@pytest.fixture
def scan_over(
    cli: Cli, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> Callable[[str], Any]:
    """Return a function that scans a folder by a worker over a broker, and returns the report."""

    def scan(url: str) -> Any:  # noqa: ANN401 - what JSON contains
        folder = tmp_path / "pictures"
        draw(folder)
        cli.env["SCANNER_BROKER_URL"] = url
        cli.run("enqueue", folder)
        started.append(cli.start("worker", "--concurrency", "1"))
        cli.run("status", "--watch", check=3)
        queue = cli.json("status", "--json")["queue"]

        assert 0 == queue["waiting"]
        assert queue["workers"]
        assert "broker" in cli.run("doctor", check=None).stdout
        return cli.json("report", "--format", "json")["verdicts"]

    return scan


@pytest.mark.parametrize(
    "url",
    [
        "unix://:s3cret@{folder}/redis.sock?db=2",
        "redis+socket://:s3cret@{folder}/redis.sock?virtual_host=2",
    ],
)
def test_socket(
    start: Callable[..., int], scan_over: Callable[[str], Any], tmp_path: Path, url: str
) -> None:
    """A fleet works over a Unix socket, whose URL is redis-py's or Celery's."""
    port = start(SERVER)
    verdicts = scan_over(url.format(folder=tmp_path))
    with redis.Redis(port=port, password="s3cret", db=2) as client:
        found = list(client.scan_iter())

    assert 0 == verdicts["pending"]
    assert found
    assert all(name.startswith(b"scanner:") for name in found)


def test_user_limited_to_a_prefix(
    start: Callable[..., int], scan_over: Callable[[str], Any]
) -> None:
    """A user of Redis whose rights end at a prefix can run a whole fleet, named in the URL."""
    port = start(SERVER)
    verdicts = scan_over(f"redis://ann:{quote('p%@ss', safe='')}@127.0.0.1:{port}/0?prefix=photos:")
    with redis.Redis(port=port, password="s3cret") as client:
        found = list(client.scan_iter())
        denied = client.execute_command("ACL", "LOG")

    assert 0 == verdicts["pending"]
    assert found
    assert all(name.startswith(b"photos:scanner:") for name in found)
    assert [] == denied


def test_without_the_prefix_it_is_refused(
    start: Callable[..., int], cli: Cli, tmp_path: Path
) -> None:
    """Without the prefix in the URL, that user gets one sentence that says what is missing."""
    draw(tmp_path / "pictures")
    url = f"redis://ann:{quote('p%@ss', safe='')}@127.0.0.1:{start(SERVER)}/0"
    refused = cli.run("enqueue", tmp_path / "pictures", "--broker", url, check=None)

    assert 4 == refused.returncode
    assert "?prefix=" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("configuration", "login"),
    [(SENTINEL, ""), (LOCKED_SENTINEL, "&sentinel_user=watcher&sentinel_password=w%25tch")],
    ids=["open", "with passwords"],
)
def test_sentinel(
    start: Callable[..., int], scan_over: Callable[[str], Any], configuration: str, login: str
) -> None:
    """A fleet works on the master that Sentinels name, which may have a user of their own."""
    master = start(SERVER)
    ports = [start(configuration, "--sentinel", master=master) for _ in range(2)]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    verdicts = scan_over(f"sentinel://:s3cret@{hosts}/1?master=photos{login}")
    with redis.Redis(port=master, password="s3cret", db=1) as client:
        assert list(client.scan_iter())

    assert 0 == verdicts["pending"]


@pytest.mark.faults
def test_sentinel_that_refuses(start: Callable[..., int], cli: Cli, tmp_path: Path) -> None:
    """Sentinels that want a password, and get none, are named in one sentence."""
    draw(tmp_path / "pictures")
    port = start(LOCKED_SENTINEL, "--sentinel", master=start(SERVER))
    url = f"sentinel://:s3cret@127.0.0.1:{port}/1?master=photos"
    refused = cli.run("enqueue", tmp_path / "pictures", "--broker", url, check=4)

    assert "sentinel_password" in refused.stderr
    assert "Traceback" not in refused.stderr
