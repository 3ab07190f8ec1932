"""The machines of a hub: joining, what they may do on the real server, and being shut out."""

from __future__ import annotations

import http.client
import os
import stat
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import redis
from click.testing import CliRunner
from ports import free_port

from scanner.cli import cli
from scanner.config import state_dir
from scanner.fleet.broker import open_broker
from scanner.fleet.hub import HubOptions, RunningHub, run_hub
from scanner.fleet.hub_config import JoinError, load_hub, parse_join_line
from scanner.fleet.hub_secrets import hub_folder, new_line
from scanner.fleet.joining import request_to_join
from scanner.fleet.rescuer import Rescuer
from storage.database.store import Store
from storage.writes.machines import list_machines
from storage.writes.results import Host
from workers.broker.app import make_namespace, make_redis
from workers.broker.batch_parts import BatchPart
from workers.broker.collection_fingerprints import fingerprint_of
from workers.broker.dead_letters import bury, dead_letter, drop_letters, read_letters
from workers.broker.heartbeat import Heartbeat, worker_states
from workers.broker.key_types import move_wrong_types
from workers.broker.leases import ImageTimer, Lease, abandon, orphaned_parts
from workers.broker.missing import MissingSince, reset_all
from workers.broker.namespace import Namespace, count_pending_results
from workers.settings import FLEET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scanner.fleet.hub_config import HubConfig

PI = Host("a" * 32, "attic-pi", "aarch64", {})
OTHER = Host("b" * 32, "other", "aarch64", {})

# What no user may do, whoever has the join line or a machine; S is the store's prefix.
ADMIN_COMMANDS = [
    "ACL SETUSER mallory on nopass ~* +@all",
    "ACL LIST",
    "ACL GENPASS",
    "ACL WHOAMI",
    "CONFIG SET requirepass x",
    "CONFIG GET *",
    "CONFIG REWRITE",
    "CLIENT LIST",
    "CLIENT KILL ID 1",
    "CLIENT PAUSE 1000",
    "CLIENT NO-EVICT on",
    "COMMAND",
    "CLUSTER INFO",
    "BGREWRITEAOF",
    "BGSAVE",
    "DBSIZE",
    "FAILOVER",
    "FLUSHALL",
    "FLUSHDB",
    "FUNCTION FLUSH",
    "KEYS *",
    "LASTSAVE",
    "LATENCY RESET",
    "MEMORY STATS",
    "MIGRATE 127.0.0.1 1 k 0 1",
    "MODULE LIST",
    "MONITOR",
    "OBJECT ENCODING S:queue",
    "PSYNC ? -1",
    "PUBLISH a b",
    "RANDOMKEY",
    "REPLICAOF 127.0.0.1 1",
    "RESTORE S:lease:1 0 x",
    "SAVE",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "SHUTDOWN NOSAVE",
    "SLOWLOG GET",
    "SUBSCRIBE a",
    "SWAPDB 0 1",
    "SYNC",
    "SET elsewhere 1",
    "GET scanner:other:hub",
    "LPUSH scanner:other:queue x",
]
MACHINE_COMMANDS = [
    *ADMIN_COMMANDS,
    "EVAL return(1) 0",
    "SCRIPT LOAD return(1)",
    "INFO",
    "SCAN 0",
    "DEL S:queue",
    "DEL S:results",
    "DEL S:dead",
    "EXPIRE S:queue 1",
    "DEL S:stuck",
    "LRANGE S:queue 0 -1",
    "LINDEX S:queue 0",
    "LRANGE S:results 0 -1",
    "BRPOP S:results 1",
    "RPOP S:results",
    "LRANGE S:dead 0 -1",
    "HGETALL S:unacked",
    "HGET S:unacked tag",
    "HGET S:unacked:OTHER tag",
    "HDEL S:unacked:OTHER tag",
    "HGET S:recording tag",
    "HDEL S:recording tag",
    "HSET S:control cancel:1 1",
    "HSET S:samples photos []",
    "SET S:hub x",
    "LPUSH S:join x",
    "LPOP S:join",
    "BLPOP S:joined:x 1",
    "RENAME S:queue S:elsewhere",
]
JOIN_COMMANDS = [
    *MACHINE_COMMANDS[:-4],
    "LPOP S:join",
    "LRANGE S:join 0 -1",
    "LPUSH S:queue x",
    "BRPOP S:queue 1",
    "LPUSH S:results x",
    "LLEN S:queue",
    "HGET S:samples photos",
    "SET S:worker:a x",
    "SET S:lease:1 x",
]


