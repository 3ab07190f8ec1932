"""Processes that are killed, stopped or paused while a scan runs."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from stage import broken, children_of, namespace_of, pool_children, wait_for

from scanner.fleet.worker import STOP_SECONDS
from workers.broker.leases import working_key

if TYPE_CHECKING:
    from stage import RedisServer, Stage, Verdicts


def test_undisturbed(stage: Stage, expected: Verdicts) -> None:
    """Two workers judge every image once."""
    stage.work()
    stage.work()
    stage.enqueue()

    stage.finish("undisturbed", expected)


@pytest.mark.parametrize("store", ["stage", "postgres_stage"])
def test_worker_killed(request: pytest.FixtureRequest, store: str, expected: Verdicts) -> None:
    """Another worker takes over from a killed one, and from its child."""
    stage: Stage = request.getfixturevalue(store)
    victim = stage.work()
    stage.enqueue()
    stage.wait_begun()
    stage.work()
    with stage.fault():
        for process in [*pool_children(victim), victim]:
            os.kill(process.pid, signal.SIGKILL)

    on = " (Postgres)" if store == "postgres_stage" else ""
    stage.finish(f"kill -9 of a worker with its processes{on}", expected)


def test_pool_child_killed(stage: Stage, expected: Verdicts) -> None:
    """The batch of a killed process is published again at once."""
    worker = stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        (child,) = pool_children(worker)
        child.kill()

    stage.finish("kill -9 of a pool's process", expected)


@pytest.mark.faults
def test_main_process_killed(stage: Stage, expected: Verdicts) -> None:
    """The processes of a killed main process end by themselves."""
    victim = stage.work()
    stage.enqueue()
    stage.wait_begun()
    stage.work()
    with stage.fault():
        victim.kill()

    stage.finish("kill -9 of a worker's main process", expected)


@pytest.mark.faults
def test_rescuer_killed(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """A killed rescuer is started again, and fills the queue that was lost with it."""
    worker = stage.start("worker", "--concurrency", "1")
    stage.workers.append(worker)
    stage.enqueue()
    stage.wait_begun()
    with stage.fault(), server.client() as client:
        (rescuer,) = children_of(worker.pid, "scanner.fleet.rescuer")
        rescuer.kill()
        client.flushall()

    stage.finish("kill -9 of the rescuer, and FLUSHALL", expected)


@pytest.mark.faults
def test_everything_killed(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """A machine that loses everything at once continues when it is started again."""
    workers = [stage.work(), stage.work()]
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        server.process.kill()
        for worker in workers:
            os.killpg(worker.pid, signal.SIGKILL)
            for child in children_of(worker.pid):
                child.kill()
        server.kill()
        server.start()
        stage.work()

    stage.finish("kill -9 of all processes at once", expected)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("times", [8, 50])
def test_stopped_many_times(stage: Stage, expected: Verdicts, times: int) -> None:
    """Workers that are told to stop while messages arrive give back what they have."""
    stage.enqueue()
    # So slow that there is work for all of them.
    slow = broken(PYTHON_FAULTS_SLOW=0.2 if times > 8 else 0)
    for number in range(times):
        worker = stage.work(**slow)
        # At each moment of a start, and of the work after it.
        time.sleep(4 * (number + 1) / times if times > 8 else 4)
        worker.send_signal(signal.SIGTERM)
        # Python itself ends by the signal, where it is still importing.
        assert worker.wait(60) in {0, -signal.SIGTERM}
    with stage.fault():
        stage.work()

    stage.finish(f"SIGTERM {times} times", expected)


@pytest.mark.faults
def test_stopped_in_a_long_batch(stage: Stage, expected: Verdicts) -> None:
    """A worker that is told to stop in a batch that outlasts its grace gives back the rest."""
    worker = stage.work(**broken(PYTHON_FAULTS_SLOW=2))
    stage.enqueue()
    stage.wait(lambda seen: seen.judged > 0)
    with stage.fault():
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(STOP_SECONDS + 20)
        assert stage.counts().pending > len(expected) // 2
        stage.work()

    stage.finish("SIGTERM in a batch longer than the grace time", expected)


@pytest.mark.faults
def test_stopped_while_an_image_hangs(
    stage: Stage, server: RedisServer, expected: Verdicts
) -> None:
    """An image that hangs for longer than the grace time does not keep its worker from ending."""
    bad = stage.photos / stage.not_fingerprinted()[0]
    bad.unlink()
    Image.new("RGB", (640, 480)).save(bad, comment=b"hang")
    worker = stage.work(**broken(PYTHON_FAULTS_DECODER=300))
    stage.enqueue()
    namespace = namespace_of(stage, server)
    wait_for(lambda: namespace.client.hlen(working_key(namespace)), bool, stage.log)
    # The image is one of the first.
    time.sleep(5)
    with stage.fault():
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(STOP_SECONDS + 20)
        assert "the work is left to others" in stage.log()
        stage.work(**broken(PYTHON_FAULTS_DECODER=8))

    stage.finish("SIGTERM while an image hangs", expected, errors=[bad.name])


@pytest.mark.faults
def test_paused(stage: Stage, expected: Verdicts) -> None:
    """A worker that stands still for longer than its lease changes nothing when it goes on."""
    victim = stage.work()
    stage.enqueue()
    stage.wait_begun()
    stage.work()
    with stage.fault():
        still = [victim.pid, *(child.pid for child in pool_children(victim))]
        for pid in still:
            os.kill(pid, signal.SIGSTOP)
    stage.wait(lambda seen: seen.pending == 0)
    for pid in still:
        os.kill(pid, signal.SIGCONT)

    stage.finish("SIGSTOP until the others are done", expected)
