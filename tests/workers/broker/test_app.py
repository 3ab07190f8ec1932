"""The Celery app: settings that are heard, and a queue that needs no result store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import redis
from celery.app.defaults import NAMESPACES, flatten
from kombu.transport.redis import Channel

from workers.broker.app import SCAN_BATCH, SETTINGS, TRANSPORT, make_app, make_redis
from workers.broker.namespace import queue_name

if TYPE_CHECKING:
    from celery import Celery

URL = "redis://:secret@localhost:1/0"


@pytest.fixture
def app() -> Celery:
    """Return an app for a broker that does not exist."""
    return make_app(URL, "s1")


@pytest.mark.parametrize("name", SETTINGS)
def test_celery_knows_the_setting(name: str) -> None:
    """Celery passes over a name that it does not know: each has to be one that it knows."""
    assert name in dict(flatten(NAMESPACES))


@pytest.mark.parametrize("name", TRANSPORT)
def test_kombu_knows_the_option(name: str) -> None:
    """The same for the options of the Redis transport."""
    assert name in Channel.from_transport_options


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_holds(app: Celery, name: str) -> None:
    """An app has the settings, not only the module."""
    assert SETTINGS[name] == app.conf[name]


def test_nothing_is_acknowledged_early(app: Celery) -> None:
    """What keeps a batch alive when its worker dies is on."""
    conf = app.conf
    on = (conf.task_acks_late, conf.task_reject_on_worker_lost, conf.task_retry_on_worker_lost)

    assert (True, True, True) == on
    assert 1 == conf.worker_prefetch_multiplier
    assert conf.broker_connection_max_retries is None


def test_nobody_steers_a_worker(app: Celery) -> None:
    """There is no remote control, and nothing but JSON is taken."""
    assert not app.conf.worker_enable_remote_control
    assert ["json"] == list(app.conf.accept_content)


def test_times_fit() -> None:
    """A batch that is killed for its time is so before its message counts as lost."""
    assert SETTINGS["task_time_limit"] < TRANSPORT["visibility_timeout"]


def test_one_app_does_not_become_everyones() -> None:
    """Making an app leaves Celery's current one alone."""
    import celery  # noqa: PLC0415 - its attribute, at that moment

    app = make_app(URL, "s1")

    assert app is not celery.current_app._get_current_object()


def test_messages_are_small(clean_redis: str) -> None:
    """A message waits in our queue, compressed, as JSON."""
    app = make_app(clean_redis, "s1")
    body = {"images": [[n, f"holiday/day-{n // 100}/IMG_{n:05}.jpg", 0] for n in range(500)]}
    app.send_task(SCAN_BATCH, args=[body])
    with redis.Redis.from_url(clean_redis) as client:
        raw = client.lindex(queue_name("s1"), 0)
        assert 1 == client.llen(queue_name("s1"))
    app.close()
    message = json.loads(raw)

    assert "application/json" == message["content-type"]
    assert len(raw) < len(json.dumps(body)) / 2


def test_redis_client_gives_up() -> None:
    """A connection that dies silently is found out: the client beside Celery's waits as it does."""
    client = make_redis(URL)
    options = client.connection_pool.connection_kwargs
    client.close()

    assert (15, 5, True, 10) == (
        options["socket_timeout"],
        options["socket_connect_timeout"],
        options["socket_keepalive"],
        options["health_check_interval"],
    )