@dataclass
class Hub:
    """A running hub, whose checks a thread calls, and its machines."""

    running: RunningHub
    store: Store

    @property
    def line(self) -> str:
        """Return the join line."""
        return self.running.config.join_line()

    def join(self, host: Host, key: bytes, line: str | None = None) -> HubConfig:
        """Join as a machine; return what it is given."""
        hub = parse_join_line(line or self.line)
        return request_to_join(hub, make_namespace(hub.broker, hub.store), host, key)


@pytest.fixture
def hub(tmp_path: Path, home: Path) -> Iterator[Hub]:
    """Run a hub with a share on loopback."""
    port = free_port()
    url = str(tmp_path / "store.db")
    options = HubOptions("127.0.0.1", port, url, share_port=free_port(), share_bytes_per_second=1e9)
    store, stop = Store.open(url), threading.Event()
    with run_hub(options, store, state_dir()) as running:

        def check() -> None:
            while not stop.wait(0.1):
                running.check()

        thread = threading.Thread(target=check)
        thread.start()
        yield Hub(running, store)
        stop.set()
        thread.join()
    store.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def refuses(client: redis.Redis) -> bool:
    """Return whether the server refuses a client's password."""
    with suppress(redis.ConnectionError):
        client.close()
    try:
        client.ping()
    except redis.AuthenticationError:
        return True
    return False


def share_status(member: HubConfig) -> int:
    """Return the share's answer to a machine that asks for a file that nobody has listed."""
    connection = http.client.HTTPConnection(urlsplit(member.share or "").netloc, timeout=20)
    headers = {"Authorization": f"Bearer {member.token}"}
    connection.request("GET", "/photos/a.jpg", headers=headers)
    with closing(connection):
        return connection.getresponse().status


def allowed(client: redis.Redis, store_id: str, commands: list[str]) -> list[str]:
    """Return those of the commands that the server does not refuse to a user."""
    found = []
    for command in commands:
        words = command.replace("S:", f"scanner:{store_id}:").replace("OTHER", "b" * 32).split()
        try:
            client.execute_command(*words)  # type: ignore[no-untyped-call]
        except redis.exceptions.NoPermissionError:
            continue
        except redis.RedisError as error:
            found.append(f"{command}: {error}")
            continue
        found.append(command)
    return found


def test_forbidden_commands(hub: Hub) -> None:
    """With the line one can only join, and a machine only work; nobody administers the server."""
    machine = hub.join(PI, b"p" * 32)
    saved = load_hub()
    assert saved is not None
    users = (
        (hub.running.config.broker, JOIN_COMMANDS),
        (machine.broker, MACHINE_COMMANDS),
        (saved.broker, ADMIN_COMMANDS),
    )
    for url, commands in users:
        with make_redis(url) as client:
            assert [] == allowed(client, hub.store.identity, commands), url.partition(":")[0]
            assert client.ping()
    with pytest.raises(redis.AuthenticationError):
        make_redis(machine.broker_as("default", "x")).ping()


