"""The hub: its addresses, access to it, and what it stores."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
import pytest
import redis
from click.testing import CliRunner
from ports import free_port

from scanner.cli import cli
from scanner.commands.hub import command
from scanner.fleet import hub
from scanner.fleet.access_list import AccessList
from scanner.fleet.broker import BrokerUnavailable, InvalidBroker
from scanner.fleet.hub import HubError, HubOptions, run_hub
from scanner.fleet.hub_config import HubConfig, load_hub, save_hub
from scanner.processes import embedded_broker
from scanner.processes.embedded_broker import PersistentServer, TlsNotFound, find_tls_program
from storage.database.store import Store
from storage.errors import ScannerError
from workers.broker.app import make_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def own_queue() -> redis.Redis:
    """Return the queue as commands on the hub's machine use it."""
    saved = load_hub()
    assert saved is not None
    return make_redis(saved.broker)


def user_of(url: str) -> str | None:
    """Return the user of a broker's URL."""
    return urlsplit(url).username


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty store."""
    opened = Store.open(str(tmp_path / "store.db"))
    yield opened
    opened.close()


@pytest.fixture
def options(tmp_path: Path) -> HubOptions:
    """Return the options of a hub on loopback."""
    return HubOptions("127.0.0.1", free_port(), str(tmp_path / "store.db"))


def test_address_and_password(options: HubOptions, store: Store, tmp_path: Path) -> None:
    """A hub listens on its address only, and requires the password."""
    with run_hub(options, store, tmp_path / "state") as running:
        make_redis(running.config.broker).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis("127.0.0.1", options.port).ping()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", options.port), timeout=5)
        running.check()
        saved = load_hub()

    assert saved is not None
    assert f"sqlite:///{options.store_url}" == saved.store_url
    assert ("join", "producer") == (user_of(running.config.broker), user_of(saved.broker))
    assert "store_url" not in running.config.join_line()


def test_store_is_the_default_on_the_hub_machine(
    options: HubOptions, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other commands on the hub's machine use its store, from any folder."""
    monkeypatch.chdir(tmp_path)
    with run_hub(replace(options, store_url="store.db"), store, tmp_path / "state"):
        monkeypatch.chdir("/")
        result = CliRunner().invoke(cli, ["store", "where"])

    assert f"{tmp_path / 'store.db'}\n" == result.stdout


def test_restart(options: HubOptions, store: Store, tmp_path: Path) -> None:
    """A restarted hub has the same join line and the same queue."""
    state = tmp_path / "state"
    with run_hub(options, store, state) as running:
        first_line = running.config.join_line()
        queue = f"scanner:{store.identity}:queue"
        own_queue().lpush(queue, "yes")
    with run_hub(options, store, state) as running:
        (value,) = own_queue().lrange(queue, 0, 1)
        with (
            pytest.raises(HubError, match="running on this machine already"),
            run_hub(replace(options, port=free_port()), store, state),
        ):
            pass

        assert (first_line, b"yes") == (running.config.join_line(), value)
    assert 0o600 == (state / "hub" / "secrets.json").stat().st_mode & 0o777
    assert 0o700 == (state / "hub").stat().st_mode & 0o777
    stored = json.loads((state / "hub" / "secrets.json").read_text())
    assert stored["join"] in first_line
    assert stored["password"] not in first_line


