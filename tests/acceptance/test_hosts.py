"""Three hosts with their own addresses: network namespaces on one bridge.

Queue and store are on one of them; each of the others has the images at another path, or not at
all.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from scanner.listing.sample_images import draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    # What the fixtures make: see conftest.py.
    Machine = Any
    Proxy = Any

NET = "10.213.77"
# Of the fourteen samples, two of which cannot be read.
COPIES = 20
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000  # <linux/sched.h>


@dataclass(frozen=True)
class Network:
    """Namespaces on a bridge; the n-th has the address NET.n."""

    names: tuple[str, ...]

    def start(
        self, number: int, machine: Machine, *arguments: str, mount: tuple[Path, Path] | None = None
    ) -> subprocess.Popen[str]:
        """Start `scanner` on a host of the network, with a machine's home.

        Only this process sees the mount, if a folder is to be mounted on another one.
        """
        argv = [sys.executable, "-m", "scanner", *arguments]
        if mount is not None:
            argv = ["sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', *mount, *argv]
        return subprocess.Popen(
            [*self.inside(number), *argv],
            env=machine.cli.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, number: int, machine: Machine, *arguments: str) -> str:
        """Run `scanner` to its end; return its output."""
        process = self.start(number, machine, *arguments)
        said, words = process.communicate(timeout=100)
        if process.returncode not in {0, 3}:
            pytest.fail(words)
        return said

    def inside(self, number: int) -> list[str]:
        """Return the command that runs another one on a host."""
        return ["ip", "netns", "exec", self.names[number - 1]]

    def listen(self, number: int) -> socket.socket:
        """Return a listening socket of a host, at a free port."""
        made: list[socket.socket] = []

        def enter_and_listen() -> None:
            # A thread may be in another namespace than its process.
            with Path("/run/netns", self.names[number - 1]).open() as namespace:
                if LIBC.setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_server((f"{NET}.{number}", 0)))

        thread = threading.Thread(target=enter_and_listen)
        thread.start()
        thread.join()
        return made[0]


def ip(*words: str) -> None:
    """Change the network."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def network() -> Iterator[Network]:
    """Create three hosts; skip the test if namespaces are not allowed."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and the command `ip`")
    mark = f"{os.getpid() % 100_000:05}"
    names = tuple(f"sc{mark}{letter}" for letter in "abc")
    bridge = f"sc{mark}br"
    try:
        try:
            ip("netns", "add", names[0])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not allowed here: {error.stderr!r}")
        for name in names[1:]:
            ip("netns", "add", name)
        ip("link", "add", bridge, "type", "bridge")
        ip("link", "set", bridge, "up")
        for number, name in enumerate(names, start=1):
            ip("link", "add", f"{name}0", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{name}0", "master", bridge, "up")
            ip("-n", name, "addr", "add", f"{NET}.{number}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                ip("-n", name, "link", "set", device, "up")
        yield Network(names)
    finally:
        for name in names:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "del", bridge)


@pytest.fixture
def store_on_the_hub(
    request: pytest.FixtureRequest,
    network: Network,
    proxy_to: Callable[..., Proxy],
    tmp_path: Path,
) -> Callable[[str], str]:
    """Return a function that creates an empty store at the hub's address."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/store.db"
        url = sa.make_url(request.getfixturevalue("postgres_url"))
        server = f"{url.query['host']}/.s.PGSQL.{url.port or 5432}"
        door = proxy_to(server, listener=network.listen(1))
        there = url.set(host=f"{NET}.1", port=door.port, query={})
        return there.render_as_string(hide_password=False)

    return make


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_three_hosts(
    network: Network,
    machine: Callable[[str], Machine],
    store_on_the_hub: Callable[[str], str],
    started: list[subprocess.Popen[str]],
    kind: str,
) -> None:
    """Three hosts find what one machine finds: the hub, one with another path, one with the share.

    Results go through the result writer into SQLite, or directly to Postgres; one host dies and
    another joins.
    """
    hub, mounted, bare, alone = map(machine, ("hub", "mounted", "bare", "alone"))
    images = alone.home / "images"
    draw(images / "0")
    for copy in range(1, COPIES):
        shutil.copytree(images / "0", images / str(copy), copy_function=os.link)
    alone.cli.run("scan", images, "--name", "all", check=3)
    hub.cli.env["SCANNER_STORE_URL"] = store_on_the_hub(kind)
    network.run(1, hub, "store", "upgrade")
    process = network.start(1, hub, "hub", "--listen", f"{NET}.1:7000", "--share")
    started.append(process)
    line = process.stdout.readline()
    assert f"@{NET}.1:7000/" in line
    for number, joining in ((2, mounted), (3, bare)):
        join = [*network.inside(number), sys.executable, "-m", "scanner", "join", "-"]
        subprocess.run(join, env=joining.cli.env, input=line, text=True, check=True)
        if kind == "postgres":
            joining.cli.env["SCANNER_STORE_URL"] = hub.cli.env["SCANNER_STORE_URL"]
    enqueued = json.loads(network.run(1, hub, "enqueue", str(images), "--name", "all", "--json"))
    first = network.start(3, bare, "worker", "--name", "bare", "--concurrency", "1")
    started.append(first)
    wait_until(lambda: _judged(network, hub) > 0)
    os.killpg(first.pid, signal.SIGKILL)
    mount = mounted.home / "mnt"
    mount.mkdir()
    work = ("worker", "--name", "mounted", "--root", f"all={mount}")
    started.append(network.start(2, mounted, *work, mount=(images, mount)))
    # The lease of the killed worker's batch expires after 20 s.
    wait_until(lambda: _judged(network, hub) == enqueued["images"])
    report = json.loads(network.run(1, hub, "report", "--format", "json"))

    assert COPIES * 14 == enqueued["images"] == sum(report["verdicts"].values())
    assert (0, COPIES * 2) == (report["verdicts"]["pending"], report["verdicts"]["error"])
    assert {"mounted", "bare"} == {one["host"] for one in report["hosts"]}
    assert rows(alone.cli.run("verdicts").stdout) == rows(network.run(1, hub, "verdicts"))


def rows(said: str) -> list[dict[str, Any]]:
    """Return the rows of `scanner verdicts` without host and timings."""
    found = [json.loads(line) for line in said.splitlines()]
    for row in found:
        for name in ("host", "fetch_ms", "decode_ms", "infer_ms"):
            del row[name]
    return sorted(found, key=lambda row: str(row["path"]))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + 100
    while not condition():
        if time.monotonic() > until:
            pytest.fail("it did not come")
        time.sleep(0.3)


def _judged(network: Network, hub: Machine) -> int:
    seen: dict[str, int] = json.loads(network.run(1, hub, "status", "--json"))["verdicts"]
    return sum(seen.values()) - seen["pending"]
