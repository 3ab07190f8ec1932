"""Commands that are killed, or run twice at once: enqueue, scan with its own queue, hub."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from ports import free_port
from stage import broken, children_of, wait_for

from scanner.fleet.hub_config import load_hub
from workers.broker.app import make_namespace
from workers.broker.leases import working_key

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from stage import Stage, Verdicts

    # See tests/support/fleets.py.
    Machine = Any

ASK = ("--detectors", "faces,provenance")
# Seconds after which one `enqueue` after the other is killed.
KILLED_AFTER_S = (1.0, 1.5, 2.0, 2.5)
PROGRAMS = {"queue": "valkey-server", "result writer": "scanner.fleet.result_writer"}
# By row: the parts of a hub that are killed one after the other. A killed hub is started again.
HUB_PARTS_KILLED = {
    "kill -9 of the hub and its result writer": ("result writer", "hub"),
    "kill -9 of the hub": ("hub",),
    "kill -9 of the hub's queue": ("queue",),
    "kill -9 of the hub's queue and its result writer": ("queue", "result writer"),
    "kill -9 of the hub's result writer, queue and itself": ("result writer", "queue", "hub"),
    "kill -9 of the hub three times": ("hub", "hub", "hub"),
}


@pytest.fixture
def alone(stage: Stage) -> Stage:
    """Return a stage without a broker: each `scan` starts its own."""
    del stage.cli.env["SCANNER_BROKER_URL"]
    stage.scan_id = 1
    return stage


def start_scan(stage: Stage) -> subprocess.Popen[bytes]:
    """Start a scan, and wait until it has judged some images."""
    # So slow that it is at work for longer than another command takes to start.
    slow = broken(PYTHON_FAULTS_SLOW=0.2)
    scan = stage.start("scan", stage.photos, *ASK, "--concurrency", "2", **slow)
    stage.workers.append(scan)
    stage.wait(lambda seen: seen.judged > 10 or scan.poll() is not None)
    assert scan.poll() is None
    return scan


def scan_again(stage: Stage) -> None:
    """Run the scan to its end."""
    assert stage.cli.run("scan", stage.photos, *ASK, check=None).returncode in {0, 3}


@pytest.mark.faults
def test_scan_killed(alone: Stage, expected: Verdicts) -> None:
    """A killed `scan` leaves no process behind, and the same command resumes it."""
    scan = start_scan(alone)
    with alone.fault():
        scan.kill()
        scan.wait()
    alone.stop()
    scan_again(alone)

    alone.finish("kill -9 of scan, and again", expected)


@pytest.mark.faults
def test_embedded_server_killed(alone: Stage, expected: Verdicts) -> None:
    """A `scan` starts its queue's server again and goes on."""
    scan = start_scan(alone)
    with alone.fault():
        (server,) = children_of(scan.pid, "valkey-server")
        server.kill()

    assert scan.wait(240) in {0, 3}
    alone.finish("kill -9 of scan's own queue", expected)


@pytest.mark.faults
def test_two_scans(alone: Stage, expected: Verdicts) -> None:
    """A second `scan` of the folder says that one is running."""
    scan = start_scan(alone)
    with alone.fault():
        said = alone.cli.run("scan", alone.photos, *ASK, check=1).stderr
    assert "is running already" in said

    assert scan.wait(240) in {0, 3}
    alone.finish("two scans of one folder", expected)


@pytest.mark.faults
def test_two_enqueues(stage: Stage, expected: Verdicts) -> None:
    """Two `enqueue` of one folder at once are one scan."""
    with stage.fault():
        both = [stage.cli.start("enqueue", stage.photos, *ASK) for _ in range(2)]
        stage.work()
        for one in both:
            _, said = one.communicate(timeout=120)
            assert 0 == one.returncode, said
    stage.scan_id = 1

    stage.finish("two enqueues at once", expected)


@pytest.mark.faults
def test_enqueue_killed(stage: Stage, expected: Verdicts) -> None:
    """A killed `enqueue` is resumed by the same command."""
    stage.work()
    with stage.fault():
        for delay in KILLED_AFTER_S:
            one = stage.cli.start("enqueue", stage.photos, *ASK)
            time.sleep(delay)
            one.kill()
            one.communicate()
    stage.enqueue()

    stage.finish(f"enqueue killed {len(KILLED_AFTER_S)} times", expected)


@pytest.mark.faults
@pytest.mark.parametrize("row", HUB_PARTS_KILLED)
def test_hub_killed(
    alone: Stage,
    expected: Verdicts,
    machine: Callable[[str], Machine],
    started: list[subprocess.Popen[str]],
    row: str,
) -> None:
    """A hub goes on whichever of its parts are killed, and it itself when it is started again."""
    address = f"127.0.0.1:{free_port()}"
    hub, line = _start_hub(alone, address)
    started.append(hub)
    pi = machine("pi")
    pi.join(line)
    answer = alone.cli.json("enqueue", alone.photos, *ASK, "--name", "photos", "--json")
    alone.scan_id = int(answer["scan"])
    started.append(pi.cli.start("worker", "--concurrency", "1", "--root", f"photos={alone.photos}"))
    _wait_for_a_batch_at_work(alone)
    with alone.fault():
        for part in HUB_PARTS_KILLED[row]:
            if part == "hub":
                hub.kill()
                hub.communicate()
                hub, _ = _start_hub(alone, address)
                started.append(hub)
            else:
                (victim,) = children_of(hub.pid, PROGRAMS[part])
                victim.kill()

    alone.wait(lambda seen: seen.pending == 0)
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    alone.finish(row, expected)


def _wait_for_a_batch_at_work(stage: Stage) -> None:
    """Wait until the hub's machine has begun: the store knows of a batch once it has a result."""
    hub = load_hub()
    assert hub is not None
    namespace = make_namespace(hub.broker, hub.store)
    with namespace.client:
        wait_for(lambda: namespace.client.hlen(working_key(namespace)), bool, stage.log)


def _start_hub(stage: Stage, address: str) -> tuple[subprocess.Popen[str], str]:
    hub = stage.cli.start("hub", "--listen", address)
    assert hub.stdout is not None
    printed = hub.stdout.readline()
    return hub, printed.partition("'")[2].rpartition("'")[0]
