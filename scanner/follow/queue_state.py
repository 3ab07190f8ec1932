"""What the broker knows of a fleet just now; the store has everything that lasts."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from workers.broker.app import make_redis
from workers.broker.heartbeat import WorkerState, worker_states
from workers.broker.namespace import Namespace


@dataclass(frozen=True, slots=True)
class QueueState:
    """Batches that wait, and the processes that gave a sign of life lately."""

    waiting: int
    workers: tuple[WorkerState, ...]


def queue_state(broker_url: str, store_id: str) -> QueueState | None:
    """The state of the queue, or None where the broker does not answer."""
    try:
        client = make_redis(broker_url)
    except ValueError:
        return None  # no address at all
    try:
        namespace = Namespace(client, store_id)
        return QueueState(int(client.llen(namespace.queue)), tuple(worker_states(namespace)))
    except redis.RedisError:
        return None
    finally:
        client.close()


def waits_for(namespace: Namespace) -> str:
    """What some worker waits for, as it says itself; empty while all work."""
    try:
        return next((state.note for state in worker_states(namespace) if state.note), "")
    except redis.RedisError:
        return ""
