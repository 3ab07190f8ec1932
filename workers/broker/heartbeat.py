"""The channel between a worker and those who watch it: a small hash in, a key with a life time out.

It stands in for Celery's remote control, which anyone who can write to the broker could use. What
goes wrong here is never worth more than a line in the log: the store has what matters.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import redis

from storage.paths import shown
from workers.broker.namespace import listening_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

# A worker that has said nothing for so long is not shown any more.
STATE_SECONDS = 30
# Seconds between two looks at the hash, and two signs of life: a batch may have 60 chunks a second.
HEARTBEAT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One process's last sign of life; `note` says what it waits for, empty while it works."""

    name: str
    host: str
    scan_id: int
    batch_id: int
    at: float
    note: str = ""


class Heartbeat:
    """One process's end of the channel."""

    def __init__(self, namespace: Namespace, name: str, host: str) -> None:
        self._namespace = namespace
        self._name = name
        self._host = host
        self._looked_at = 0.0
        self._cancelled = False

    def tell(self, scan_id: int, batch_id: int, note: str) -> None:
        """Leave a sign of life that says what this process waits for."""
        state = WorkerState(self._name, self._host, scan_id, batch_id, time.time(), note)
        try:
            self._namespace.client.set(
                self._namespace.key("worker", self._name),
                json.dumps(asdict(state)),
                ex=STATE_SECONDS,
            )
        except redis.RedisError as error:
            log.debug("no sign of life could be left: %s", error)

    def listen(self, detector: str) -> None:
        """Say that here is somebody who takes what is for a strong detector."""
        key = listening_key(self._namespace.store_id, detector)
        try:
            self._namespace.client.set(key, self._name, ex=STATE_SECONDS)
        except redis.RedisError as error:
            log.debug("no sign of life could be left: %s", error)

    def cancelled(self, scan_id: int, batch_id: int) -> bool:
        """Whether the scan was cancelled; looks, and leaves a sign of life, once a second."""
        now = time.monotonic()
        if now - self._looked_at >= HEARTBEAT_SECONDS:
            self._looked_at = now
            try:
                self._cancelled = self._namespace.client.hexists(
                    control_key(self._namespace), _cancel_field(scan_id)
                )
            except redis.RedisError as error:
                log.debug("no word from the broker: %s", error)
            self.tell(scan_id, batch_id, "")
        return self._cancelled

    def begin(self) -> None:
        """Another batch: look again before anything else."""
        self._looked_at = 0.0
        self._cancelled = False


def control_key(namespace: Namespace) -> str:
    """The hash that workers look into."""
    return namespace.key("control")


def cancel(namespace: Namespace, scan_id: int) -> None:
    """Tell every worker to drop what is left of a scan."""
    namespace.client.hset(control_key(namespace), _cancel_field(scan_id), "1")


def uncancel(namespace: Namespace, scan_id: int) -> None:
    """Take a cancellation back."""
    namespace.client.hdel(control_key(namespace), _cancel_field(scan_id))


def worker_states(namespace: Namespace) -> Iterator[WorkerState]:
    """The last sign of life of each process that has given one lately."""
    for key in sorted(namespace.client.scan_iter(match=namespace.key("worker", "*"), count=1000)):
        raw = namespace.client.get(key)
        if raw is None:
            continue  # it has just run out
        try:
            yield _state(json.loads(raw))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            log.warning("%r is no worker's state; left alone", key)


def _state(raw: Mapping[str, Any]) -> WorkerState:
    """A state whose fields are of their types: anyone who can write to the broker can write one."""
    return WorkerState(
        name=shown(raw["name"].encode()),
        host=shown(raw["host"].encode()),
        scan_id=int(raw["scan_id"]),
        batch_id=int(raw["batch_id"]),
        at=float(raw["at"]),
        note=shown(raw["note"].encode()),
    )


def _cancel_field(scan_id: int) -> str:
    return f"cancel:{scan_id}"
