"""What is shown of a broker's URL."""

from __future__ import annotations

import pytest

from scanner.fleet.broker import (
    HIDDEN,
    InvalidBroker,
    lacks_password,
    open_broker,
    warn_of_eviction,
    without_password,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:s3cret@laptop:6379/0", "redis://…@laptop:6379/0"),
        ("redis://:hun@s3cret@laptop/0", "redis://…@laptop/0"),
        ("redis://laptop/0?password=s3cret", "redis://laptop/0"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("unix:///run/redis.sock?password=s3cret", "unix:///run/redis.sock"),
        ("postgresql://ann:s3cret@laptop/photos", "postgresql://…@laptop/photos"),
        ("sqlite:////home/ann@work/store.db", "sqlite:////home/ann@work/store.db"),
        # Parts of these passwords stand where a host, a port or a path is expected.
        ("redis://:hun@s3cret@localhost:notaport/0", HIDDEN),
        ("redis://:hunt/s3cret@laptop/0", HIDDEN),
        ("redis://:12/s3cret@laptop/0", HIDDEN),
        ("redis://:12?s3cret@laptop/0", HIDDEN),
        ("redis://:12#s3cret@laptop/0", HIDDEN),
        ("redis://[s3cret/0", HIDDEN),
    ],
)
def test_no_password_is_shown(url: str, expected: str) -> None:
    """Scheme, host, port and path are shown; of an ambiguous URL nothing is."""
    assert expected == without_password(url)


def test_broker_without_a_password(open_redis: str, caplog: pytest.LogCaptureFixture) -> None:
    """On this machine a broker without a password is used, and said to have none, each time."""
    for _ in range(2):
        with open_broker(open_redis, "s1") as broker:
            assert broker.namespace.client.ping()

    assert 2 == caplog.text.count("has no password: everyone who reaches it can send work")


def test_broker_that_evicts(open_redis: str, caplog: pytest.LogCaptureFixture) -> None:
    """A broker that drops keys once its memory is full is said to, where something is put on it."""
    with open_broker(open_redis, "s1") as broker:
        warn_of_eviction(broker)
        client = broker.namespace.client
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "volatile-ttl")
        warn_of_eviction(broker)

    assert 1 == caplog.text.count("when its memory is full (maxmemory-policy volatile-ttl)")


@pytest.mark.parametrize(
    "url",
    [
        "redis://10.255.255.1/0",
        "redis://ann@laptop/0",
        "rediss://laptop/0",
        "sentinel://127.0.0.1,laptop/0?master=photos",
    ],
)
def test_broker_without_a_password_beyond_this_machine(url: str) -> None:
    """On the network a broker without a password is refused before it is connected to."""
    with pytest.raises(InvalidBroker, match="has no password"), open_broker(url, "s1"):
        pass


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://laptop/0?no_password=allowed", True),
        ("redis://localhost/0", True),
        ("redis://[::1]/0", True),
        ("redis://:s3cret@laptop/0", False),
        ("rediss://laptop/0?ssl_certfile=/a.pem", False),
        ("unix:///run/redis.sock", False),
    ],
)
def test_what_counts_as_a_password(url: str, expected: bool) -> None:  # noqa: FBT001
    """A client's certificate is one, a socket needs none, and a URL may allow to have none."""
    assert expected == lacks_password(url)