def test_what_they_need(hub: Hub) -> None:
    """A machine holds leases, says what it waits for, counts results and writes dead letters."""
    machine = hub.join(PI, b"p" * 32)
    with make_redis(machine.broker) as client:
        namespace = Namespace(client, hub.store.identity)
        for give_up in (False, True):
            with Lease(namespace, BatchPart(7), "pi:1", ImageTimer(60.0), print) as lease:
                assert lease.acquire()
                if give_up:
                    abandon(namespace, BatchPart(7), "pi:1")
                else:
                    lease.release()
        heartbeat = Heartbeat(namespace, "pi:1", "pi")
        heartbeat.send(1, 2, "waits")
        assert not heartbeat.is_cancelled(1, 2)
        assert 0 == count_pending_results(namespace)
        assert not MissingSince(namespace, 600).is_over("collection photos")
        MissingSince(namespace, 600).reset("collection photos")
        assert () == fingerprint_of(namespace, "photos")
        bury(namespace, dead_letter("batch", "unsigned", "pi:1", None))
    saved = load_hub()
    assert saved is not None
    with open_broker(saved.broker, hub.store.identity) as own:
        Rescuer(hub.store, own, FLEET).round()
        move_wrong_types(own.namespace)
        assert ["unsigned"] == [letter.reason for letter in read_letters(own.namespace)]
        drop_letters(own.namespace, lambda _: True)
        assert [] == orphaned_parts(own.namespace)
        assert ["pi"] == [state.host for state in worker_states(own.namespace)]
        reset_all(own.namespace)


def test_shut_out(hub: Hub) -> None:
    """One machine is shut out of queue and share, its line is worthless; the other one stays."""
    pi, other = hub.join(PI, b"p" * 32), hub.join(OTHER, b"o" * 32)
    pi_client, other_client = make_redis(pi.broker), make_redis(other.broker)
    assert pi_client.ping()
    assert other_client.ping()
    wait_until(lambda: [share_status(pi), share_status(other)] == [404, 404])
    old_line = hub.line
    done = CliRunner().invoke(cli, ["hub", "revoke", "attic-pi"])
    wait_until(lambda: refuses(pi_client))
    wait_until(lambda: refuses(make_redis(parse_join_line(old_line).broker)))

    assert 0 == done.exit_code, done.output
    assert f"attic-pi ({PI.host_id}) is shut out\n" == done.stdout
    assert other_client.ping()
    assert [401, 404] == [share_status(pi), share_status(other)]
    machines = {one.label: one.revoked_at is None for one in list_machines(hub.store)}
    assert {"attic-pi": False, "other": True} == machines
    # With the new line it may join again.
    line = new_line(hub_folder(state_dir()))
    wait_until(lambda: not refuses(make_redis(parse_join_line(line).broker)))
    again = hub.join(PI, b"p" * 32, line)
    assert make_redis(again.broker).ping()
    pi_client.close()
    other_client.close()


def test_place_of_another_machine(hub: Hub) -> None:
    """Who has the line cannot take the place of a machine that has joined; it may join again."""
    first = hub.join(PI, b"p" * 32)
    with pytest.raises(JoinError, match="scanner hub revoke " + PI.host_id):
        hub.join(PI, b"x" * 32)
    assert make_redis(first.broker).ping()
    again = hub.join(replace(PI, label="renamed"), b"p" * 32)

    assert make_redis(again.broker).ping()
    assert refuses(make_redis(first.broker))
    assert ["renamed"] == [one.label for one in list_machines(hub.store)]


def test_commands_of_the_hub(hub: Hub) -> None:
    """`hub machines` lists who joined; unknown ones are one sentence; a new line is printed."""
    hub.join(PI, b"p" * 32)
    listed = CliRunner().invoke(cli, ["hub", "machines"])
    unknown = CliRunner().invoke(cli, ["hub", "revoke", "nobody"])
    printed = CliRunner().invoke(cli, ["hub", "--new-line"])

    assert listed.stdout.startswith(f"attic-pi ({PI.host_id}): joined ")
    assert (1, "") == (unknown.exit_code, unknown.stdout)
    assert "Machine not found: 'nobody'" in unknown.stderr
    line = parse_join_line(printed.stdout)
    assert hub.running.config.join != line.join
    assert replace(hub.running.config, broker="", join=None) == replace(line, broker="", join=None)


def test_line_in_a_private_file(hub: Hub, tmp_path: Path) -> None:
    """The line is written to a file that only its user can read, whatever was there before."""
    file = tmp_path / "line"
    file.write_text("old")
    file.chmod(0o644)
    before = os.umask(0)
    try:
        done = CliRunner().invoke(cli, ["hub", "--new-line", "--write-line", str(file)])
    finally:
        os.umask(before)

    assert (0, "") == (done.exit_code, done.stdout)
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert hub.running.config.store == parse_join_line(file.read_text()).store
