"""What is shown of a broker's URL."""

from __future__ import annotations

import pytest

from scanner.fleet.broker import HIDDEN, without_password


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
