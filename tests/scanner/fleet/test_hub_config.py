"""The join line of a hub, and the file with its configuration."""

from __future__ import annotations

import base64
import stat
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from scanner.cli import cli
from scanner.config import default_store, state_dir
from scanner.fleet.hub_config import (
    HubConfig,
    JoinError,
    hub_file,
    load_hub,
    parse_join_line,
    save_hub,
)
from scanner.fleet.joining import ensure_machine_key
from storage.database.store import Store
from storage.records import Plan
from storage.writes import scans
from workers.host.identity import this_host

KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
PLAIN = HubConfig("redis://:s3cret@laptop:6380/0", "0123abcd", KEY, join="j0in")
WHOLE = HubConfig(
    "rediss://me:s3cret@laptop:6380/3?ssl_cert_reqs=required",
    "0123abcd",
    KEY,
    join="j0in-_",
    share="https://laptop:6381",
    cert="-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
)


@pytest.mark.parametrize("hub", [PLAIN, WHOLE], ids=["plain", "whole"])
def test_round_trip(hub: HubConfig, home: Path) -> None:
    """A hub is the same after printing and parsing its line, and after saving it."""
    assert hub == parse_join_line(hub.join_line())
    file = save_hub(parse_join_line(hub.join_line()))
    assert hub == load_hub()
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_hub_that_does_not_answer(home: Path) -> None:
    """A hub that does not answer is not saved, and the message says where to look."""
    save_hub(PLAIN)
    away = HubConfig("rediss://:s3cret@127.0.0.1:9/0", "4567", KEY, join="j", cert=WHOLE.cert)
    result = CliRunner().invoke(cli, ["join", away.join_line()])

    assert 4 == result.exit_code
    assert "is not available" in result.stderr
    assert "Is `scanner hub` running there" in result.stderr
    assert "--broker" not in result.stderr
    assert PLAIN == load_hub()
    assert not hub_file().with_name("hub.pem").exists()


def test_worker_that_has_not_joined(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker without hub and broker is told to join; one whose hub is away, where to look."""
    monkeypatch.setattr("scanner.fleet.worker.DEFAULT_BROKER", "redis://127.0.0.1:9/0")
    monkeypatch.setenv("SCANNER_BROKER_URL", "redis://127.0.0.1:9/0")
    alone = CliRunner().invoke(cli, ["worker"])
    ensure_machine_key(state_dir())
    machine_id = this_host(state_dir(), "pi").host_id
    save_hub(HubConfig("redis://:s3cret@127.0.0.1:9/0", "4567", KEY, machine=machine_id))
    monkeypatch.delenv("SCANNER_BROKER_URL")
    away = CliRunner().invoke(cli, ["worker"])

    assert (4, 4) == (alone.exit_code, away.exit_code)
    assert alone.stderr.startswith("Error: This machine has not joined a hub: run the line")
    assert not Path(default_store()).exists()
    assert "This machine has joined the hub there: is `scanner hub` running?" in away.stderr
    assert "works with" not in alone.stderr + away.stderr


def test_store_on_the_hub(home: Path) -> None:
    """A machine that has joined a hub has no store of its own, and says where it is."""
    save_hub(PLAIN)
    for command in ("status", "report", "verdicts", "scans"):
        result = CliRunner().invoke(cli, [command])

        assert 1 == result.exit_code
        assert "the store is on the hub that this machine has joined" in result.stderr


def test_own_store_beside_a_hub(home: Path, tmp_path: Path) -> None:
    """A store of this machine's own does not pass for the hub's, whose queue is not for it."""
    save_hub(PLAIN)
    with closing(Store.open(default_store())) as store:
        empty = CliRunner().invoke(cli, ["report"])
        collection = scans.ensure_collection(store, "photos", b"/photos")
        scans.new_scan(store, collection, scans.ensure_plan(store, Plan(())), "fleet")
    own = CliRunner().invoke(cli, ["scans"])

    assert 1 == empty.exit_code
    assert "the store is on the hub that this machine has joined" in empty.stderr
    assert 0 == own.exit_code
    assert "the hub that it has joined has another" in own.stderr
    for words in (["pause", "attic"], ["enqueue", str(tmp_path)]):
        refused = CliRunner().invoke(cli, words)

        assert 2 == refused.exit_code
        assert "the hub that this machine has joined has a store of its own" in refused.stderr


def test_store_without_its_broker(home: Path, tmp_path: Path) -> None:
    """A worker with another store needs a broker, too: the hub's has no queue for it."""
    save_hub(PLAIN)
    database = str(tmp_path / "mine.db")
    Store.open(database).close()
    result = CliRunner().invoke(cli, ["worker", "--store", database])

    assert 2 == result.exit_code
    assert "--store does not belong to it" in " ".join(result.stderr.split())


def test_join_line_is_one_word() -> None:
    """A join line contains no spaces and no line breaks."""
    assert 1 == len(WHOLE.join_line().split())
    assert PLAIN.join_line().startswith("scanner+redis://:s3cret@laptop:6380/0?")


def test_certificate(home: Path) -> None:
    """The broker's URL names the file with the hub's certificate."""
    save_hub(WHOLE)
    url = WHOLE.broker_url()

    assert "ssl_cert_reqs=required" in url
    assert (hub_file().with_name("hub.pem")).read_text() == WHOLE.cert
    assert "hub.pem" in url


@pytest.mark.parametrize(
    "line",
    [
        "",
        "redis://:s3cret@laptop:6380/0?store=0123",
        "scanner+redis://:s3cret@laptop:6380/0",
        "scanner+redis://:s3cret@laptop:port/0?store=0123",
        "scanner+redis://:s3cret@laptop/0?store=0123",
        f"scanner+redis://:s3cret@laptop/0?store=0123&key={KEY}",
        "scanner+redis://:s3cret@laptop/0?store=0123&key=a&join=b",
        "scanner+http://:s3cret@laptop/?store=0123",
        f"scanner+redis://:s3cret@laptop/0?store=../../etc&key={KEY}&join=b",
        f"scanner+redis://:s3cret@laptop/0?store=0123&key={KEY}&join=b&cert=%ff",
        f"scanner+redis://:s3cret@laptop/0?store=0123&key={KEY}&join=b&share=nowhere",
        f"scanner+redis://:s3cret@laptop/0?store=0123&key={KEY}&join=b&share=http://[",
    ],
)
def test_invalid_line(line: str) -> None:
    """The error for an invalid line does not quote it."""
    with pytest.raises(JoinError) as caught:
        parse_join_line(line)

    assert "s3cret" not in str(caught.value)


def test_no_hub(home: Path) -> None:
    """A machine that has not joined has no hub."""
    assert load_hub() is None


@pytest.mark.parametrize("content", ["", "[]", '{"broker": 5}', "{", '{"broker": "redis://a"}'])
def test_damaged(home: Path, content: str) -> None:
    """The error for a damaged file says to join again."""
    save_hub(PLAIN).write_text(content)
    with pytest.raises(JoinError, match="join again"):
        load_hub()
