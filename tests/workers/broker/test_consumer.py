"""What a worker's log says of a queue that is away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import redis
from celery.worker.consumer import Consumer

from workers.broker import consumer
from workers.broker.consumer import GuardedConsumer

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

REFUSED = redis.ConnectionError("Error 111 connecting to hub:6380. Connection refused.")


def test_away_and_back(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One line when the queue goes away, however often, and one when it has answered a while."""
    waiting: list[Callable[[], None]] = []

    def call_after(_seconds: float, say: Callable[[], None]) -> Any:  # noqa: ANN401 - Celery's
        waiting.append(say)
        return SimpleNamespace(cancel=waiting.clear)

    monkeypatch.setattr(Consumer, "connect", lambda _self: "connected")
    monkeypatch.setattr(consumer.time, "sleep", lambda _seconds: None)
    guarded: Any = GuardedConsumer.__new__(GuardedConsumer)
    guarded.timer = SimpleNamespace(call_after=call_after)

    guarded.connect()
    assert [] == waiting

    for _ in range(3):
        guarded.on_connection_error_before_connected(REFUSED)
    guarded.connect()
    guarded.on_connection_error_before_connected(redis.ResponseError("its memory is full"))
    assert [] == waiting

    guarded.connect()
    waiting[0]()
    reason = "Error 111 connecting to hub:6380. Connection refused"
    assert [
        f"the queue does not answer, waiting until it does: {reason}",
        "the queue answers again, after 0 s",
    ] == caplog.messages
