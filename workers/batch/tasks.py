"""Celery tasks: run the batch that a message names and tell the queue how it ended.

Thin on purpose: all that a task does can be called without Celery.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from celery.exceptions import Reject
from celery.signals import worker_shutting_down

from storage.errors import StoreError
from workers.batch.context import WorkerContext
from workers.batch.retry import WORLD, GiveBack
from workers.batch.runner import BatchRunner
from workers.batch.stopping import StopFlag
from workers.broker.app import SCAN_BATCH, make_app
from workers.broker.batch_message import NewerMessage, decode_batch
from workers.broker.consumer import guard_this_process
from workers.broker.field_types import MessageError
from workers.host.availability import pause_step
from workers.log_context import log_batch

if TYPE_CHECKING:
    from celery import Celery, Task

    from workers.settings import WorkerSettings

log = logging.getLogger(__name__)

# Seconds before a batch that could not be done here goes back, so that it does not spin.
GIVE_BACK_PAUSE_SECONDS = 2.0
# How often, and after how many seconds, a batch whose process was killed is tried again by Celery;
# the keeper takes it from there.
LOST_RETRIES = 2
LOST_RETRY_SECONDS = 1


class WorkerContexts:
    """The station of this process, made after the fork when the first batch comes."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.stop = StopFlag()
        self._station: WorkerContext | None = None
        self._pid = 0

    def mine(self) -> WorkerContext:
        """The station of the process that asks."""
        if self._station is None or self._pid != os.getpid():
            name = f"{self._settings.label}:{os.getpid()}"
            self._station = WorkerContext(self._settings, name, self.stop)
            self._pid = os.getpid()
        return self._station


def make_worker_app(settings: WorkerSettings) -> Celery:
    """A Celery app whose worker does batches."""
    app = make_app(settings.broker_url, settings.store_id)
    # Whoever can write to the broker could otherwise end every worker with one message.
    app.conf.worker_consumer = "workers.broker.consumer:GuardedConsumer"
    app.steps["consumer"].add(pause_step(settings))
    guard_this_process()
    contexts = WorkerContexts(settings)

    @app.task(
        name=SCAN_BATCH,
        bind=True,
        # Of this app alone: Celery would give it to every other app of the process too.
        shared=False,
        max_retries=LOST_RETRIES,
        default_retry_delay=LOST_RETRY_SECONDS,
    )
    def scan_batch(_task: Task, message: object) -> None:
        do_batch(contexts, message)

    leave_only(app, SCAN_BATCH)

    # Weak references would let the closure go at once.
    @worker_shutting_down.connect(weak=False)
    def stop_between_images(**_: object) -> None:
        contexts.stop.set()

    return app


def leave_only(app: Celery, task: str) -> None:
    """Unregister Celery's own tasks, which could make a worker send anything to anyone."""
    app.finalize()
    for name in set(app.tasks) - {task}:
        app.tasks.unregister(name)


def do_batch(contexts: WorkerContexts, raw: object) -> None:
    """Do one batch; Reject puts its message back on the queue, returning acknowledges it."""
    try:
        message = decode_batch(raw)
    except NewerMessage as error:
        # One old machine must not eat what is for the others.
        raise _back_to_the_queue(contexts, error) from error
    except MessageError as error:
        # Acknowledged: nobody else could do more with it.
        log.error("a message was dropped: %s", error)  # noqa: TRY400 - the sentence says it
        return
    try:
        BatchRunner(contexts.mine(), message).run()
    except (GiveBack, StoreError, OSError, *WORLD) as error:
        with log_batch(message.scan_id, message.batch_id):
            raise _back_to_the_queue(contexts, error) from error


def _back_to_the_queue(contexts: WorkerContexts, error: Exception) -> Reject:
    log.warning("the batch goes back to the queue: %s", error)
    if not contexts.stop.is_set():
        time.sleep(GIVE_BACK_PAUSE_SECONDS)
    return Reject(str(error), requeue=True)
