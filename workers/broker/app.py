"""Celery apps with a queue for each store, and the reasons for settings that are not defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Celery

from workers.broker.address import INVALID_REDIS_URL, parse_address
from workers.broker.namespace import QUEUE, RECORDING, RESULTS, Namespace, key_prefix

if TYPE_CHECKING:
    import redis

SCAN_BATCH = "scanner.scan_batch"
RECORD_BATCH = "scanner.record_batch"

# Well above the slowest batch: one that is redelivered too early is done twice.
VISIBILITY_SECONDS = 2 * 3600
# Ends the process of a batch that hangs in native code, where the worker's own timer cannot run.
TASK_SECONDS = 3600
# A result writer that has not acknowledged a result for this long has died. A result that waits
# longer for the store is written twice, which changes nothing.
RESULT_VISIBILITY_SECONDS = 15

TRANSPORT: dict[str, Any] = {
    "visibility_timeout": VISIBILITY_SECONDS,
    # Look for lost messages every 10 s, not every 100.
    "unacked_restore_throttle": 1,
    # A connection that breaks silently would otherwise hang a worker forever.
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}

SETTINGS: dict[str, Any] = {
    # Unpickling a message could run code.
    "accept_content": ["json"],
    "task_serializer": "json",
    # A batch is mostly paths: they compress to a fifth.
    "task_compression": "gzip",
    "broker_transport_options": TRANSPORT,
    # Wait for a Redis that restarts, however long that takes.
    "broker_connection_max_retries": None,
    "broker_connection_retry_on_startup": True,
    # Acknowledge a batch when its verdicts are stored, not when it is received.
    "task_acks_late": True,
    # Acknowledge that of a child that was killed, too (`workers.batch.lost_process`): requeued at
    # once, it would find the dead child's lease, or kill the next child (330 times in 40 s).
    "task_reject_on_worker_lost": False,
    # A lost connection does not cancel running batches: the store knows what was done.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "task_time_limit": TASK_SECONDS,
    # One batch per process and none prefetched: a slow machine holds no work back.
    "worker_prefetch_multiplier": 1,
    # The results are in the store.
    "result_backend": None,
    "task_ignore_result": True,
    # Anyone who can write to the broker could otherwise stop or query workers.
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    # Logging is configured by `scanner.processes.logs`, not by Celery.
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
}


def make_app(broker_url: str, store_id: str, machine_id: str = "") -> Celery:
    """Return a Celery app for the queue of a store; it connects when it is first used.

    A machine that joined a hub has keys of its own for the batches that it holds, so that the hub
    can keep those of others from it.
    """
    address = parse_address(broker_url)
    app = Celery("scanner", broker=address.celery_url, set_as_current=False)
    transport = TRANSPORT | {"global_keyprefix": key_prefix(store_id, address.prefix)}
    if machine_id:
        held = f"unacked:{machine_id}"
        transport |= {
            "unacked_key": held,
            "unacked_index_key": f"{held}:index",
            "unacked_mutex_key": f"{held}:mutex",
        }
    if address.master is not None:
        transport["master_name"] = address.master
        transport["sentinel_kwargs"] = _redis_options() | dict(address.sentinel_login)
    app.conf.update(SETTINGS, broker_transport_options=transport, task_default_queue=QUEUE)
    return app


def make_result_writer_app(broker_url: str, store_id: str) -> Celery:
    """Return a Celery app for the queue of a store's results.

    Unacknowledged results have keys of their own, since they are redelivered sooner than batches.
    """
    app = make_app(broker_url, store_id)
    app.conf.update(
        task_default_queue=RESULTS,
        broker_transport_options=app.conf.broker_transport_options
        | {
            "visibility_timeout": RESULT_VISIBILITY_SECONDS,
            "unacked_key": RECORDING,
            "unacked_index_key": f"{RECORDING}:index",
            "unacked_mutex_key": f"{RECORDING}:mutex",
        },
    )
    return app


def make_namespace(broker_url: str, store_id: str, answer_s: float | None = None) -> Namespace:
    """Return a store's keys at a broker. Arguments and errors are those of make_redis."""
    return Namespace(make_redis(broker_url, answer_s), store_id, parse_address(broker_url).prefix)


def make_redis(broker_url: str, answer_s: float | None = None) -> redis.Redis:
    """Return a Redis client for leases and controls, with the same timeouts as Celery's.

    With `answer_s` it waits for no longer, and tries once. It connects when it is first used.
    Raises ValueError with one sentence that does not quote the URL: it may contain a password.
    """
    import redis  # noqa: PLC0415 - not needed by processes that only publish
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415
    from redis.sentinel import Sentinel  # noqa: PLC0415

    address = parse_address(broker_url)
    options = _redis_options()
    if answer_s is not None:
        options |= {"socket_timeout": answer_s, "socket_connect_timeout": answer_s}
        options["retry"] = Retry(NoBackoff(), 0)
    # Unix sockets have no keepalive.
    if address.hosts:
        options["socket_keepalive"] = True
    try:
        client = redis.Redis.from_url(address.redis_url, **options)
        pool = client.connection_pool
        # An invalid option is only detected when a connection is made.
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, redis.RedisError):
        # Without the original error, which quotes parts of the URL.
        raise ValueError(INVALID_REDIS_URL) from None
    if address.master is None:
        return client
    login = {name: pool.connection_kwargs.get(name) for name in ("username", "password", "db")}
    sentinel: Any = Sentinel  # it has no types
    of_sentinels = options | dict(address.sentinel_login)
    master: redis.Redis = sentinel(
        address.sentinels, sentinel_kwargs=of_sentinels, **options
    ).master_for(address.master, **login, **options)
    return master


def _redis_options() -> dict[str, Any]:
    """Return the options of clients, without keepalive, which Unix sockets lack."""
    names = ("socket_timeout", "socket_connect_timeout", "health_check_interval")
    return {name: TRANSPORT[name] for name in names}
