"""When a worker takes no more work: `scanner pause`, outside its hours, or too warm.

It finishes the batches at work and waits. The worker's main process looks, and stops or starts
consuming from the queue; what its children do is nobody else's concern.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

import redis
from celery import bootsteps

from workers.broker.app import make_redis
from workers.broker.heartbeat import Heartbeat, control_key
from workers.broker.namespace import Namespace, queue_name, second_stage_queue
from workers.host.autoscale import Autoscaler, Pool, ease
from workers.host.identity import this_host

if TYPE_CHECKING:
    from storage.writes.results import Host
    from workers.hours import Hours
    from workers.settings import WorkerSettings

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0


def pause(namespace: Namespace, host: str) -> None:
    """Have a host, by its label or its id, take no more work."""
    namespace.client.hset(control_key(namespace), _field(host), "1")


def unpause(namespace: Namespace, host: str) -> bool:
    """Have it take work again; whether it was paused."""
    return bool(namespace.client.hdel(control_key(namespace), _field(host)))


class Gate:
    """Whether this worker may take work now, and why not."""

    def __init__(self, namespace: Namespace, host: Host, hours: Hours | None) -> None:
        self._namespace = namespace
        self._fields = [_field(host.label), _field(host.host_id)]
        self._hours = hours
        self._paused = False

    def closed(self) -> str:
        """Why no work may be taken; empty where it may. What cannot be asked is as it was."""
        try:
            self._paused = any(
                self._namespace.client.hmget(control_key(self._namespace), self._fields)
            )
        except redis.RedisError as error:
            log.debug("no word from the broker: %s", error)
        if self._paused:
            return "paused; `scanner unpause` has it go on"
        now = time.localtime()
        if self._hours and not self._hours.includes(now.tm_hour * 60 + now.tm_min):
            return f"waits for its hours, {self._hours}"
        return ""


def pause_step(settings: WorkerSettings) -> type[bootsteps.StartStopStep]:
    """The part of Celery's consumer that keeps to the gate and eases off, for one worker."""
    host = this_host(settings.state_dir, settings.label)
    namespace = Namespace(make_redis(settings.broker_url), settings.store_id)
    gate = Gate(namespace, host, settings.hours)
    easing = Autoscaler(settings.concurrency, cool=settings.cool)
    heartbeat = Heartbeat(namespace, f"{settings.label}:{os.getpid()}", settings.label)
    queues = queues_of(settings)

    class PauseStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        requires = ("celery.worker.consumer.tasks:Tasks",)
        timer: Any = None

        def start(self, consumer: Any) -> None:  # noqa: ANN401
            # Celery would begin to consume later on, when nobody looks.
            consumer.task_consumer.consume()
            self.pool = Pool(consumer)
            self.look(consumer)
            self.timer = consumer.timer.call_repeatedly(LOOK_SECONDS, self.look, (consumer,))

        def stop(self, _consumer: Any) -> None:  # noqa: ANN401
            if self.timer is not None:
                self.timer.cancel()

        def look(self, consumer: Any) -> None:  # noqa: ANN401
            eased = ease(easing, self.pool, settings.label)
            why = gate.closed() or ("" if easing.allowed else eased)
            if why or eased:
                heartbeat.send(0, 0, why or eased)
            if settings.strong is not None and not why:
                heartbeat.announce_detector(settings.strong)
            taking = consumer.task_consumer.consuming_from(namespace.queue)
            if taking is bool(why):
                log.warning("%s %s", settings.label, why or "takes work again")
                change = consumer.cancel_task_queue if why else consumer.add_task_queue
                for queue in queues:
                    change(queue)

    return PauseStep


def queues_of(settings: WorkerSettings) -> list[str]:
    """The queues that a worker takes batches from."""
    queue = queue_name(settings.store_id)
    return (
        [queue] if settings.strong is None else [queue, second_stage_queue(queue, settings.strong)]
    )


def _field(host: str) -> str:
    return f"pause:{host}"
