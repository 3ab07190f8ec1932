"""The Celery app: a queue for each store on Redis, and why settings are not Celery's defaults."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from celery import Celery

from workers.broker.namespace import queue_name, recording_key, results_queue

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    import redis

SCAN_BATCH = "scanner.scan_batch"
RECORD_BATCH = "scanner.record_batch"

# Well above the slowest batch: what it brings back early is done twice.
VISIBILITY_SECONDS = 2 * 3600
# A batch that hangs in native code, where the worker's own watch cannot run, ends with its process.
TASK_SECONDS = 3600
# What a recorder took and did not acknowledge goes back after so long: it had died. A result that
# waits longer for the store is written twice, which changes nothing.
RECORDING_SECONDS = 15

NO_REDIS_URL = (
    "this is no Redis URL: redis://[:PASSWORD@]HOST[:PORT][/NUMBER], with / ? # and @ in the "
    "password written as %2F %3F %23 and %40"
)

TRANSPORT: dict[str, Any] = {
    "visibility_timeout": VISIBILITY_SECONDS,
    # Look for lost messages every 10 s, not every 100.
    "unacked_restore_throttle": 1,
    # A connection that dies silently would otherwise hang a worker for ever.
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}

SETTINGS: dict[str, Any] = {
    # Nothing that can run code comes off the queue.
    "accept_content": ["json"],
    "task_serializer": "json",
    # A batch is mostly paths: they shrink to a fifth.
    "task_compression": "gzip",
    "broker_transport_options": TRANSPORT,
    # A Redis that restarts is waited for, however long.
    "broker_connection_max_retries": None,
    "broker_connection_retry_on_startup": True,
    # Acknowledge what is in the store, not what was taken.
    "task_acks_late": True,
    # A child that was killed gives its batch back; without the second setting it would do so for
    # ever (a batch that kills again and again was run 330 times in 40 s).
    "task_reject_on_worker_lost": True,
    "task_retry_on_worker_lost": True,
    # A lost connection does not cancel what is at work: the store knows what was done.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "task_time_limit": TASK_SECONDS,
    # One batch per process and none in the drawer: a slow machine holds no work back.
    "worker_prefetch_multiplier": 1,
    # The store has the results.
    "result_backend": None,
    "task_ignore_result": True,
    # Anyone who can write to the broker could otherwise stop or question workers.
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    # Our logging, not Celery's.
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
}


def make_app(broker_url: str, store_id: str) -> Celery:
    """A Celery app for the queue of a store; it connects when it is first used."""
    app = Celery("scanner", broker=broker_url, set_as_current=False)
    app.conf.update(SETTINGS, task_default_queue=queue_name(store_id))
    return app


def make_result_writer_app(broker_url: str, store_id: str) -> Celery:
    """A Celery app for the queue of a store's results.

    What it has taken is kept apart from what workers have: its time to come back is another.
    """
    app = make_app(broker_url, store_id)
    recording = recording_key(store_id)
    app.conf.update(
        task_default_queue=results_queue(store_id),
        broker_transport_options=TRANSPORT
        | {
            "visibility_timeout": RECORDING_SECONDS,
            "unacked_key": recording,
            "unacked_index_key": f"{recording}:index",
            "unacked_mutex_key": f"{recording}:mutex",
        },
    )
    return app


def make_redis(broker_url: str) -> redis.Redis:
    """A Redis client beside Celery's, for leases and controls, with the same patience.

    Nothing is connected yet. Raises ValueError with NO_REDIS_URL for what is no Redis URL; what
    was given, and may hold a password, is not in it.
    """
    import redis  # noqa: PLC0415 - for those who only publish it is Celery's to import

    options = {
        name: TRANSPORT[name]
        for name in ("socket_timeout", "socket_connect_timeout", "health_check_interval")
    }
    # A Unix socket has no such thing.
    if not broker_url.startswith("unix:"):
        options["socket_keepalive"] = True
    try:
        _require_plain(urlsplit(broker_url))
        client = redis.Redis.from_url(broker_url, **options)
        pool = client.connection_pool
        # An option that is none comes to light only where a connection is made.
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError):
        # Without the parser's words: they quote parts of the URL.
        raise ValueError(NO_REDIS_URL) from None
    return client


def _require_plain(url: SplitResult) -> None:
    """Raise ValueError where Celery and Redis could each read another server into a URL."""
    if url.netloc and "@" in url.path + url.query + url.fragment:
        raise ValueError("a password with / ? or # in it is not escaped")
    if url.scheme != "unix" and not re.fullmatch(r"/?[0-9]*", url.path):
        raise ValueError("a database is a number")
