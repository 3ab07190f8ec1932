"""A Redis that is killed, emptied, full, silent, or in which keys are not what they should be."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from stage import RedisServer, broken, fill_disk, namespace_of, pool_children

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stage import Stage, Verdicts

# Seconds that memory is full, or that Redis is silent.
FULL_S = 15
SILENT_S = 30
CUTS = 4


def fill(server: RedisServer) -> None:
    """Leave Redis no memory for a further message."""
    with server.client() as client:
        client.config_set("maxmemory", 1)


def test_full_in_mid_scan(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """Workers wait for a Redis whose memory is full, and go on."""
    workers = [stage.work(), stage.work()]
    stage.enqueue()
    stage.wait_begun()
    with stage.fault(), server.client() as client:
        fill(server)
        time.sleep(FULL_S)
        client.config_set("maxmemory", 0)

    stage.wait(lambda seen: seen.pending == 0)
    assert [None, None] == [worker.poll() for worker in workers]
    stage.finish(f"Redis full for {FULL_S} s in mid-scan", expected)


@pytest.mark.faults
def test_full_while_enqueueing(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """`enqueue` says that Redis is full, and can be repeated."""
    fill(server)
    refused = stage.cli.run(
        "enqueue", stage.photos, "--detectors", "faces,provenance", check=4
    ).stderr
    with server.client() as client:
        client.config_set("maxmemory", 0)
    assert "maxmemory" in refused
    assert "Traceback" not in refused
    stage.work()
    stage.enqueue()

    stage.finish("Redis full while enqueueing", expected)


@pytest.mark.faults
def test_keys_of_wrong_types(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """Keys of wrong types are moved aside, and the queue is filled again."""
    workers = [stage.work(), stage.work()]
    stage.enqueue()
    stage.wait_begun()
    namespace = namespace_of(stage, server)
    with stage.fault(), server.client() as client:
        for name in ("queue", "unacked", "unacked_index", "working", "control"):
            client.delete(namespace.key(name))
            client.xadd(namespace.key(name), {"a": "b"})

    stage.wait(lambda seen: seen.pending == 0)
    assert [None, None] == [worker.poll() for worker in workers]
    stage.finish("keys of wrong types", expected)


@pytest.mark.faults
def test_junk_among_unacknowledged(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """What is not a message is moved aside, and does not end the look for lost ones."""
    worker = stage.work()
    stage.enqueue()
    stage.wait_begun()
    namespace = namespace_of(stage, server)
    with stage.fault(), server.client() as client:
        for tag, junk in {"a": "[" * 100_000, "b": "{}", "c": "5"}.items():
            client.hset(namespace.key("unacked"), tag, junk)
            client.zadd(namespace.key("unacked_index"), {tag: 1.0})
    stage.wait(lambda seen: seen.pending == 0)
    with server.client() as client:
        end = time.monotonic() + 60
        while client.hlen(namespace.key("unacked")) and time.monotonic() < end:
            time.sleep(0.5)
        assert 0 == client.hlen(namespace.key("unacked"))
    assert worker.poll() is None
    assert "RecursionError" not in stage.log()

    stage.finish("junk among unacknowledged messages", expected)


@pytest.mark.faults
@pytest.mark.parametrize("times", [5])
def test_restarted_often(stage: Stage, server: RedisServer, expected: Verdicts, times: int) -> None:
    """Workers connect again to a Redis that is killed and started again and again."""
    stage.work()
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        for _ in range(times):
            server.kill()
            time.sleep(0.5)
            server.start()
            time.sleep(1.5)

    stage.finish(f"Redis killed and restarted {times} times", expected)


@pytest.mark.faults
def test_lost_without_a_file(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """A Redis that comes back empty is filled again from the store."""
    stage.work()
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        server.kill()
        shutil.rmtree(server.folder / "appendonlydir")
        server.start()

    stage.finish("Redis killed without an append-only file", expected)


@pytest.mark.faults
def test_flushed_without_a_rescuer(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """`resume` fills a lost queue again."""
    stage.workers.append(stage.start("worker", "--concurrency", "1", "--no-rescuer"))
    stage.enqueue()
    stage.wait_begun()
    with stage.fault(), server.client() as client:
        client.flushall()
        stage.cli.run("resume", str(stage.scan_id))

    stage.finish("FLUSHALL, and resume", expected)


@pytest.mark.faults
def test_silent(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """Workers wait for a Redis that hangs, longer than a lease lasts."""
    stage.work()
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(SILENT_S)
        os.kill(server.process.pid, signal.SIGCONT)

    stage.finish(f"Redis silent for {SILENT_S} s", expected)


@pytest.mark.faults
def test_stopped_while_silent(stage: Stage, server: RedisServer, expected: Verdicts) -> None:
    """A worker that is told to stop while Redis hangs ends in time, with all its processes."""
    worker = stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(3)
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(60)
        os.kill(server.process.pid, signal.SIGCONT)
        stage.work()

    stage.finish("SIGTERM while Redis is silent", expected)


@pytest.mark.faults
@pytest.mark.parametrize("times", [10])
def test_one_message_many_times(
    stage: Stage, server: RedisServer, expected: Verdicts, times: int
) -> None:
    """Copies of a message cost time only."""
    stage.enqueue()
    namespace = namespace_of(stage, server)
    with stage.fault(), server.client() as client:
        for raw in client.lrange(namespace.queue, 0, -1):
            for _ in range(times - 1):
                envelope = json.loads(raw)
                envelope["properties"]["delivery_tag"] = str(uuid.uuid4())
                client.lpush(namespace.queue, json.dumps(envelope))
        stage.work()
        stage.work()

    stage.finish(f"each message {times} times", expected)


@pytest.mark.faults
@pytest.mark.parametrize("times", [3])
def test_killed_between_message_and_lease(
    stage: Stage, server: RedisServer, expected: Verdicts, times: int
) -> None:
    """A message that was taken by a worker that dies at once is published again."""
    for _ in range(times):
        victim = stage.work()
        end = time.monotonic() + 60
        while not pool_children(victim) and time.monotonic() < end:
            time.sleep(0.1)
        if not stage.scan_id:
            stage.enqueue()
        with server.client() as client:
            while not client.hlen(namespace_of(stage, server).key("unacked")):
                time.sleep(0.005)
        for process in [victim, *pool_children(victim)]:
            os.kill(process.pid, signal.SIGKILL)
    with stage.fault():
        stage.work()

    stage.finish(f"kill -9 right after a message was taken, {times} times", expected)


@pytest.mark.faults
def test_cut_connections(
    stage_on: Callable[..., Stage],
    server: RedisServer,
    proxy_to: Callable[..., Any],
    expected: Verdicts,
    tmp_path: Path,
) -> None:
    """Workers 30 ms from their queue go on although their connections are cut."""
    proxy = proxy_to(("127.0.0.1", server.port), delay=0.03)
    far = server.url.replace(f":{server.port}/", f":{proxy.port}/")
    stage = stage_on(f"sqlite:///{tmp_path}/store.db", far)
    stage.work()
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        for _ in range(CUTS):
            proxy.shut()
            proxy.open()
            time.sleep(1)

    stage.finish(f"connections to a far Redis cut {CUTS} times", expected)


@pytest.mark.faults
def test_disk_full(
    stage_on: Callable[..., Stage], small_disk: Path, tmp_path: Path, expected: Verdicts
) -> None:
    """Workers wait for a Redis that cannot write its append-only file, and go on."""
    server = RedisServer(small_disk / "redis")
    try:
        stage = stage_on(f"sqlite:///{tmp_path}/store.db", server.url)
        workers = [stage.work(), stage.work()]
        stage.enqueue()
        stage.wait_begun()
        with stage.fault(), server.client() as client:
            fill_disk(small_disk)
            time.sleep(FULL_S)
            refused = client.info("persistence")["aof_last_write_status"]
            (small_disk / "filler").unlink()

        assert "err" == refused
        stage.wait(lambda seen: seen.pending == 0)
        assert [None, None] == [worker.poll() for worker in workers]
        stage.finish(f"disk of Redis full for {FULL_S} s", expected)
    finally:
        server.kill()


@pytest.mark.faults
def test_visible_too_early(stage: Stage, expected: Verdicts) -> None:
    """A batch that Redis gives out again while it is at work is not done twice."""
    slow = broken(PYTHON_FAULTS_SLOW=0.7, PYTHON_FAULTS_VISIBLE=1)
    stage.start_module("scanner.fleet.rescuer")
    work = ("worker", "--concurrency", "1", "--no-rescuer", "--verbose")
    # As many as there are batches, of different sizes: one of them soon has nothing else to do.
    stage.workers += [stage.start(*work, **slow) for _ in range(3)]
    with stage.fault():
        stage.enqueue()

    stage.wait(lambda seen: seen.pending == 0)
    assert "another worker has the batch" in stage.log()
    stage.finish("visibility timeout shorter than a batch", expected)
