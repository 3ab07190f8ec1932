"""Send `unsure` images to workers with the second stage's detector."""

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


def add_unsure(store: Store, images: int) -> int:
    """Add a finished scan of one batch of `unsure` images; return the batch's id."""
    collection = scans.ensure_collection(store, "photos", b"/photos")
    scan = scans.new_scan(store, collection, scans.ensure_plan(store, PLAN), FLEET)
    batch = listing.add_batch(
        store, scan, [ListedImage(b"%d.jpg" % n, 1, 1) for n in range(images)], None
    )
    assert batch is not None
    scans.mark_listed(store, scan.scan_id, {}, 0)
    results.record_host(store, HOST)
    run = results.begin_run(store, batch.batch_id, 1, ("h1", "w1"))
    assert run is not None
    results.record_verdicts(
        store,
        run[0],
        [
            Verdict(image.image_id, Outcome.UNSURE, 0.6, "net", True, (), None, None, Timings())
            for image in batch.images
        ],
    )
    results.finish_batch(store, run[0])
    return batch.batch_id


def queue_lengths(broker: Broker) -> tuple[int, int]:
    """Return the number of messages on the queues of the first and the second stage."""
    client, queue = broker.namespace.client, broker.namespace.queue
    return int(client.llen(queue)), int(client.llen(second_stage_queue(queue, "clip")))


def announce(broker: Broker) -> None:
    """Announce a worker with the second stage's detector."""
    Heartbeat(broker.namespace, "laptop:1", "laptop").announce_detector("clip")


def run_rounds(store: Store, broker: Broker, count: int = 3) -> None:
    """Run rounds of a rescuer."""
    rescuer = Rescuer(store, broker, FLEET)
    for _ in range(count):
        rescuer.round()


def test_no_worker(store: Store, broker: Broker) -> None:
    """Nothing is sent without a worker that would take it."""
    add_unsure(store, 3)
    run_rounds(store, broker)

    assert (0, 0) == queue_lengths(broker)


def test_messages(store: Store, broker: Broker) -> None:
    """Seventy images are sent once, in three messages of at most 32."""
    add_unsure(store, 70)
    announce(broker)
    run_rounds(store, broker, 6)

    assert (0, 3) == queue_lengths(broker)


def test_batch_at_work(store: Store, broker: Broker) -> None:
    """A batch whose second stage is at work is not sent again."""
    batch_id = add_unsure(store, 3)
    announce(broker)
    part = BatchPart(batch_id, second_stage_number(0))
    broker.namespace.client.hset(working_key(broker.namespace), part.name, "laptop")
    broker.namespace.client.set(broker.namespace.key("lease", part.name), "laptop")
    run_rounds(store, broker, 4)

    assert (0, 0) == queue_lengths(broker)


def test_dead_worker(store: Store, broker: Broker) -> None:
    """A dead worker's images are sent again to the second stage, as the next attempt."""
    batch_id = add_unsure(store, 3)
    announce(broker)
    part = BatchPart(batch_id, second_stage_number(0))
    broker.namespace.client.hset(working_key(broker.namespace), part.name, "gone")
    run_rounds(store, broker)
    (waiting,) = cascade.waiting_batches(store, 1)

    assert (0, 1) == queue_lengths(broker)
    assert 2 == waiting.attempt
