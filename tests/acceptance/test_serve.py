"""`scanner serve` and `scanner review` as users run them."""

from __future__ import annotations

import shutil
import signal
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Cli


@pytest.fixture
def scanned(cli: Cli, photo: Path, scan_once: Callable[[Path], Path]) -> Cli:
    """Return the command, with a finished scan of three images."""
    folder = photo.parent / "three" / "photos"
    if not folder.exists():
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / f"{number}.jpg").hardlink_to(photo)
    shutil.copytree(scan_once(folder), cli.env["XDG_DATA_HOME"])
    return cli


@pytest.fixture
def started(scanned: Cli) -> Iterator[list[subprocess.Popen[str]]]:
    """Collect servers that are killed when the test ends."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for one in running:
        one.kill()
        one.communicate()


def first_line(server: subprocess.Popen[str]) -> str:
    """Return the line that a server prints when it listens: its address."""
    assert server.stdout is not None
    return server.stdout.readline().strip()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_serves_until_stopped(
    scanned: Cli, started: list[subprocess.Popen[str]], number: signal.Signals, code: int
) -> None:
    """The server prints its address, answers there, and stops cleanly with an open connection."""
    started.append(scanned.start("serve", "--port", "0"))
    address = first_line(started[0])
    with urllib.request.urlopen(f"{address}scan/1", timeout=60) as page:
        text = page.read().decode()
    with socket.create_connection(
        (address.split("/")[2].split(":")[0], int(address.split(":")[2][:-1]))
    ):
        started[0].send_signal(number)
        _, said = started[0].communicate(timeout=60)

    assert address.startswith("http://127.0.0.1:")
    assert "3 of 3 images judged" in text
    assert code == started[0].returncode, said
    assert "Traceback" not in said


def test_token_on_other_addresses(scanned: Cli, started: list[subprocess.Popen[str]]) -> None:
    """On other addresses a random token is generated and required."""
    started.append(scanned.start("serve", "--port", "0", "--host", "0.0.0.0"))
    address, _, token = first_line(started[0]).partition("?token=")
    here = address.replace("0.0.0.0", "127.0.0.1")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{here}scan/1", timeout=60)
    request = urllib.request.Request(f"{here}metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as metrics:
        text = metrics.read().decode()

    assert len(token) >= 32
    assert 'scanner_images{collection="photos",scan="1",verdict="pending"} 0.0' in text


def test_invalid_addresses(scanned: Cli) -> None:
    """A used port, a foreign address and a weak token are refused in one sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = scanned.run("serve", "--port", port, check=1)
    foreign = scanned.run("serve", "--host", "192.0.2.1", "--port", "0", check=1)
    guessed = scanned.run("serve", "--token", "short", check=2)

    assert refused.stderr.startswith(f"Error: cannot listen on 127.0.0.1 port {port}")
    assert 1 == refused.stderr.count("\n")
    assert foreign.stderr.startswith("Error: cannot listen on 192.0.2.1 port 0")
    assert "expected 16 to 200 characters" in guessed.stderr


def test_sample(scanned: Cli) -> None:
    """A sample is stored with its seed; `review` prints its results, as text and as JSON."""
    drawn = scanned.json("review", "--sample", "2", "--seed", "7", "--json")
    said = scanned.run("review").stdout
    usage = scanned.run("review", "--seed", "7", check=2)

    assert (7, 3, 2, 2) == tuple(
        drawn["sample"][name] for name in ("seed", "population", "size", "left")
    )
    assert (None, None) == (drawn["sample"]["share"], drawn["sample"]["interval"])
    assert "sample of 2 of 3 images (seed 7): 0 AI" in said
    assert "no estimate yet" in said
    assert "--seed requires --sample" in usage.stderr
