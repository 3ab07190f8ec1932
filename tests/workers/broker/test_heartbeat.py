"""Heartbeats and cancellations; no failure of theirs stops a worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import redis

from workers.broker import heartbeat
from workers.broker.heartbeat import Heartbeat, WorkerState, worker_states
from workers.broker.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client(clean_redis: str) -> Iterator[redis.Redis]:
    """Return a client of an empty broker."""
    with redis.Redis.from_url(clean_redis) as opened:
        yield opened


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the clock by a list with one time."""
    times = [1000.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: times[0])
    return times


def namespace(client: redis.Redis) -> Namespace:
    """Return a store's namespace in that Redis."""
    return Namespace(client, "s1")


def test_cancel(client: redis.Redis, clock: list[float]) -> None:
    """A worker sees within a second that its scan was cancelled, and not another one."""
    end = Heartbeat(namespace(client), "pi4:1", "pi4")
    end.start_batch()
    assert not end.is_cancelled(7, 12)
    heartbeat.cancel(namespace(client), 8)
    heartbeat.cancel(namespace(client), 7)
    clock[0] += 0.9
    assert not end.is_cancelled(7, 12)
    clock[0] += 0.1
    assert end.is_cancelled(7, 12)
    assert end.is_cancelled(7, 12)


def test_uncancel(client: redis.Redis, clock: list[float]) -> None:
    """A withdrawn cancellation has no effect."""
    end = Heartbeat(namespace(client), "pi4:1", "pi4")
    heartbeat.cancel(namespace(client), 7)
    assert end.is_cancelled(7, 12)
    heartbeat.uncancel(namespace(client), 7)
    clock[0] += 1
    assert not end.is_cancelled(7, 12)


def test_next_batch_checks_again(client: redis.Redis, clock: list[float]) -> None:
    """A cancellation does not carry over to a batch of another scan."""
    end = Heartbeat(namespace(client), "pi4:1", "pi4")
    heartbeat.cancel(namespace(client), 7)
    assert end.is_cancelled(7, 12)
    end.start_batch()
    assert not end.is_cancelled(8, 13)


def test_heartbeats(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest heartbeat of each process is kept for a while, with its note."""
    monkeypatch.setattr(heartbeat.time, "time", lambda: 1234.5)
    Heartbeat(namespace(client), "pi4:1", "pi4").is_cancelled(7, 12)
    Heartbeat(namespace(client), "pi4:2", "pi4").send(7, 13, "the disk is away")

    assert [
        WorkerState("pi4:1", "pi4", 7, 12, 1234.5, ""),
        WorkerState("pi4:2", "pi4", 7, 13, 1234.5, "the disk is away"),
    ] == list(worker_states(namespace(client)))
    for key in client.keys("scanner:s1:worker:*"):
        assert 0 < client.ttl(key) <= 30


def test_idle_worker(client: redis.Redis) -> None:
    """A main process is listed while none of its processes has work, or if it waits."""
    main = Heartbeat(namespace(client), "pi4:1", "pi4")
    main.send(0, 0, "")
    assert ["pi4:1"] == [state.name for state in worker_states(namespace(client))]
    Heartbeat(namespace(client), "pi4:2", "pi4").send(7, 12, "")
    assert ["pi4:2"] == [state.name for state in worker_states(namespace(client))]
    main.send(0, 0, "paused")
    assert ["paused", ""] == [state.note for state in worker_states(namespace(client))]


def test_heartbeats_are_limited(client: redis.Redis, clock: list[float]) -> None:
    """A process contacts the broker at most once a second."""
    end = Heartbeat(namespace(client), "pi4:1", "pi4")
    end.is_cancelled(7, 12)
    client.flushall()
    clock[0] += 0.5
    end.is_cancelled(7, 12)
    assert [] == list(worker_states(namespace(client)))
    clock[0] += 0.5
    end.is_cancelled(7, 12)
    assert 1 == len(list(worker_states(namespace(client))))


def test_no_broker() -> None:
    """Without a broker nothing is cancelled and nothing is raised."""
    with redis.Redis(port=1, socket_connect_timeout=0.1, retry=None) as away:
        end = Heartbeat(namespace(away), "pi4:1", "pi4")
        end.send(7, 12, "waiting")

        assert not end.is_cancelled(7, 12)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b"5",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"name": "x"}',
        json.dumps(
            {"name": 5, "host": "h", "scan_id": 1, "batch_id": 1, "at": 1.0, "note": ""}
        ).encode(),
        json.dumps(
            {"name": "n", "host": "h", "scan_id": 1, "batch_id": 1, "at": "soon", "note": ""}
        ).encode(),
        json.dumps(
            {"name": "n", "host": "h", "scan_id": 1, "batch_id": 1, "at": 10**400, "note": ""}
        ).encode(),
        json.dumps(
            {"name": "\ud800", "host": "h", "scan_id": 1, "batch_id": 1, "at": 1.0, "note": ""}
        ).encode(),
    ],
    ids=range(12),
)
def test_invalid_heartbeats(
    client: redis.Redis, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """An invalid heartbeat is ignored and logged."""
    client.set("scanner:s1:worker:a", body)
    Heartbeat(namespace(client), "b", "pi4").send(7, 12, "")

    assert ["b"] == [state.name for state in worker_states(namespace(client))]
    assert "scanner:s1:worker:a" in caplog.text


def test_safe_for_a_terminal(client: redis.Redis) -> None:
    """The texts of a heartbeat are shown on one line, with control characters escaped."""
    Heartbeat(namespace(client), "pi4\x1b[2J:1", "pi\n4").send(7, 12, "a\nb")
    (state,) = worker_states(namespace(client))

    assert ("pi4\\x1b[2J:1", "pi\\n4", "a\\nb") == (state.name, state.host, state.note)
