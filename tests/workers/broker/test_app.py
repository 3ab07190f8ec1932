"""The Celery app: its settings take effect, and its queue needs no result backend."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import redis
from celery.app.defaults import NAMESPACES, flatten
from kombu.transport.redis import Channel

from workers.broker.app import SCAN_BATCH, SETTINGS, TRANSPORT, make_app, make_redis

if TYPE_CHECKING:
    from celery import Celery

URL = "redis://:secret@localhost:1/0"


@pytest.fixture
def app() -> Celery:
    """Return an app for a broker that does not exist."""
    return make_app(URL, "s1")


@pytest.mark.parametrize("name", SETTINGS)
def test_celery_knows_the_setting(name: str) -> None:
    """Each setting exists in Celery, which would ignore an unknown one."""
    assert name in dict(flatten(NAMESPACES))


@pytest.mark.parametrize("name", TRANSPORT)
def test_kombu_knows_the_option(name: str) -> None:
    """Each option exists in kombu's Redis transport."""
    assert name in Channel.from_transport_options


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_holds(app: Celery, name: str) -> None:
    """An app has the settings, and the store's prefix before Celery's own keys."""
    expected = SETTINGS[name]
    if name == "broker_transport_options":
        expected = expected | {"global_keyprefix": "scanner:s1:"}

    assert expected == app.conf[name]


def test_nothing_is_acknowledged_early(app: Celery) -> None:
    """The settings that keep the batch of a dead worker are on."""
    conf = app.conf

    assert conf.task_acks_late
    assert 1 == conf.worker_prefetch_multiplier
    assert conf.broker_connection_max_retries is None


def test_no_remote_control(app: Celery) -> None:
    """Remote control is off, and only JSON is accepted."""
    assert not app.conf.worker_enable_remote_control
    assert ["json"] == list(app.conf.accept_content)


def test_time_limit_is_below_visibility_timeout() -> None:
    """A batch that exceeds its time limit is killed before its message is redelivered."""
    assert SETTINGS["task_time_limit"] < TRANSPORT["visibility_timeout"]


def test_current_app_is_unchanged() -> None:
    """A new app does not become Celery's current one."""
    import celery  # noqa: PLC0415 - its attribute, at that moment

    app = make_app(URL, "s1")

    assert app is not celery.current_app._get_current_object()


def test_messages_are_small(clean_redis: str) -> None:
    """A message is compressed JSON."""
    app = make_app(clean_redis, "s1")
    body = {"images": [[n, f"holiday/day-{n // 100}/IMG_{n:05}.jpg", 0] for n in range(500)]}
    app.send_task(SCAN_BATCH, args=[body])
    with redis.Redis.from_url(clean_redis) as client:
        raw = client.lindex("scanner:s1:queue", 0)
        assert 1 == client.llen("scanner:s1:queue")
    app.close()
    message = json.loads(raw)

    assert "application/json" == message["content-type"]
    assert len(raw) < len(json.dumps(body)) / 2


def test_redis_client_has_timeouts() -> None:
    """A silently broken connection is detected: the client has the timeouts of Celery's."""
    client = make_redis(URL)
    options = client.connection_pool.connection_kwargs
    client.close()

    assert (15, 5, True, 10) == (
        options["socket_timeout"],
        options["socket_connect_timeout"],
        options["socket_keepalive"],
        options["health_check_interval"],
    )
