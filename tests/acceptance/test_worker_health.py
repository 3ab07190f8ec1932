"""`scanner worker health`: workers that work, hang, lost their broker, or are gone."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any
    Fleet = Any

TIMEOUT_S = 90.0
# More than twice the time between two beats.
MAX_AGE = "12"


def health_of(cli: Cli, *, until: str) -> tuple[int, str]:
    """Ask until a worker has this health, or there is none; return exit code and words."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        asked = cli.run("worker", "health", "--max-age", MAX_AGE, "--json", check=None)
        found = [worker["health"] for worker in json.loads(asked.stdout)]
        if found == [until] * bool(until):
            done = cli.run("worker", "health", "--max-age", MAX_AGE, check=None)
            return done.returncode, done.stdout
        assert time.monotonic() < end, asked.stdout
        time.sleep(0.2)


def test_health_of_a_broken_worker(
    fleet_on: Callable[[str], Fleet],
    proxy_to: Callable[..., Any],
    clean_redis: str,
    tmp_path: Path,
) -> None:
    """A worker that is stopped, cut off from its broker, and killed has a health of its own."""
    fleet = fleet_on(f"sqlite:///{tmp_path}/store.db")
    cli = fleet.cli
    near = urlsplit(clean_redis)
    proxy = proxy_to((near.hostname, near.port))
    none = health_of(cli, until="")
    worker = fleet.work(
        "--name", "attic", "--broker", f"redis://:{near.password}@127.0.0.1:{proxy.port}/0"
    )
    works = health_of(cli, until="works")
    worker.send_signal(signal.SIGSTOP)
    hung = health_of(cli, until="hung")
    worker.send_signal(signal.SIGCONT)
    again = health_of(cli, until="works")
    proxy.shut()
    silent = health_of(cli, until="silent")
    proxy.open()
    back = health_of(cli, until="works")
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    log = worker.communicate()[1]
    dead = health_of(cli, until="dead")

    assert (1, "no worker runs on this machine\n") == none
    assert works == again == back == (0, f"attic (process {worker.pid}) works\n")
    assert [1, 1, 1] == [hung[0], silent[0], dead[0]], (hung, silent, dead)
    assert "hangs: it has done nothing for" in hung[1]
    assert "runs, and has not reached its broker for" in silent[1]
    assert "is gone without having stopped" in dead[1]
    assert 1 == log.count("the queue does not answer, waiting until it does")
    assert not [word for word in ("Celery", "consumer:", "Trying again") if word in log], log


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_worker_that_was_stopped(
    fleet_on: Callable[[str], Fleet], tmp_path: Path, sent: signal.Signals
) -> None:
    """A worker that was stopped leaves nothing, and the next one removes what a killed one left."""
    fleet = fleet_on(f"sqlite:///{tmp_path}/store.db")
    killed = fleet.work()
    health_of(fleet.cli, until="works")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    worker = fleet.work()
    health_of(fleet.cli, until="works")
    worker.send_signal(sent)
    worker.communicate(timeout=60)

    assert (1, "no worker runs on this machine\n") == health_of(fleet.cli, until="")
