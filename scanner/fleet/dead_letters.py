"""What people do with dead letters: send them again, or drop them for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.fleet.publisher import publish
from storage.records import ErrorKind, ImageError, Verdict
from storage.writes import results
from storage.writes.scans import find_scan
from workers.broker.dead_letters import drop_letters
from workers.broker.missing import reset_all
from workers.broker.publish import send_again

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scanner.fleet.broker import Broker
    from storage.database.store import Store
    from storage.writes.results import Host
    from workers.broker.dead_letters import DeadLetter


def replay(store: Store, broker: Broker, letters: Iterable[DeadLetter]) -> None:
    """Send the messages again, and those of batches of the store as they are now.

    Raise MessageError for one that was not kept, StoreError and redis.RedisError.
    """
    reset_all(broker.namespace)
    for letter in letters:
        if not letter.batch_id:
            send_again(broker.app, letter.kind, letter.message())
        else:
            _publish(store, broker, letter.batch_id)
        _remove(broker, letter)


def drop(store: Store, broker: Broker, letters: Iterable[DeadLetter], host: Host) -> None:
    """Delete the letters; images of batches that were given up become errors, with the reason.

    `host` is this machine. Raise StoreError and redis.RedisError.
    """
    for letter in letters:
        if letter.batch_id:
            _end_batch(store, letter, host)
        _remove(broker, letter)


def _publish(store: Store, broker: Broker, batch_id: int) -> None:
    unfinished = results.requeue_batch(store, batch_id, failed=False)
    if unfinished is not None:
        scan_id, batch = unfinished
        publish(store, broker.app, find_scan(store, scan_id), batch)


def _end_batch(store: Store, letter: DeadLetter, host: Host) -> None:
    results.record_host(store, host)
    worker = (host.host_id, "deadletters")
    begun = results.begin_run(store, letter.batch_id, 0, worker)
    if begun is None:
        return
    run, pending = begun
    error = ImageError(ErrorKind.UNREADABLE, letter.reason)
    verdicts = [Verdict.of_error(image_id, error) for image_id in sorted(pending)]
    results.record_verdicts(store, run, verdicts)
    results.finish_batch(store, run)


def _remove(broker: Broker, letter: DeadLetter) -> None:
    drop_letters(broker.namespace, lambda one: one.letter_id == letter.letter_id)