def test_damaged_secrets(options: HubOptions, store: Store, tmp_path: Path) -> None:
    """A damaged file is an error and is not replaced."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "secrets.json").write_text("{}")
    with pytest.raises(HubError, match="damaged"), run_hub(options, store, tmp_path):
        pass


@pytest.mark.parametrize("url", ["redis://laptop:6379/0", "redis://user@10.0.0.1/0"])
def test_broker_without_a_password(
    options: HubOptions, store: Store, tmp_path: Path, url: str
) -> None:
    """A Redis on the network without a password is refused before it is used."""
    with (
        pytest.raises(InvalidBroker, match="has no password"),
        run_hub(replace(options, broker_url=url), store, tmp_path),
    ):
        pass


def test_broker_that_workers_cannot_reach(
    options: HubOptions, store: Store, tmp_path: Path
) -> None:
    """A broker on loopback is refused for a hub on another address."""
    other = replace(options, address="10.0.0.5", broker_url="redis://:s3cret@localhost/0")
    with (
        pytest.raises(HubError, match="is reachable from this machine only"),
        run_hub(other, store, tmp_path),
    ):
        pass


def test_named_broker(options: HubOptions, store: Store, tmp_path: Path, clean_redis: str) -> None:
    """A Redis that is already running is used, and is part of the join line."""
    other = replace(options, broker_url=clean_redis)
    with run_hub(other, store, tmp_path / "state") as running:
        assert clean_redis == running.config.broker
    assert 1 == redis.Redis.from_url(clean_redis).ping()


def test_named_broker_that_is_away(options: HubOptions, store: Store, tmp_path: Path) -> None:
    """A hub whose Redis is away says what a hub can do, at its second start, too."""
    away = f"redis://:s3cret@127.0.0.1:{free_port()}/0"
    save_hub(HubConfig(away, store.identity, "key", store_url="store.db"))
    with (
        pytest.raises(BrokerUnavailable, match="Start a Redis server there, or leave --broker out"),
        run_hub(replace(options, broker_url=away), store, tmp_path / "state"),
    ):
        pass


def test_port_in_use(options: HubOptions, store: Store, tmp_path: Path) -> None:
    """A share on a port in use is one sentence."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = replace(options, share_port=other.getsockname()[1])
        with (
            pytest.raises(HubError, match="The share cannot listen on"),
            run_hub(taken, store, tmp_path / "state"),
        ):
            pass


def test_no_server_with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a system server the error names what to install for --tls."""
    monkeypatch.setattr(embedded_broker.shutil, "which", lambda _name: None)
    with pytest.raises(TlsNotFound, match="install your system's"):
        find_tls_program()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that has a hub find a server which only says its version.

    It returns the hub's state folder.
    """

    def say(version: str) -> Path:
        program = tmp_path / "redis-server"
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)
        monkeypatch.setattr(hub, "find_program", lambda: program)
        return tmp_path / "state"

    return say


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("Redis server v=6.0.16 sha=00000000:0", "of version 6.0, .* install Redis 7 or Valkey"),
        ("a server", "does not say its version: 'a server"),
    ],
)
def test_old_server(
    options: HubOptions, store: Store, server: Callable[[str], Path], version: str, message: str
) -> None:
    """A server without the rights of users that a hub needs is refused in one sentence."""
    state = server(version)
    with pytest.raises(ScannerError, match=message), run_hub(options, store, state):
        pass


def test_rights_for_redis_7_0() -> None:
    """For a server before 7.2 the list names no command that it does not know."""
    newer = AccessList("s1", "a", "b", "c", "d").users([])
    older = AccessList("s1", "a", "b", "c", "d", has_setinfo=False).users([])

    assert newer.keys() == older.keys()
    assert all("client|setinfo" in newer[name] for name in ("producer", "results", "join"))
    assert all("setinfo" not in rules for rules in older.values())


def test_addresses_to_bind(tmp_path: Path) -> None:
    """The server binds loopback and its address, all addresses only if asked to."""
    binds = [
        PersistentServer(tmp_path, address, 6380, "x", "y").bind()
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
    """An address may have a port."""
    context = command.make_context("hub", ["--listen", given])

    assert meant == context.params["listen"]


@pytest.mark.parametrize("given", ["laptop", "10.0.0.5:0", "10.0.0.5:65535", "10.0.0.5:x", "", "*"])
def test_listen_on_nothing(given: str) -> None:
    """An invalid address is one sentence."""
    with pytest.raises(click.BadParameter, match="invalid address"):
        command.make_context("hub", ["--listen", given])


def test_loopback_unless_asked() -> None:
    """By default only this machine reaches the hub."""
    assert ("127.0.0.1", 6380) == command.make_context("hub", []).params["listen"]


def test_tls_with_a_named_broker(home: Path) -> None:
    """--tls is refused with a named broker."""
    done = CliRunner().invoke(cli, ["hub", "--broker", "redis://:x@localhost/0", "--tls"])

    assert 2 == done.exit_code
    assert "--tls and --broker exclude each other" in done.output


def test_files_are_private(options: HubOptions, store: Store, tmp_path: Path) -> None:
    """Whatever the umask, only the hub's user can open its folders, its queue and its locks."""
    before = os.umask(0)
    try:
        with run_hub(options, store, tmp_path / "state" / "scanner"):
            pass
    finally:
        os.umask(before)

    made = [*(tmp_path / "state").rglob("*"), tmp_path / "state"]
    assert {"lock", "appendonlydir", "server.log"} <= {path.name for path in made}
    assert [] == [path for path in made if path.stat().st_mode & 0o077]
