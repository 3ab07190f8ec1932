"""A fleet's hub: queue, result writer, rescuer and, if wanted, file server, for one store."""

from __future__ import annotations

import base64
import fcntl
import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from scanner.fleet.access_list import ADMIN, JOIN, PRODUCER, RESULTS, AccessList
from scanner.fleet.broker import OF_HUB_ADVICE, open_broker, warn_of_eviction, without_password
from scanner.fleet.certificate import ensure_certificate
from scanner.fleet.file_server import Access, FileServer, Rate
from scanner.fleet.hub_config import HubConfig, save_hub
from scanner.fleet.hub_secrets import HubError, hub_folder, read_secrets, save_line
from scanner.fleet.local import local_rescuer
from scanner.fleet.roster import OwnServer, Roster, Users
from scanner.processes.addresses import in_url, is_loopback
from scanner.processes.embedded_broker import (
    EmbeddedServer,
    PersistentServer,
    find_program,
    find_tls_program,
    server_version,
)
from scanner.processes.supervisor import SupervisedProcess
from scanner.version import own_version
from storage.database.urls import store_url
from storage.errors import InvalidInput
from storage.private import make_private_folder, open_private
from storage.writes.machines import list_machines
from workers.broker.address import parse_address
from workers.broker.app import make_redis
from workers.broker.handshake import publish_handshake
from workers.broker.signatures import STORE, Signer
from workers.limits import Limits
from workers.settings import FLEET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from storage.database.store import Store

# Versions of Redis: with several sets of rights for one user (selectors), and with CLIENT SETINFO.
_USERS_SINCE = (7, 0)
_SETINFO_SINCE = (7, 2)


@dataclass(frozen=True, slots=True)
class HubOptions:
    """The options of a hub; without a `broker_url` it starts an embedded queue server."""

    address: str
    port: int
    store_url: str
    broker_url: str | None = None
    share_port: int | None = None
    share_bytes_per_second: float = 0.0
    tls: bool = False


@dataclass(frozen=True, slots=True)
class RunningHub:
    """A running hub: its configuration for workers, and a check to be called every second.

    `check` restarts parts that have exited, and raises an error if that is not possible.
    """

    config: HubConfig
    check: Callable[[], object]


@dataclass(frozen=True, slots=True)
class _Queue:
    """The queue's URLs: of commands on this machine, of the result writer and of the join line."""

    url: str
    results_url: str
    public_url: str
    check: Callable[[], object] = lambda: None
    server: OwnServer | None = None


@contextmanager
def run_hub(options: HubOptions, store: Store, state_dir: Path) -> Iterator[RunningHub]:
    """Run a hub while the context lasts.

    Raise HubError, CertificateError and EmbeddedServerError.
    """
    with ExitStack() as parts:
        folder = parts.enter_context(_lock_folder(state_dir))
        stored = read_secrets(folder)
        cert = ensure_certificate(_queue_folder(folder, tls=True)) if options.tls else None
        queue = parts.enter_context(_queue(options, store, folder))
        broker = parts.enter_context(open_broker(queue.url, store.identity, OF_HUB_ADVICE))
        if options.broker_url is not None:
            warn_of_eviction(broker)
        check_rescuer = parts.enter_context(local_rescuer(store, broker, FLEET))
        module = ["scanner.fleet.result_writer"]
        result_writer = parts.enter_context(
            SupervisedProcess("the result writer", module, queue.results_url, options.store_url)
        )
        roster = Roster(store, broker.namespace, lambda: read_secrets(folder).join, queue.server)
        key = base64.urlsafe_b64encode(Signer(STORE, store.signing_key).public_key).decode()
        config = HubConfig(queue.public_url, store.identity, key, join=stored.join, cert=cert)
        if options.share_port is not None:
            rate = Rate(options.share_bytes_per_second)
            access = Access(store, roster.is_valid, rate, Limits().max_bytes)
            parts.enter_context(_file_server(options, options.share_port, access, folder))
            scheme = "https" if options.tls else "http"
            share = f"{scheme}://{in_url(options.address)}:{options.share_port}"
            config = replace(config, share=share)
        # Commands on this machine use the store itself, from any folder.
        absolute_url = store_url(options.store_url).render_as_string(hide_password=False)
        save_hub(HubConfig(queue.url, store.identity, key, store_url=absolute_url))
        save_line(folder, config.join_line())

        def check() -> None:
            queue.check()
            check_rescuer()
            result_writer.restart_if_exited()
            publish_handshake(broker.namespace, own_version())
            roster.refresh()

        check()
        yield RunningHub(config, check)


