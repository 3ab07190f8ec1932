"""Unacknowledged messages that are none, and errors that Redis answers with."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import redis
from kombu.transport import redis as redis_transport

from storage.paths import shown
from storage.records import BatchImage, Plan
from workers.broker.app import make_app, make_namespace
from workers.broker.batch_message import BatchMessage, sign_batch
from workers.broker.consumer import guard_this_process
from workers.broker.dead_letters import read_letters
from workers.broker.field_types import MessageError
from workers.broker.publish import send_batch
from workers.broker.unacknowledged import GuardedQoS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from workers.broker.namespace import Namespace

MESSAGE = BatchMessage(7, 12, 1, "photos", Plan(()), (BatchImage(5, b"a.jpg", 10),))
JUNK = {
    "deep": b"[" * 100_000,
    "no JSON": b"\xff\xfe",
    "a number": b"5",
    "a list": b"[]",
    "another list": b'[5, "", "queue"]',
    "no headers": b'[{"properties": {"delivery_info": {}}}, "", "queue"]',
    "properties of the wrong type": b'[{"headers": {}, "properties": []}, "", "queue"]',
    "a queue of nobody": b'[{"headers": {}, "properties": {"delivery_info": {}}}, "", "unacked"]',
    "an exchange": b'[{"headers": {}, "properties": {"delivery_info": {}}}, "a", "queue"]',
}


@pytest.fixture
def namespace(clean_redis: str) -> Iterator[Namespace]:
    """Return a store's namespace in an empty Redis."""
    opened = make_namespace(clean_redis, "s1")
    yield opened
    opened.client.close()


@pytest.fixture
def app(clean_redis: str, namespace: Namespace) -> Iterator[Celery]:
    """Return the store's app in a process with guards."""
    guard_this_process(namespace, "batch")
    app = make_app(clean_redis, "s1")
    yield app
    app.close()


def test_junk_does_not_keep_messages(app: Celery, namespace: Namespace) -> None:
    """A lost message returns to its queue, whatever else is among those that were taken."""
    send_batch(app, sign_batch(MESSAGE, "s1", bytes(32)))
    client = namespace.client
    envelope = json.loads(client.rpop(namespace.queue))
    lost = json.dumps([envelope, "", "queue"]).encode()
    long_ago = time.time() - 1_000_000
    for number, (tag, raw) in enumerate({**JUNK, "lost": lost}.items()):
        client.hset(namespace.key("unacked"), tag, raw)
        # The message is looked at last.
        client.zadd(namespace.key("unacked_index"), {tag: long_ago - number})
    client.zadd(namespace.key("unacked_index"), {"without an entry": long_ago})
    with app.connection_for_read() as connection:
        connection.default_channel.qos.restore_visible(num=None)

    assert 1 == client.llen(namespace.queue)
    assert envelope["body"] == json.loads(client.rpop(namespace.queue))["body"]
    assert [0, 0] == [
        client.hlen(namespace.key("unacked")),
        client.zcard(namespace.key("unacked_index")),
    ]
    letters = read_letters(namespace)
    assert {"batch"} == {letter.kind for letter in letters}
    assert all(letter.reason.startswith("not a message (") for letter in letters)
    assert sorted(shown(raw[:1000]) for raw in JUNK.values()) == sorted(
        str(letter.message()) for letter in letters
    )


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (b"\xff\xfe", "not a message (JSONDecodeError)"),
        (b"[" * 100_000, "not a message (RecursionError)"),
        (b"no JSON", "not a message (JSONDecodeError)"),
        (b"5", "not a message (TypeError)"),
        (b'{"body": 5}', "not a message (KeyError)"),
    ],
    ids=["bytes", "deep", "text", "number", "shape"],
)
def test_items_that_are_no_messages(
    app: Celery, namespace: Namespace, item: bytes, reason: str
) -> None:
    """What cannot be read off a queue becomes a dead letter, with its beginning and the reason."""
    namespace.client.lpush(namespace.queue, item)
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        channel.basic_consume("queue", no_ack=False, callback=id, consumer_tag="test")
        connection.drain_events(timeout=10)
    (letter,) = read_letters(namespace)

    assert ("batch", reason) == (letter.kind, letter.reason)
    assert item.decode(errors="replace")[:1000] == letter.message()


def test_errors_of_redis_are_waited_for(app: Celery) -> None:
    """An answer of Redis that is an error counts as a lost connection, after which Celery waits."""
    with app.connection_for_read() as connection:
        assert issubclass(redis.exceptions.OutOfMemoryError, connection.connection_errors)
        assert issubclass(redis.ResponseError, connection.default_channel.connection_errors)


@pytest.mark.usefixtures("app")
def test_item_that_is_too_large() -> None:
    """Of a queue item of more than 16 MiB nothing is made, which would take five times its size."""
    assert {"a": 1} == redis_transport.loads('{"a": 1}')
    with pytest.raises(MessageError, match="larger than 16 MiB"):
        redis_transport.loads('"' + "x" * 2**24 + '"')


@pytest.mark.usefixtures("app")
def test_guards_hold_behind_sentinels() -> None:
    """The channel to a broker that Sentinels name drops the same items."""
    assert issubclass(redis_transport.SentinelTransport.Channel, redis_transport.Channel)
    assert GuardedQoS is redis_transport.SentinelTransport.Channel.QoS


@pytest.mark.parametrize("end", ["ack", "reject"])
def test_failed_acknowledgement(
    app: Celery, namespace: Namespace, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """A message that could not be acknowledged does not keep a worker from taking others."""

    def cut(*_: object, **__: object) -> None:
        raise redis.ConnectionError("cut")

    send_batch(app, sign_batch(MESSAGE, "s1", bytes(32)))
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        channel.qos.prefetch_count = 1
        message = channel.basic_get("queue")
        assert not channel.qos.can_consume()
        monkeypatch.setattr(channel.qos, "_remove_from_indices", cut)
        with pytest.raises(redis.ConnectionError):
            getattr(message, end)()

        assert channel.qos.can_consume()
