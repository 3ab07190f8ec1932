"""Machines without a store: they join a hub's broker, and a recorder writes what they find."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from scanner.joined import Hub
from storage.schema import host, run, verdict
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    # What the fixtures give: see conftest.py.
    Cli = Any
    Fleet = Any


class Machine:
    """Another machine: a home of its own, and no word of the store."""

    def __init__(self, home: Path, line: str) -> None:
        places = {
            "HOME": home,
            "XDG_CONFIG_HOME": home / "config",
            "XDG_STATE_HOME": home / "state",
            "XDG_DATA_HOME": home / "data",
        }
        home.mkdir()
        ours = {name: value for name, value in os.environ.items() if "SCANNER_" not in name}
        self._env = ours | {name: str(place) for name, place in places.items()}
        subprocess.run(
            [sys.executable, "-m", "scanner", "join", "-"],
            env=self._env,
            input=line,
            text=True,
            check=True,
        )
        self.home = home

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `scanner` there."""
        return subprocess.Popen(
            [sys.executable, "-m", "scanner", *arguments],
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def fleet(fleet_on: Callable[[str], Fleet], tmp_path: Path) -> Fleet:
    """A broker and an SQLite store."""
    return fleet_on(f"sqlite:///{tmp_path}/store.db")


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that end with the test, whatever comes of it."""
    made: list[subprocess.Popen[str]] = []
    yield made
    for process in made:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def beside(fleet: Fleet, module: str) -> subprocess.Popen[str]:
    """One of the processes that a hub has beside its store."""
    return subprocess.Popen(
        [sys.executable, "-m", f"scanner.{module}"],
        env=fleet.cli.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_killed_in_the_middle(
    fleet: Fleet, photos: Path, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    """A recorder, then a worker, is killed: each image has one verdict in the end, from the Pis."""
    store = Store.open(fleet.store_url)
    with closing(store):
        line = Hub(fleet.cli.env["SCANNER_BROKER_URL"], store.identity).line()
    pis = [Machine(tmp_path / name, line) for name in ("one", "two")]
    work = ("worker", "--concurrency", "1", "--name", "pi", "--root", f"elsewhere={photos}")
    recorder, first = beside(fleet, "recorder"), pis[0].start(*work)
    started += [recorder, first, beside(fleet, "keeper")]
    scan_id = int(fleet.cli.json("enqueue", photos, "--name", "elsewhere", "--json")["scan"])
    fleet.wait(scan_id, lambda seen: seen.judged >= 20)
    os.killpg(recorder.pid, signal.SIGKILL)
    time.sleep(1)
    started.append(beside(fleet, "recorder"))
    before = fleet.counts(scan_id).judged
    fleet.wait(scan_id, lambda seen: seen.judged > before + 20)
    os.killpg(first.pid, signal.SIGKILL)
    started.append(pis[1].start(*work))
    seen = fleet.wait(scan_id, lambda seen: seen.pending == 0)
    store = Store.open(fleet.store_url)
    with closing(store), store.read() as connection:
        hosts = connection.execute(sa.select(host.c.id, host.c.label).distinct()).all()
        verdicts = connection.scalar(sa.select(sa.func.count()).select_from(verdict))
        attempts = set(connection.scalars(sa.select(run.c.attempt)))

    assert (400, 0) == (seen.no_evidence, seen.error)
    assert 400 == verdicts
    # Two boards of one name stay apart.
    assert ["pi", "pi"] == [label for _, label in hosts]
    assert {1, 2} == attempts
    report = fleet.cli.json("report", str(scan_id), "--format", "json")
    assert ["pi", "pi"] == [one["host"] for one in report["hosts"]]
    assert 400 == sum(one["images"] for one in report["hosts"])
