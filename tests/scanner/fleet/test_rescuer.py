"""The keeper's rounds: what it publishes again, and what it does not trip over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.fleet.rescuer import Rescuer
from storage.records import ListedImage, Plan
from storage.writes import listing, results, scans
from workers.broker.leases import working_key
from workers.settings import FLEET

if TYPE_CHECKING:
    import pytest

    from scanner.fleet.broker import Broker
    from storage.database.store import Store

PLAN = Plan(())


def batch_of(store: Store, name: str, plan: Plan = PLAN) -> int:
    """Add a batch of one image in a new scan."""
    collection = scans.collection_id(store, name, name.encode())
    of = scans.new_scan(store, collection, scans.ensure_plan(store, plan), FLEET)
    batch = listing.add_batch(store, of, [ListedImage(b"a.jpg", 1, 1)], None)
    assert batch is not None
    return batch.batch_id


def waiting(broker: Broker) -> int:
    """Messages on the queue."""
    return int(broker.namespace.client.llen(broker.namespace.queue))


def test_left_behind_is_published_at_once(store: Store, broker: Broker) -> None:
    """A batch whose worker is gone is on the queue after one round, one attempt higher."""
    batch_id = batch_of(store, "one")
    broker.namespace.client.hset(working_key(broker.namespace), str(batch_id), "gone")
    Rescuer(store, broker, FLEET).round()
    left = results.again(store, batch_id, failed=False)

    assert 1 == waiting(broker)
    assert left is not None
    assert 2 == left[1].attempt
    assert 0 == broker.namespace.client.hlen(working_key(broker.namespace))


def test_overlooked_is_published_the_second_time(store: Store, broker: Broker) -> None:
    """A batch on no queue may be on its way there; seen twice in a row, it is published."""
    batch_of(store, "one")
    rescuer = Rescuer(store, broker, FLEET)
    seen = []
    for _ in range(3):
        rescuer.round()
        seen.append(waiting(broker))

    assert [0, 1, 1] == seen


def test_one_keeper_at_a_time(store: Store, broker: Broker) -> None:
    """While one keeper is at it, another does nothing."""
    batch_of(store, "one")
    first, second = Rescuer(store, broker, FLEET), Rescuer(store, broker, FLEET)
    first.round()
    for _ in range(3):
        second.round()

    assert 0 == waiting(broker)


def test_scans_of_others_are_left_alone(store: Store, broker: Broker) -> None:
    """A `scan` with a broker of its own has its own keeper."""
    batch_of(store, "one")
    rescuer = Rescuer(store, broker, "somebody else")
    for _ in range(3):
        rescuer.round()

    assert 0 == waiting(broker)


def test_scan_of_another_version(
    store: Store, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """A scan that another version planned is passed over with a word; others are looked after."""
    batch_of(store, "newer", Plan((), rules=99))
    batch_of(store, "ours")
    rescuer = Rescuer(store, broker, FLEET)
    for _ in range(2):
        rescuer.round()

    assert 1 == waiting(broker)
    assert "planned by another version" in caplog.text
