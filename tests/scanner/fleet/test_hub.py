"""The hub: where it listens, what opens it, and what it keeps."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import click
import pytest
import redis
from click.testing import CliRunner

from scanner.cli import cli
from scanner.commands.hub import command
from scanner.fleet.hub import HubError, HubOptions, running_hub
from scanner.fleet.hub_config import the_hub
from scanner.processes import embedded_broker
from scanner.processes.embedded_broker import PersistentServer, TlsNotFound, find_tls_program
from storage.database.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def free_port() -> int:
    """Return a free port whose successor is free too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Open an empty store."""
    opened = Store.open(str(tmp_path / "store.db"))
    yield opened
    opened.close()


@pytest.fixture
def options(tmp_path: Path) -> HubOptions:
    """Return a hub on loopback."""
    return HubOptions("127.0.0.1", free_port(), str(tmp_path / "store.db"))


def test_loopback_and_a_password(options: HubOptions, store: Store, tmp_path: Path) -> None:
    """A hub listens where it was told to and nowhere else, and answers nobody without password."""
    with running_hub(options, store, tmp_path / "state") as running:
        redis.Redis.from_url(running.hub.broker).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis("127.0.0.1", options.port).ping()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", options.port), timeout=5)
        running.look_after()
        joined = the_hub()

    assert joined is not None
    assert (running.hub.broker, f"sqlite:///{options.store_url}") == (
        joined.broker,
        joined.store_url,
    )
    assert "store_url" not in running.hub.line()


def test_its_store_is_what_is_meant_on_its_machine(
    options: HubOptions, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the hub's store lies, other commands there find it, from any folder."""
    monkeypatch.chdir(tmp_path)
    with running_hub(replace(options, store_url="store.db"), store, tmp_path / "state"):
        monkeypatch.chdir("/")
        done = CliRunner().invoke(cli, ["store", "where"])

    assert f"{tmp_path / 'store.db'}\n" == done.stdout


def test_it_keeps_its_word(options: HubOptions, store: Store, tmp_path: Path) -> None:
    """A hub that is started again has the same line and the same queue."""
    state = tmp_path / "state"
    with running_hub(options, store, state) as running:
        first = running.hub.line()
        redis.Redis.from_url(running.hub.broker).set("kept", "yes")
    with running_hub(options, store, state) as running:
        kept = redis.Redis.from_url(running.hub.broker).get("kept")
        with (
            pytest.raises(HubError, match="running on this machine already"),
            running_hub(replace(options, port=free_port()), store, state),
        ):
            pass

        assert (first, b"yes") == (running.hub.line(), kept)
    assert 0o600 == (state / "hub" / "secrets.json").stat().st_mode & 0o777
    assert 0o700 == (state / "hub").stat().st_mode & 0o777
    assert json.loads((state / "hub" / "secrets.json").read_text())["password"] in first


def test_damaged_secrets(options: HubOptions, store: Store, tmp_path: Path) -> None:
    """A damaged file is not replaced behind the fleet's back."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "secrets.json").write_text("{}")
    with pytest.raises(HubError, match="damaged"), running_hub(options, store, tmp_path):
        pass


@pytest.mark.parametrize("url", ["redis://laptop:6379/0", "redis://user@10.0.0.1/0"])
def test_a_broker_without_a_password(
    options: HubOptions, store: Store, tmp_path: Path, url: str
) -> None:
    """A Redis that anyone on the network could use is refused before anything is asked of it."""
    with (
        pytest.raises(HubError, match="has no password"),
        running_hub(replace(options, broker_url=url), store, tmp_path),
    ):
        pass


def test_a_broker_that_the_others_do_not_reach(
    options: HubOptions, store: Store, tmp_path: Path
) -> None:
    """The line would name an address that is each machine's own."""
    given = replace(options, address="10.0.0.5", broker_url="redis://:s3cret@localhost/0")
    with (
        pytest.raises(HubError, match="is this machine's alone"),
        running_hub(given, store, tmp_path),
    ):
        pass


def test_a_broker_that_is_given(
    options: HubOptions, store: Store, tmp_path: Path, clean_redis: str
) -> None:
    """A Redis that runs already is used as it is, and stands in the line."""
    given = replace(options, broker_url=clean_redis)
    with running_hub(given, store, tmp_path / "state") as running:
        assert clean_redis == running.hub.broker
    assert 1 == redis.Redis.from_url(clean_redis).ping()


def test_a_port_that_is_taken(options: HubOptions, store: Store, tmp_path: Path) -> None:
    """A share whose port is taken is one sentence."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = replace(options, share_port=other.getsockname()[1])
        with (
            pytest.raises(HubError, match="The share cannot listen on"),
            running_hub(taken, store, tmp_path / "state"),
        ):
            pass


def test_no_server_with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no server of its own, one sentence says what --tls needs."""
    monkeypatch.setattr(embedded_broker.shutil, "which", lambda _name: None)
    with pytest.raises(TlsNotFound, match="install your system's"):
        find_tls_program()


def test_where_it_binds(tmp_path: Path) -> None:
    """Loopback beside the address that was asked for; everything only where that was asked for."""
    binds = [
        PersistentServer(tmp_path, address, 6380, "x").bind()
        for address in ("127.0.0.1", "10.0.0.5", "0.0.0.0", "::")
    ]

    assert ["127.0.0.1", "10.0.0.5 127.0.0.1", "* -::*", "* -::*"] == binds


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("10.0.0.5", ("10.0.0.5", 6380)),
        ("10.0.0.5:7000", ("10.0.0.5", 7000)),
        ("[fe80::1]:7000", ("fe80::1", 7000)),
        ("::", ("::", 6380)),
    ],
)
def test_listen(given: str, meant: tuple[str, int]) -> None:
    """An address, with or without a port."""
    context = command.make_context("hub", ["--listen", given])

    assert meant == context.params["listen"]


@pytest.mark.parametrize("given", ["laptop", "10.0.0.5:0", "10.0.0.5:65535", "10.0.0.5:x", "", "*"])
def test_listen_on_nothing(given: str) -> None:
    """What is no address is wrong usage, in one sentence."""
    with pytest.raises(click.BadParameter, match="invalid address"):
        command.make_context("hub", ["--listen", given])


def test_loopback_unless_asked() -> None:
    """Without a word, no other machine sees the hub."""
    assert ("127.0.0.1", 6380) == command.make_context("hub", []).params["listen"]


def test_a_broker_has_its_own_tls(home: Path) -> None:
    """--tls is refused where the queue is not the hub's own."""
    done = CliRunner().invoke(cli, ["hub", "--broker", "redis://:x@localhost/0", "--tls"])

    assert 2 == done.exit_code
    assert "--tls and --broker exclude each other" in done.output
