"""The Celery task that runs a batch and tells the queue how it ended.

Everything that the task does can be called without Celery.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import TYPE_CHECKING

import redis
from celery.exceptions import Reject
from celery.signals import worker_process_init, worker_shutting_down

from storage.errors import StoreError
from workers.batch.context import WorkerContext, process_name
from workers.batch.lost_process import batch_request
from workers.batch.retry import TRANSIENT_ERRORS, BatchGivenUp, RequeueBatch, SaidReasons
from workers.batch.runner import BatchRunner
from workers.batch.stopping import StopFlag
from workers.broker.app import SCAN_BATCH, make_app, make_namespace
from workers.broker.batch_message import NewerMessage, decode_batch
from workers.broker.consumer import guard_this_process
from workers.broker.dead_letters import bury, dead_letter
from workers.broker.field_types import MessageError
from workers.host.availability import availability_step
from workers.log_context import log_batch

if TYPE_CHECKING:
    from celery import Celery, Task

    from workers.settings import WorkerSettings

log = logging.getLogger(__name__)

# Before a batch is requeued, so that it does not come straight back.
REQUEUE_DELAY_SECONDS = 2.0


class WorkerContexts:
    """The worker context of each process, created when its first batch arrives, after the fork."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.stop = StopFlag()
        self.said = SaidReasons()
        self._context: WorkerContext | None = None
        self._pid = 0

    def current(self) -> WorkerContext:
        """Return the context of the calling process."""
        if self._context is None or self._pid != os.getpid():
            name = process_name(self._settings, os.getpid())
            self._context = WorkerContext(self._settings, name, self.stop, self.said)
            self._pid = os.getpid()
        return self._context


def make_worker_app(settings: WorkerSettings) -> Celery:
    """Return a Celery app whose worker runs batches."""
    app = make_app(settings.broker_url, settings.store_id, settings.machine_id)
    # For the consumer's dead letters.
    app.letters = make_namespace(settings.broker_url, settings.store_id)
    # Otherwise anyone who can write to the broker could end all workers with one message.
    app.conf.worker_consumer = "workers.broker.consumer:GuardedConsumer"
    app.steps["consumer"].add(availability_step(settings))
    guard_this_process(app.letters, "batch")
    contexts = WorkerContexts(settings)

    @app.task(
        name=SCAN_BATCH,
        bind=True,
        # Otherwise Celery would register it with every app of the process.
        shared=False,
        Request=batch_request(settings),
    )
    def scan_batch(_task: Task, message: object) -> None:
        run_batch(contexts, message)

    unregister_other_tasks(app, SCAN_BATCH)

    # A SIGTERM to the worker's whole process group, as by `timeout`, is for the main process alone,
    # which lets its children finish their images.
    @worker_process_init.connect(weak=False)
    def leave_group(**_: object) -> None:
        # Only there does the kernel end them with it.
        if sys.platform.startswith("linux"):
            os.setpgid(0, 0)

    # Without `weak=False` the closure would be garbage-collected at once.
    @worker_shutting_down.connect(weak=False)
    def stop_between_images(**_: object) -> None:
        contexts.stop.set()

    return app


def unregister_other_tasks(app: Celery, task: str) -> None:
    """Unregister Celery's own tasks, which could make a worker send anything to anyone."""
    app.finalize()
    for name in set(app.tasks) - {task}:
        app.tasks.unregister(name)


def run_batch(contexts: WorkerContexts, raw: object) -> None:
    """Run the batch of a message. Raises Reject to requeue it; otherwise it is acknowledged."""
    message = None
    try:
        context = contexts.current()
        message = decode_batch(raw, context.namespace.store_id, context.sink.batch_key)
        BatchRunner(context, message).run()
    except MessageError as error:
        # No other worker could do more with it.
        bury(context.namespace, dead_letter("batch", str(error), context.name, raw))
    except BatchGivenUp as error:
        ids = (message.scan_id, message.batch_id) if message is not None else (0, 0)
        bury(context.namespace, dead_letter("batch", str(error), context.name, raw, ids))
    except NewerMessage as error:
        # Another machine may understand it.
        if not _is_over(context, error.needs):
            with log_batch(*error.batch):
                raise _requeued(contexts, error) from error
        bury(context.namespace, dead_letter("batch", str(error), context.name, raw, error.batch))
    except (RequeueBatch, StoreError, OSError, *TRANSIENT_ERRORS) as error:
        # Another machine may have what is missing here.
        ids = (message.scan_id, message.batch_id) if message is not None else (0, 0)
        with log_batch(*ids):
            raise _requeued(contexts, error) from error


def _is_over(context: WorkerContext, needs: str) -> bool:
    """Return whether no machine has had for too long what messages need."""
    try:
        return context.missing.is_over(needs)
    except redis.RedisError:
        return False


def _requeued(contexts: WorkerContexts, error: Exception) -> Reject:
    is_stopping = contexts.stop.is_set()
    # It comes back in two seconds, for as long as this machine lacks what another may have.
    level = logging.WARNING if contexts.said.is_new(str(error)) or is_stopping else logging.INFO
    log.log(level, "batch returned to the queue: %s", error)
    if not is_stopping:
        time.sleep(REQUEUE_DELAY_SECONDS)
    return Reject(str(error), requeue=True)
