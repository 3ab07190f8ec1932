"""Rounds of the rescuer: batches that it publishes again."""

from __future__ import annotations

import json
import threading
import zlib
from base64 import b64decode
from typing import TYPE_CHECKING

import redis

from scanner.fleet.rescuer import Rescuer
from storage.records import ListedImage, Plan
from storage.writes import listing, results, scans
from workers.broker.batch_message import BatchMessage, decode_batch
from workers.broker.leases import working_key
from workers.broker.signatures import STORE, Signer
from workers.settings import FLEET

if TYPE_CHECKING:
    import pytest

    from scanner.fleet.broker import Broker
    from storage.database.store import Store

PLAN = Plan(())


def add_batch(store: Store, name: str, plan: Plan = PLAN, images: int = 1) -> int:
    """Add a scan with a batch; return the batch's id."""
    collection = scans.ensure_collection(store, name, name.encode())
    scan = scans.new_scan(store, collection, scans.ensure_plan(store, plan), FLEET)
    listed = [ListedImage(b"%d.jpg" % number, 1, 1) for number in range(images)]
    batch = listing.add_batch(store, scan, listed, None)
    assert batch is not None
    return batch.batch_id


def queue_length(broker: Broker) -> int:
    """Return the number of messages on the queue."""
    return int(broker.namespace.client.llen(broker.namespace.queue))


def queued(store: Store, broker: Broker) -> list[BatchMessage]:
    """Return the batch messages on the queue, the oldest first."""
    client, queue = broker.namespace.client, broker.namespace.queue
    bodies = [json.loads(raw)["body"] for raw in reversed(client.lrange(queue, 0, -1))]
    raws = [json.loads(zlib.decompress(b64decode(body)))[0][0] for body in bodies]
    key = Signer(STORE, store.signing_key).public_key
    return [decode_batch(raw, store.identity, key) for raw in raws]


def test_batch_of_a_dead_worker(store: Store, broker: Broker) -> None:
    """A dead worker's batch is published after one round, as the next attempt."""
    batch_id = add_batch(store, "one")
    broker.namespace.client.hset(working_key(broker.namespace), str(batch_id), "gone")
    Rescuer(store, broker, FLEET).round()
    unfinished = results.requeue_batch(store, batch_id, failed=False)

    assert 1 == queue_length(broker)
    assert unfinished is not None
    assert 2 == unfinished[1].attempt
    assert 0 == broker.namespace.client.hlen(working_key(broker.namespace))


def test_keys_of_wrong_types(store: Store, broker: Broker) -> None:
    """Keys of types that no command of ours expects are moved aside, and the queue filled again."""
    batch_id = add_batch(store, "one")
    namespace = broker.namespace
    for name in ("queue", "unacked", "unacked_index", "working", "keeper", "_kombu.binding.queue"):
        namespace.client.xadd(namespace.key(name), {"a": "b"})
    rescuer = Rescuer(store, broker, FLEET)
    for _ in range(2):
        rescuer.round()

    assert 1 == queue_length(broker)
    assert b"stream" == namespace.client.type(namespace.key("queue", "moved"))
    assert batch_id == queued(store, broker)[0].batch_id


def test_image_that_hung_a_worker(store: Store, broker: Broker) -> None:
    """The image that hung a worker is published by itself, so that the others do not wait."""
    batch_id = add_batch(store, "one", images=3)
    unfinished = results.requeue_batch(store, batch_id, failed=False)
    assert unfinished is not None
    first, hung, last = (image.image_id for image in unfinished[1].images)
    broker.namespace.client.hset(working_key(broker.namespace), str(batch_id), str(hung))
    Rescuer(store, broker, FLEET).round()

    found = queued(store, broker)
    assert [(0, [first, last]), (True, [hung])] == [
        (message.part and True, [image.image_id for image in message.images]) for message in found
    ]
    assert {2} == {message.attempt for message in found}


def test_batch_that_is_not_on_the_queue(store: Store, broker: Broker) -> None:
    """A batch that is not on the queue in two rounds is published once."""
    add_batch(store, "one")
    rescuer = Rescuer(store, broker, FLEET)
    lengths = []
    for _ in range(3):
        rescuer.round()
        lengths.append(queue_length(broker))

    assert [0, 1, 1] == lengths


def test_one_rescuer_at_a_time(store: Store, broker: Broker) -> None:
    """While one rescuer holds the lock, another does nothing."""
    add_batch(store, "one")
    first, second = Rescuer(store, broker, FLEET), Rescuer(store, broker, FLEET)
    first.round()
    for _ in range(3):
        second.round()

    assert 0 == queue_length(broker)


def test_scans_of_another_owner(store: Store, broker: Broker) -> None:
    """A rescuer publishes no batches of another owner's scans."""
    add_batch(store, "one")
    rescuer = Rescuer(store, broker, "somebody else")
    for _ in range(3):
        rescuer.round()

    assert 0 == queue_length(broker)


def test_scan_of_another_version(
    store: Store, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """A scan of another version is logged and skipped, and others are rescued."""
    add_batch(store, "newer", Plan((), rules=99))
    add_batch(store, "ours")
    rescuer = Rescuer(store, broker, FLEET)
    for _ in range(2):
        rescuer.round()

    assert 1 == queue_length(broker)
    assert "planned by another version" in caplog.text


def test_waiting_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the beginning and the end of a wait, and no line for each round between."""
    stop = threading.Event()
    rounds = iter([redis.ConnectionError("closed"), redis.ConnectionError("refused"), None])

    def next_round(_rescuer: Rescuer) -> None:
        error = next(rounds)
        if error is not None:
            raise error
        stop.set()

    monkeypatch.setattr(Rescuer, "round", next_round)
    monkeypatch.setattr("scanner.fleet.rescuer.ROUND_SECONDS", 0.0)
    Rescuer.__new__(Rescuer).run_until(stop)

    assert ["the rescuer waits: closed", "the rescuer works again"] == caplog.messages
