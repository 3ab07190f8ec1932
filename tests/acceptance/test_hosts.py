"""Three hosts with addresses of their own: network namespaces on one bridge.

Each has a folder of its own and sees the pictures elsewhere, or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scanner.samples import draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    # What the fixture `machine` makes: see conftest.py.
    Machine = Any

NET = "10.213.77"
# Of the fourteen samples, two of which cannot be read.
COPIES = 100


@dataclass(frozen=True)
class Network:
    """Namespaces on a bridge; the n-th has the address NET.n."""

    names: tuple[str, ...]

    def start(self, number: int, machine: Machine, *arguments: str) -> subprocess.Popen[str]:
        """Start `scanner` on a host of the network, with a machine's home."""
        return subprocess.Popen(
            [*self.inside(number), sys.executable, "-m", "scanner", *arguments],
            env=machine.cli.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, number: int, machine: Machine, *arguments: str) -> str:
        """Run it to its end; what it prints."""
        process = self.start(number, machine, *arguments)
        said, words = process.communicate(timeout=100)
        if process.returncode not in {0, 3}:
            pytest.fail(words)
        return said

    def inside(self, number: int) -> list[str]:
        """What has a command run there."""
        return ["ip", "netns", "exec", self.names[number - 1]]


def ip(*words: str) -> None:
    """Change the network."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def network() -> Iterator[Network]:
    """Three hosts; skipped where namespaces are not allowed."""
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


def test_three_hosts(
    network: Network,
    machine: Callable[[str], Machine],
    tmp_path: Path,
    started: list[subprocess.Popen[str]],
) -> None:
    """The hub on one, a folder mounted elsewhere on the next, none on the third; one goes away."""
    hub, mounted, bare = machine("hub"), machine("mounted"), machine("bare")
    pictures = tmp_path / "pictures"
    draw(pictures / "0")
    for copy in range(1, COPIES):
        shutil.copytree(pictures / "0", pictures / str(copy), copy_function=os.link)
    process = network.start(1, hub, "hub", "--listen", f"{NET}.1:7000", "--share")
    started.append(process)
    line = process.stdout.readline()
    assert f"@{NET}.1:7000/" in line
    for number, one in ((2, mounted), (3, bare)):
        join = [*network.inside(number), sys.executable, "-m", "scanner", "join", "-"]
        subprocess.run(join, env=one.cli.env, input=line, text=True, check=True)
    told = json.loads(network.run(1, hub, "enqueue", str(pictures), "--name", "all", "--json"))
    first = network.start(3, bare, "worker", "--name", "bare", "--concurrency", "1")
    started.append(first)
    wait_until(lambda: _judged(network, hub) > 0)
    os.killpg(first.pid, signal.SIGKILL)
    mount = tmp_path / "mnt"
    mount.symlink_to(pictures)
    started.append(
        network.start(2, mounted, "worker", "--name", "mounted", "--root", f"all={mount}")
    )
    # What the killed one had is left alone for 20 s.
    wait_until(lambda: _judged(network, hub) == told["images"])
    report = json.loads(network.run(1, hub, "report", "--format", "json"))

    assert COPIES * 14 == told["images"] == sum(report["verdicts"].values())
    assert (0, COPIES * 2) == (report["verdicts"]["pending"], report["verdicts"]["error"])
    assert {"mounted", "bare"} == {one["host"] for one in report["hosts"]}


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    until = time.monotonic() + 100
    while not condition():
        if time.monotonic() > until:
            pytest.fail("it did not come")
        time.sleep(0.3)


def _judged(network: Network, hub: Machine) -> int:
    seen: dict[str, int] = json.loads(network.run(1, hub, "status", "--json"))["verdicts"]
    return sum(seen.values()) - seen["pending"]
