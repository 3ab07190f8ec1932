"""Options that several commands share: what of URLs is shown, and which numbers are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from scanner.cli import cli
from scanner.options.common import HIDDEN, FiniteRange, without_password

if TYPE_CHECKING:
    from pathlib import Path


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
    """Scheme, host, port and path are shown, or nothing where they are in doubt."""
    assert expected == without_password(url)


@pytest.mark.parametrize("given", ["nan", "inf", "-1", "much"])
def test_numbers_that_nobody_can_count_with(given: str) -> None:
    """NaN is between no two numbers, and no number of seconds is infinite."""
    with pytest.raises(click.BadParameter):
        FiniteRange(0.1).convert(given, None, None)

    assert 0.5 == FiniteRange(0.1).convert("0.5", None, None)


@pytest.mark.parametrize("order", [["--json", "--json-lines"], ["--json-lines", "--json"]])
def test_one_form(home: Path, order: list[str]) -> None:
    """Of two forms of the same output one is named."""
    done = CliRunner().invoke(cli, ["status", *order])

    assert 2 == done.exit_code
    assert "name one" in done.stderr