@contextmanager
def _queue(options: HubOptions, store: Store, folder: Path) -> Iterator[_Queue]:
    """Yield the queue: the server that was named, or one of the hub's own, with its users."""
    if options.broker_url is not None:
        _check_broker(options.broker_url, options.address)
        yield _Queue(options.broker_url, options.broker_url, options.broker_url)
        return
    stored = read_secrets(folder)
    admin, results = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    program = find_tls_program() if options.tls else find_program()
    version = _require_users(program)

    def access(join: str) -> AccessList:
        has_setinfo = version >= _SETINFO_SINCE
        return AccessList(store.identity, stored.password, results, join, admin, has_setinfo)

    file = _queue_folder(folder, tls=options.tls) / "users.acl"
    users = Users(file, access(stored.join).users(list_machines(store)))
    with (
        _server(options, folder, program, stored.password) as server,
        make_redis(server.url_of(ADMIN, admin)) as admin_client,
    ):
        yield _Queue(
            server.url,
            server.url_of(RESULTS, results),
            _public_url(options, server.url_of(JOIN, stored.join)),
            server.check,
            OwnServer(users, access, admin_client),
        )


@contextmanager
def _lock_folder(state_dir: Path) -> Iterator[Path]:
    """Yield the hub's folder, locked; raise HubError if another hub runs."""
    folder = hub_folder(state_dir)
    with open_private(folder / "lock", "ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HubError("A hub is running on this machine already") from error
        yield folder


def _queue_folder(folder: Path, *, tls: bool) -> Path:
    """Return the folder of the queue's files; the server with TLS may be another program."""
    queue_folder = folder / ("queue-tls" if tls else "queue")
    make_private_folder(queue_folder)
    return queue_folder


def _require_users(program: Path) -> tuple[int, int]:
    """Return the version of the server program; raise HubError for one without such users."""
    version = server_version(program)
    if version < _USERS_SINCE:
        raise HubError(
            f"The queue server {program} is of version {'.'.join(map(str, version))}, without the "
            "rights of users that a hub needs: install Redis 7 or Valkey"
        )
    return version


def _server(options: HubOptions, folder: Path, program: Path, password: str) -> EmbeddedServer:
    server = PersistentServer(
        _queue_folder(folder, tls=options.tls),
        options.address,
        options.port,
        PRODUCER,
        password,
        tls=options.tls,
    )
    return EmbeddedServer(folder, program, server)


def _public_url(options: HubOptions, local_url: str) -> str:
    """Return the queue's URL for other machines."""
    parts = urlsplit(local_url)
    credentials, _, _ = parts.netloc.rpartition("@")
    location = f"{credentials}@{in_url(options.address)}:{options.port}"
    return urlunsplit((parts.scheme, location, parts.path, "", ""))


def _check_broker(broker_url: str, address: str) -> None:
    """Raise HubError for a broker that workers cannot reach, InvalidInput for an invalid URL."""
    try:
        hosts = parse_address(broker_url).hosts
    except ValueError as error:
        raise InvalidInput(f"invalid value for --broker: {error}") from error
    if all(map(is_loopback, hosts)) and not is_loopback(address):
        raise HubError(
            f"The broker {without_password(broker_url)} is reachable from this machine only; pass "
            "an address that workers can reach"
        )


def _file_server(options: HubOptions, port: int, access: Access, folder: Path) -> FileServer:
    files = _queue_folder(folder, tls=options.tls)
    tls = (files / "cert.pem", files / "key.pem") if options.tls else None
    try:
        return FileServer((options.address, port), access, tls)
    except OSError as error:
        raise HubError(
            f"The share cannot listen on {options.address}, port {port}: {error.strerror}"
        ) from error
