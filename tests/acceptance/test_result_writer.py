"""Machines without a store: they join a hub's broker, and a result writer stores their results."""

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

from storage.database.schema import host, run, verdict
from storage.database.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any
    Fleet = Any
    Machine = Any
    Proxy = Any


@pytest.fixture
def fleet(fleet_on: Callable[[str], Fleet], tmp_path: Path) -> Fleet:
    """Create a broker and an SQLite store."""
    return fleet_on(f"sqlite:///{tmp_path}/store.db")


def start_process(fleet: Fleet, module: str) -> subprocess.Popen[str]:
    """Start one of the processes that a hub runs next to its store."""
    return subprocess.Popen(
        [sys.executable, "-m", f"scanner.fleet.{module}"],
        env=fleet.cli.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.faults
def test_kill_result_writer_and_worker(
    fleet: Fleet,
    photos: Path,
    machine: Callable[[str], Machine],
    started: list[subprocess.Popen[str]],
) -> None:
    """A result writer, then a worker, is killed: each image has one verdict in the end."""
    pis = [machine("one"), machine("two")]
    for pi in pis:
        pi.join_store(fleet.store_url, fleet.cli.env["SCANNER_BROKER_URL"])
    work = ("worker", "--concurrency", "1", "--name", "pi", "--root", f"elsewhere={photos}")
    result_writer, first = start_process(fleet, "result_writer"), pis[0].cli.start(*work)
    started += [result_writer, first, start_process(fleet, "rescuer")]
    scan_id = int(fleet.cli.json("enqueue", photos, "--name", "elsewhere", "--json")["scan"])
    fleet.wait(scan_id, lambda seen: seen.judged >= 20)
    os.killpg(result_writer.pid, signal.SIGKILL)
    time.sleep(1)
    started.append(start_process(fleet, "result_writer"))
    before = fleet.counts(scan_id).judged
    fleet.wait(scan_id, lambda seen: seen.judged > before + 20)
    os.killpg(first.pid, signal.SIGKILL)
    started.append(pis[1].cli.start(*work))
    seen = fleet.wait(scan_id, lambda seen: seen.pending == 0)
    store = Store.open(fleet.store_url)
    with closing(store), store.read() as connection:
        hosts = connection.execute(sa.select(host.c.id, host.c.label).distinct()).all()
        verdicts = connection.scalar(sa.select(sa.func.count()).select_from(verdict))
        attempts = set(connection.scalars(sa.select(run.c.attempt)))

    assert (400, 0) == (seen.no_evidence, seen.error)
    assert 400 == verdicts
    # Two machines with one name are told apart.
    assert ["pi", "pi"] == [label for _, label in hosts]
    assert {1, 2} == attempts
    report = fleet.cli.json("report", str(scan_id), "--format", "json")
    assert ["pi", "pi"] == [one["host"] for one in report["hosts"]]
    assert 400 == sum(one["images"] for one in report["hosts"])


@pytest.mark.faults
def test_slow_and_interrupted_queue(
    fleet: Fleet,
    photos: Path,
    machine: Callable[[str], Machine],
    proxy_to: Callable[..., Proxy],
    started: list[subprocess.Popen[str]],
) -> None:
    """Each image has one verdict although the queue is 30 ms away and connections are cut."""
    near = sa.make_url(fleet.cli.env["SCANNER_BROKER_URL"])
    proxy = proxy_to((near.host, near.port), delay=0.03)
    far = near.set(port=proxy.port).render_as_string(hide_password=False)
    started += [start_process(fleet, "result_writer"), start_process(fleet, "rescuer")]
    for name in ("one", "two"):
        pi = machine(name)
        pi.join_store(fleet.store_url, far)
        started.append(pi.cli.start("worker", "--concurrency", "1", "--root", f"photos={photos}"))
    scan_id = int(fleet.cli.json("enqueue", photos, "--name", "photos", "--json")["scan"])
    for fifth in range(1, 5):
        fleet.wait(scan_id, lambda seen, fifth=fifth: seen.judged >= fifth * 80)
        before = proxy.count
        proxy.shut()
        proxy.open()
        fleet.wait(scan_id, lambda _, before=before: proxy.count > before)
    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    fleet.assert_each_image_once(scan_id, 400)
