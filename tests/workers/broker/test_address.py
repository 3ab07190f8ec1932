"""Addresses of brokers: Celery and scanner's own client get the same server from one URL."""

from __future__ import annotations

from urllib.parse import urlsplit

import kombu
import pytest
import redis

from workers.broker.address import INVALID_REDIS_URL, parse_address
from workers.broker.app import make_app, make_namespace, make_redis

ACCEPTED = [
    "redis://localhost:6379/0",
    "redis://localhost",
    "redis://ann:s%2Fcret@laptop:6380/3?prefix=photos:",
    "redis://[::1]:6379/0",
    "rediss://:s3cret@laptop/0?ssl_cert_reqs=NONE&ssl_check_hostname=False&ssl_ca_certs=/a%40b.pem",
    "unix:///run/redis.sock",
    "unix://ann:s%40cret@/run/my%20redis.sock?db=3&prefix=photos:",
    "redis+socket://:s3cret@/run/redis.sock?virtual_host=4",
    "sentinel://:s3cret@one:26379,two/2?master=photos&prefix=p:",
    "sentinel://:s3cret@one:26379/2;sentinel://:s3cret@two/2?master=photos",
]
REFUSED = [
    ("amqp://laptop", "invalid Redis URL"),
    ("laptop:6379", "invalid Redis URL"),
    ("redis://:hunt/s3cret@laptop/0", "invalid Redis URL"),
    ("redis://:hunt?s3cret@laptop/0", "invalid Redis URL"),
    ("redis://:hunt#s3cret@laptop/0", "invalid Redis URL"),
    ("redis://laptop:s3cret/0", "invalid Redis URL"),
    ("redis://laptop:70000/0", "invalid Redis URL"),
    ("redis://laptop/s3cret", "invalid Redis URL"),
    ("redis://one,two/0", "invalid Redis URL"),
    ("redis://[s3cret/0", "invalid Redis URL"),
    ("rediss://laptop/0?ssl_cert_reqs=s3cret", "invalid ssl_cert_reqs .* expected required"),
    ("rediss://laptop/0?ssl_check_hostname=s3cret", "invalid ssl_check_hostname"),
    ("redis://laptop/0?password=s3cret", "unknown option .* expected one of no_password, prefix"),
    ("redis://laptop/0?credential_provider=s3cret", "unknown option"),
    ("redis://laptop/0?socket_timeout=3", "unknown option"),
    ("redis://laptop/0?prefix=s3cret*", "invalid prefix"),
    ("unix://run/redis.sock", "expected unix:///PATH"),
    ("unix:///run/redis.sock?db=s3cret", "expected unix:///PATH"),
    ("unix:///", "expected unix:///PATH"),
    ("sentinel://laptop/0", "name of the Sentinels' master"),
]


@pytest.mark.parametrize("url", ACCEPTED)
def test_both_see_one_server(url: str) -> None:
    """Host or path, credentials, database and TLS are the same for Celery and for redis-py."""
    app, client = make_app(url, "s1"), make_redis(url)
    ours = client.connection_pool.connection_kwargs
    with app.connection_for_write() as connection:
        kind = connection.transport.Channel
        channel = kind.__new__(kind)  # its constructor connects
        channel.connection = connection.transport
        theirs = channel._connparams()

    for name in ("host", "port", "path", "username", "password", "db"):
        if urlsplit(url).scheme == "sentinel" and name in ("host", "port"):
            continue  # those of the master are asked of a Sentinel
        assert _plain(ours.get(name)) == _plain(theirs.get(name)), name
    client.close()
    app.close()


def _plain(value: object) -> object:
    # Without a port or a database, both take the defaults; kombu names them.
    return {None: "", 6379: "", 0: "", "localhost": "127.0.0.1"}.get(value, str(value).lower())


def test_all_sentinels_are_asked() -> None:
    """Both forms of a URL of Sentinels name the same ones to Celery and to the client."""
    for url in ACCEPTED[-2:]:
        address = parse_address(url)
        connection = kombu.Connection(address.celery_url)

        assert (("one", 26379), ("two", 26379)) == address.sentinels
        assert [
            "sentinel://:s3cret@one:26379/2",
            "sentinel://:s3cret@two/2",
        ] == connection.alt


def test_login_of_sentinels() -> None:
    """Sentinels may have a user of their own, which both Celery and the client get."""
    url = "sentinel://:s3cret@one/0?master=photos&sentinel_user=watcher&sentinel_password=w%25tch"
    login = {"username": "watcher", "password": "w%tch"}
    app = make_app(url, "s1")
    manager = make_redis(url).connection_pool.sentinel_manager  # type: ignore[attr-defined]

    assert login.items() <= app.conf.broker_transport_options["sentinel_kwargs"].items()
    assert login.items() <= manager.sentinels[0].connection_pool.connection_kwargs.items()
    assert "w%tch" not in repr(parse_address(url))
    assert {} == parse_address("sentinel://one/0?master=photos").sentinel_login
    app.close()


@pytest.mark.parametrize(("url", "message"), REFUSED)
def test_refused(url: str, message: str) -> None:
    """What cannot be used is one sentence, which does not show what may be a password."""
    with pytest.raises(ValueError, match=message) as caught:
        make_redis(url)

    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_is_verified_by_default() -> None:
    """With rediss:// alone, Celery verifies the server's certificate as the client does."""
    assert "ssl_cert_reqs=required" in parse_address("rediss://laptop/0").celery_url


def test_prefix_begins_every_key(clean_redis: str) -> None:
    """The prefix of the URL, and the store's, begin the keys of Celery and of scanner."""
    url = f"{clean_redis}?prefix=photos:"
    app, namespace = make_app(url, "s1"), make_namespace(url, "s1")
    app.send_task("scanner.scan_batch", args=[{}], queue="queue")
    namespace.client.set(namespace.key("hub"), "1")
    with redis.Redis.from_url(clean_redis) as client:
        found = sorted(client.scan_iter())
    app.close()
    namespace.client.close()

    assert found
    assert all(name.startswith(b"photos:scanner:s1:") for name in found)
    assert {b"photos:scanner:s1:queue", b"photos:scanner:s1:hub"} <= set(found)
    assert "photos:scanner:s1:queue" == namespace.queue


def test_invalid_is_documented() -> None:
    """The sentence for an invalid URL names every scheme."""
    for scheme in ("redis://", "rediss://", "unix:///", "sentinel://"):
        assert scheme in INVALID_REDIS_URL
