"""Workers that are stopped: by Ctrl-C, by a service manager, by the kernel."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from stage import broken

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any
    Fleet = Any


@pytest.mark.parametrize(
    ("kill", "sent", "code"),
    [
        (os.killpg, signal.SIGINT, 130),
        (os.kill, signal.SIGTERM, 0),
        (os.killpg, signal.SIGTERM, 0),
    ],
    ids=["Ctrl-C", "a service manager", "timeout"],
)
def test_stopped_in_a_batch(
    fleet: Fleet,
    photos: Path,
    kill: Callable[[int, int], None],
    sent: signal.Signals,
    code: int,
) -> None:
    """A stopped worker requeues its batch without a traceback; its exit code says why."""
    scan_id = fleet.cli.json("enqueue", photos, "--json")["scan"]
    about = rf"host={re.escape(socket.gethostname())} scan={scan_id} batch=\d+"
    words = 'msg="batch returned to the queue: the worker is stopping"'
    line = re.compile(rf"^time=\S+ level=warning {about} {words}$", re.MULTILINE)
    # A signal may arrive between two batches, when nothing has to be returned.
    for _ in range(3):
        before = fleet.counts(scan_id).judged
        worker = fleet.work()
        fleet.wait(scan_id, lambda seen, before=before: seen.judged >= before + 10)
        kill(worker.pid, sent)
        printed, said = worker.communicate(timeout=60)

        assert code == worker.returncode
        assert "" == printed
        assert ("stopping after the images at work" in said) is (sent == signal.SIGINT)
        assert fleet.counts(scan_id).pending > 0
        assert "Traceback" not in said
        assert "requeue" not in said
        if line.search(said):
            return
    pytest.fail("none of three stopped workers returned a batch")


def test_verbose(fleet: Fleet, photos: Path) -> None:
    """A worker logs a line per batch with --verbose, and none without."""
    told = {}
    for options in ((), ("--verbose",)):
        worker = fleet.work("--name", "attic", *options)
        asked = ("enqueue", photos, "--include", "00*.jpg", "--rescan", "--json")
        scan_id = fleet.cli.json(*asked)["scan"]
        fleet.wait(scan_id, lambda seen: seen.pending == 0)
        worker.send_signal(signal.SIGTERM)
        told[options] = worker.communicate(timeout=60)[1]

    assert "time=" not in told[()]
    line = rf'time=\S+Z level=info host=attic scan={scan_id} batch=\d+ msg="10 images in \d+\.\d s"'
    assert [line] == [line for one in told["--verbose",].splitlines() if re.fullmatch(line, one)]


def test_stopped_before_it_works(fleet: Fleet) -> None:
    """A worker that is stopped during its start exits at once with 0."""
    worker = fleet.work()
    assert worker.stderr is not None
    assert "works with 1 process" in worker.stderr.readline()
    worker.send_signal(signal.SIGTERM)

    assert 0 == worker.wait(timeout=30)


def test_stopped_where_exceptions_are_dropped(fleet: Fleet) -> None:
    """SIGTERM ends a worker that starts, even while Python is in a destructor."""
    fleet.cli.env.update(broken(PYTHON_FAULTS_SIGTERM="now"))
    worker = fleet.work()

    _, said = worker.communicate(timeout=60)
    assert "Exception ignored in" in said
    assert 0 == worker.returncode


def test_killed_worker(cli: Cli, photos: Path) -> None:
    """A `scan` whose worker is killed reports how it ended and what to do."""
    scan = cli.start("scan", photos, "--concurrency", "1")
    os.kill(_worker_of(scan.pid), signal.SIGKILL)
    _, said = scan.communicate(timeout=60)

    assert 1 == scan.returncode
    assert "the worker was killed by signal 9 (out of memory?); run the same command again" in said


def _worker_of(scan_pid: int) -> int:
    """Return the worker of a `scan` as soon as it runs."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for child in Path(f"/proc/{scan_pid}/task/{scan_pid}/children").read_text().split():
            if b"--no-rescuer" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        time.sleep(0.1)
    pytest.fail("no worker was started")


def test_invalid_root(cli: Cli, photos: Path) -> None:
    """An invalid root is a usage error of `scan`, before a worker starts."""
    said = cli.run("scan", photos, "--root", "foo", check=2).stderr

    assert "invalid --root 'foo': expected NAME=PATH" in said
    assert "ended" not in said


def test_status_of_an_embedded_broker(cli: Cli, photos: Path) -> None:
    """`status` of a scan with an embedded broker queries no broker."""
    cli.run("scan", photos, "--include", "00*.jpg")
    said = cli.run("status")

    assert "" == said.stderr
    assert "scan 1 of photos: finished\n  10 of 10 images judged (100.0 %)" in said.stdout
    assert cli.json("status", "--json")["queue"] is None


def test_status_without_a_worker(fleet: Fleet, photos: Path) -> None:
    """`status` says that no worker is running, if none is."""
    fleet.cli.run("enqueue", photos)
    said = fleet.cli.run("status").stdout

    assert "photos: waiting for workers\n  0 of 400 images judged (0.0 %)" in said
    assert "no active worker\n  to start a worker: `scanner worker`\n" in said
