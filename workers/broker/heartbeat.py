"""Heartbeats of workers and cancellations of scans: keys in Redis that expire, and a small hash.

They replace Celery's remote control, which anyone who can write to the broker could use. A failure
here is only logged: everything that matters is in the store.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import redis
from msgspec import Struct, json
from msgspec.structs import replace

from storage.paths import shown
from storage.text import clean
from workers.broker.field_types import Id, MessageError, Text, message_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

# A worker without a heartbeat for this long is no longer shown.
STATE_SECONDS = 30
# Between two heartbeats, and two checks for a cancellation: a batch may have 60 chunks a second.
HEARTBEAT_SECONDS = 1.0
# What the note of a paused worker begins with.
PAUSED = "paused"


class WorkerState(Struct, frozen=True):
    """The latest heartbeat of a process, `at` in seconds since the epoch.

    `note` says what the process waits for; empty while it works.
    """

    name: Text
    host: Text
    scan_id: Id
    batch_id: Id
    at: float
    note: Text


class Heartbeat:
    """The heartbeat of one process, and its check for cancellations."""

    def __init__(self, namespace: Namespace, name: str, host: str) -> None:
        self._namespace = namespace
        self._name = name
        self._host = host
        self._checked_at = 0.0
        self._cancelled = False

    def send(self, scan_id: int, batch_id: int, note: str) -> None:
        """Publish a heartbeat that says what this process waits for."""
        name, host, note = map(clean, (self._name, self._host, note))
        state = WorkerState(name, host, scan_id, batch_id, time.time(), note)
        key = self._namespace.key("worker", self._name)
        try:
            self._namespace.client.set(key, json.encode(state), ex=STATE_SECONDS)
        except redis.RedisError as error:
            log.debug("no heartbeat could be sent: %s", error)

    def is_cancelled(self, scan_id: int, batch_id: int) -> bool:
        """Return whether the scan was cancelled; once a second, check and send a heartbeat."""
        now = time.monotonic()
        if now - self._checked_at >= HEARTBEAT_SECONDS:
            self._checked_at = now
            try:
                self._cancelled = self._namespace.client.hexists(
                    control_key(self._namespace), _cancel_field(scan_id)
                )
            except redis.RedisError as error:
                log.debug("the broker does not respond: %s", error)
            self.send(scan_id, batch_id, "")
        return self._cancelled

    def start_batch(self) -> None:
        """Forget the last batch's cancellation, so that the next call checks again."""
        self._checked_at = 0.0
        self._cancelled = False


def control_key(namespace: Namespace) -> str:
    """Return the key of the hash in which workers find cancellations and pauses."""
    return namespace.key("control")


def cancel(namespace: Namespace, scan_id: int) -> None:
    """Make all workers drop the rest of a scan."""
    namespace.client.hset(control_key(namespace), _cancel_field(scan_id), "1")


def uncancel(namespace: Namespace, scan_id: int) -> None:
    """Withdraw a cancellation."""
    namespace.client.hdel(control_key(namespace), _cancel_field(scan_id))


def worker_states(namespace: Namespace) -> Iterator[WorkerState]:
    """Yield the latest heartbeat of each process that has not expired, safe for a terminal.

    The main process of a worker is yielded only if it waits, or if none of its processes has work.
    """
    states = list(_latest(namespace))
    busy = {state.host for state in states if state.batch_id}
    yield from (state for state in states if state.batch_id or state.note or state.host not in busy)


def _latest(namespace: Namespace) -> Iterator[WorkerState]:
    for key in sorted(namespace.client.scan_iter(match=namespace.key("worker", "*"), count=1000)):
        raw = namespace.client.get(key)
        if raw is None:
            continue  # it has just expired
        try:
            with message_errors("heartbeat"):
                state = json.decode(raw, type=WorkerState)
        except MessageError as error:
            log.warning("ignoring %r: %s", key, error)
            continue
        name, host, note = (shown(text.encode()) for text in (state.name, state.host, state.note))
        yield replace(state, name=name, host=host, note=note)


def _cancel_field(scan_id: int) -> str:
    return f"cancel:{scan_id}"
