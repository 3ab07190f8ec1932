"""A hub's line and the file that is made of it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from scanner.cli import cli
from scanner.fleet.hub_config import Hub, JoinError, joined_file, parse_line, remember, the_hub
from storage.database.store import Store

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = Hub("redis://:s3cret@laptop:6380/0", "0123abcd")
WHOLE = Hub(
    "rediss://me:s3cret@laptop:6380/3?ssl_cert_reqs=required",
    "0123abcd",
    share="https://laptop:6381",
    token="t0ken+/=",
    cert="-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
)


@pytest.mark.parametrize("hub", [PLAIN, WHOLE], ids=["plain", "whole"])
def test_round_trip(hub: Hub, home: Path) -> None:
    """What a hub prints is what a machine that joins it knows, then and later."""
    assert hub == parse_line(hub.line())
    file = remember(parse_line(hub.line()))
    assert hub == the_hub()
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_a_hub_that_does_not_answer(home: Path) -> None:
    """It takes no other one's place."""
    remember(PLAIN)
    dead = Hub("rediss://:s3cret@127.0.0.1:9/0", "4567", cert=WHOLE.cert)
    done = CliRunner().invoke(cli, ["join", dead.line()])

    assert 4 == done.exit_code
    assert "is not available" in done.stderr
    assert PLAIN == the_hub()
    assert not joined_file().with_name("hub.pem").exists()


def test_half_of_another_fleet(home: Path, tmp_path: Path) -> None:
    """A worker that names a store of its own, but not a broker, would wait for ever."""
    remember(PLAIN)
    database = str(tmp_path / "mine.db")
    Store.open(database).close()
    done = CliRunner().invoke(cli, ["worker", "--store", database])

    assert 2 == done.exit_code
    assert "--store does not belong to it" in " ".join(done.stderr.split())


def test_the_line_is_one_word() -> None:
    """It can be pasted as it is: no blank, no line end."""
    assert 1 == len(WHOLE.line().split())
    assert PLAIN.line().startswith("scanner+redis://:s3cret@laptop:6380/0?")


def test_its_certificate(home: Path) -> None:
    """The broker is trusted by the hub's own certificate."""
    remember(WHOLE)
    url = WHOLE.broker_url()

    assert "ssl_cert_reqs=required" in url
    assert (joined_file().with_name("hub.pem")).read_text() == WHOLE.cert
    assert "hub.pem" in url


@pytest.mark.parametrize(
    "line",
    [
        "",
        "redis://:s3cret@laptop:6380/0?store=0123",
        "scanner+redis://:s3cret@laptop:6380/0",
        "scanner+redis://:s3cret@laptop:port/0?store=0123",
        "scanner+http://:s3cret@laptop/?store=0123",
        "scanner+redis://:s3cret@laptop/0?store=../../etc",
        "scanner+redis://:s3cret@laptop/0?store=0123&cert=%ff",
        "scanner+redis://:s3cret@laptop/0?store=0123&share=nowhere",
        "scanner+redis://:s3cret@laptop/0?store=0123&share=http://[",
    ],
)
def test_no_line(line: str) -> None:
    """What is no hub's line is refused in words that do not repeat it."""
    with pytest.raises(JoinError) as caught:
        parse_line(line)

    assert "s3cret" not in str(caught.value)


def test_none_joined(home: Path) -> None:
    """A machine that has joined nothing knows of no hub."""
    assert the_hub() is None


@pytest.mark.parametrize("content", ["", "[]", '{"broker": 5}', "{", '{"broker": "redis://a"}'])
def test_damaged(home: Path, content: str) -> None:
    """A file that is damaged says to join again."""
    remember(PLAIN).write_text(content)
    with pytest.raises(JoinError, match="join again"):
        the_hub()
