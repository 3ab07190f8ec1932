"""Stop a worker from taking work while it is paused, throttled, or outside its hours.

It finishes its current batches and waits. The worker's main process checks, and starts or stops
consuming from the queue; its children are not involved.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

import redis
from celery import bootsteps

from workers.broker.app import make_namespace
from workers.broker.heartbeat import PAUSED, Heartbeat, control_key
from workers.broker.namespace import QUEUE
from workers.host.autoscale import Autoscaler, Pool, scale_pool
from workers.host.identity import this_host

if TYPE_CHECKING:
    from storage.writes.results import Host
    from workers.broker.namespace import Namespace
    from workers.settings import WorkerSettings
    from workers.working_hours import Hours

log = logging.getLogger(__name__)

CHECK_SECONDS = 2.0


def pause(namespace: Namespace, host: str) -> None:
    """Stop a host, named by its label or id, from taking work."""
    namespace.client.hset(control_key(namespace), _field(host), "1")


def unpause(namespace: Namespace, host: str) -> bool:
    """Let a host take work again. Return whether it was paused."""
    return bool(namespace.client.hdel(control_key(namespace), _field(host)))


class Availability:
    """Determines whether this worker may take work now."""

    def __init__(self, namespace: Namespace, host: Host, hours: Hours | None) -> None:
        self._namespace = namespace
        self._fields = [_field(host.label), _field(host.host_id)]
        self._hours = hours
        self._paused = False

    def unavailable_reason(self) -> str:
        """Return why this worker may not take work; empty if it may.

        While the broker does not respond, a pause stays as it was.
        """
        try:
            self._paused = any(
                self._namespace.client.hmget(control_key(self._namespace), self._fields)
            )
        except redis.RedisError as error:
            log.debug("the broker does not respond: %s", error)
        if self._paused:
            return f"{PAUSED}; resume with `scanner unpause`"
        now = time.localtime()
        if self._hours and not self._hours.includes(now.tm_hour * 60 + now.tm_min):
            return f"waiting for its hours, {self._hours}"
        return ""


def availability_step(settings: WorkerSettings) -> type[bootsteps.StartStopStep]:
    """Return the step of Celery's consumer that applies availability and autoscaling."""
    host = this_host(settings.state_dir, settings.label)
    namespace = make_namespace(settings.broker_url, settings.store_id)
    availability = Availability(namespace, host, settings.hours)
    autoscaler = Autoscaler(settings.concurrency, cool=settings.cool)
    heartbeat = Heartbeat(namespace, f"{settings.label}:{os.getpid()}", settings.label)

    class AvailabilityStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        requires = ("celery.worker.consumer.tasks:Tasks",)
        timer: Any = None

        def start(self, consumer: Any) -> None:  # noqa: ANN401
            # Otherwise Celery would start to consume later, after the first check.
            consumer.task_consumer.consume()
            self.pool = Pool(consumer)
            self.check(consumer)
            self.timer = consumer.timer.call_repeatedly(CHECK_SECONDS, self.check, (consumer,))

        def stop(self, _consumer: Any) -> None:  # noqa: ANN401
            if self.timer is not None:
                self.timer.cancel()

        def check(self, consumer: Any) -> None:  # noqa: ANN401
            note = scale_pool(autoscaler, self.pool, settings.label)
            reason = availability.unavailable_reason() or ("" if autoscaler.allowed else note)
            heartbeat.send(0, 0, reason or note)
            is_consuming = consumer.task_consumer.consuming_from(QUEUE)
            if is_consuming is bool(reason):
                log.warning("%s: %s", settings.label, reason or "taking work again")
                change = consumer.cancel_task_queue if reason else consumer.add_task_queue
                change(QUEUE)

    return AvailabilityStep


def _field(host: str) -> str:
    return f"pause:{host}"
