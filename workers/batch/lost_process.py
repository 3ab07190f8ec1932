"""Give up the batch of a pool's child that was killed, so that others have it within seconds.

Its main process does, which learns of the death at once. Without it the batch would be lost until
its lease expires. The rescuer publishes it again, to be run cautiously.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import redis
from celery.exceptions import Reject
from celery.worker.request import Request

from workers.batch.context import process_name
from workers.broker import leases
from workers.broker.app import make_namespace
from workers.broker.batch_message import part_of
from workers.broker.field_types import MessageError

if TYPE_CHECKING:
    from workers.broker.namespace import Namespace
    from workers.settings import WorkerSettings

log = logging.getLogger(__name__)


def batch_request(settings: WorkerSettings) -> type[Request]:
    """Return Celery's request, as its main process sees a task, that gives up a lost batch."""
    namespace = make_namespace(settings.broker_url, settings.store_id)

    class BatchRequest(Request):  # type: ignore[misc]  # Celery has no types
        def on_failure(self, exc_info: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's
            """Handle an exception in the child, or the child's death."""
            if not isinstance(exc_info.exception, Reject):
                abandon_batch(namespace, self.args, process_name(settings, self.worker_pid))
            super().on_failure(exc_info, *arguments, **options)

    return BatchRequest


def abandon_batch(namespace: Namespace, arguments: list[object], holder: str) -> None:
    """Give up the batch of a message for a process that cannot do it itself any more."""
    try:
        leases.abandon(namespace, part_of(arguments[0]), holder)
    except MessageError:
        return  # the child dropped it, before it died of something else
    except redis.RedisError as error:
        log.warning("the lease of a lost process will expire: %s", error)
