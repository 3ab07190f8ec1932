"""Doubtful images go to a strong detector while somebody listens for it, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.fleet.rescuer import Rescuer
from storage.records import (
    ListedImage,
    Outcome,
    Plan,
    PlannedDetector,
    Thresholds,
    Timings,
    Verdict,
)
from storage.writes import cascade, listing, results, scans
from storage.writes.results import Host
from workers.broker.batch_parts import BatchPart, second_stage_number
from workers.broker.heartbeat import Heartbeat
from workers.broker.leases import working_key
from workers.broker.namespace import second_stage_queue
from workers.settings import FLEET

if TYPE_CHECKING:
    from scanner.fleet.broker import Broker
    from storage.database.store import Store

PLAN = Plan(
    (
        PlannedDetector("clip", "1", "", Thresholds(0.5, 0.9), is_second_stage=True),
        PlannedDetector("net", "1", "", Thresholds(0.5, 0.9)),
    )
)
HOST = Host("h1", "laptop", "x86_64", {})


def doubtful(store: Store, images: int) -> int:
    """Add a finished scan with one batch, all `unsure`; return the batch."""
    collection = scans.collection_id(store, "photos", b"/photos")
    of = scans.new_scan(store, collection, scans.ensure_plan(store, PLAN), FLEET)
    batch = listing.add_batch(
        store, of, [ListedImage(b"%d.jpg" % n, 1, 1) for n in range(images)], None
    )
    assert batch is not None
    scans.mark_listed(store, of.scan_id, {}, 0)
    results.know_host(store, HOST)
    begun = results.begin_run(store, batch.batch_id, 1, ("h1", "w1"))
    assert begun is not None
    results.record(
        store,
        begun[0],
        [
            Verdict(one.image_id, Outcome.UNSURE, 0.6, "net", True, (), None, None, Timings())
            for one in batch.images
        ],
    )
    results.finish_batch(store, begun[0])
    return batch.batch_id


def queued(broker: Broker) -> tuple[int, int]:
    """Messages on the queue of first looks, and on that of the strong detector."""
    client, queue = broker.namespace.client, broker.namespace.queue
    return int(client.llen(queue)), int(client.llen(second_stage_queue(queue, "clip")))


def listen(broker: Broker) -> None:
    """Be a worker that has the strong detector."""
    Heartbeat(broker.namespace, "laptop:1", "laptop").announce_detector("clip")


def rounds(store: Store, broker: Broker, count: int = 3) -> None:
    """Have a keeper look so many times."""
    rescuer = Rescuer(store, broker, FLEET)
    for _ in range(count):
        rescuer.round()


def test_nobody_listens(store: Store, broker: Broker) -> None:
    """Nothing is sent where nobody would take it: it would wait for ever."""
    doubtful(store, 3)
    rounds(store, broker)

    assert (0, 0) == queued(broker)


def test_in_small_messages_and_once(store: Store, broker: Broker) -> None:
    """Seventy images are three messages of at most 32, sent once while they wait."""
    doubtful(store, 70)
    listen(broker)
    rounds(store, broker, 6)

    assert (0, 3) == queued(broker)


def test_not_while_they_are_at_work(store: Store, broker: Broker) -> None:
    """A batch that a strong detector is at is not sent a second time."""
    batch_id = doubtful(store, 3)
    listen(broker)
    part = BatchPart(batch_id, second_stage_number(0))
    broker.namespace.client.hset(working_key(broker.namespace), part.name, "laptop")
    broker.namespace.client.set(broker.namespace.key("lease", part.name), "laptop")
    rounds(store, broker, 4)

    assert (0, 0) == queued(broker)


def test_left_behind(store: Store, broker: Broker) -> None:
    """What a dead worker had goes to the next one, one attempt higher; not to the others' queue."""
    batch_id = doubtful(store, 3)
    listen(broker)
    part = BatchPart(batch_id, second_stage_number(0))
    broker.namespace.client.hset(working_key(broker.namespace), part.name, "gone")
    rounds(store, broker)
    (waits,) = cascade.waiting_batches(store, 1)

    assert (0, 1) == queued(broker)
    assert 2 == waits.attempt
