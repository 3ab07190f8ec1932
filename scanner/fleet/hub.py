"""A fleet's hub: queue, result writer, rescuer and, if wanted, file server, for one store."""

from __future__ import annotations

import fcntl
import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct, json

from scanner.fleet.broker import open_broker, without_password
from scanner.fleet.certificate import ensure_certificate
from scanner.fleet.file_server import Access, FileServer, Rate
from scanner.fleet.hub_config import HubConfig, save_hub, write_private
from scanner.fleet.local import local_rescuer
from scanner.processes.addresses import in_url, is_loopback
from scanner.processes.embedded_broker import (
    HOST,
    EmbeddedServer,
    PersistentServer,
    find_program,
    find_tls_program,
)
from scanner.processes.supervisor import SupervisedProcess
from scanner.version import own_version
from storage.database.engine import store_url
from storage.errors import ScannerError
from workers.broker.handshake import publish_handshake
from workers.limits import Limits
from workers.settings import FLEET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from storage.database.store import Store


class HubError(ScannerError):
    """The hub cannot be started with these options; the message is one sentence."""


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


class _Credentials(Struct):
    """The queue's password and the share's token."""

    password: str
    token: str


@contextmanager
def run_hub(options: HubOptions, store: Store, state_dir: Path) -> Iterator[RunningHub]:
    """Run a hub while the context lasts.

    Raise HubError, CertificateError and EmbeddedServerError.
    """
    with ExitStack() as parts:
        folder = parts.enter_context(_lock_folder(state_dir))
        credentials = _credentials(folder)
        cert = ensure_certificate(_queue_folder(folder, tls=True)) if options.tls else None
        check_server: Callable[[], object] = lambda: None  # noqa: E731
        if options.broker_url is None:
            server = parts.enter_context(_server(options, folder, credentials.password))
            local_url, check_server = server.url, server.check
            public_url = _public_url(options, local_url)
        else:
            _check_broker(options.broker_url, options.address)
            local_url = public_url = options.broker_url
        broker = parts.enter_context(open_broker(local_url, store.identity))
        check_rescuer = parts.enter_context(local_rescuer(store, broker, FLEET))
        result_writer = parts.enter_context(
            SupervisedProcess(
                "the result writer", ["scanner.fleet.result_writer"], local_url, options.store_url
            )
        )
        config = HubConfig(public_url, store.identity, cert=cert)
        if options.share_port is not None:
            rate = Rate(options.share_bytes_per_second)
            access = Access(store, credentials.token, rate, Limits().max_bytes)
            parts.enter_context(_file_server(options, options.share_port, access, folder))
            scheme = "https" if options.tls else "http"
            share = f"{scheme}://{in_url(options.address)}:{options.share_port}"
            config = replace(config, share=share, token=credentials.token)
        # Commands on this machine use the store itself, from any folder.
        absolute_url = store_url(options.store_url).render_as_string(hide_password=False)
        save_hub(HubConfig(local_url, store.identity, store_url=absolute_url))

        def check() -> None:
            check_server()
            check_rescuer()
            result_writer.restart_if_exited()
            publish_handshake(broker.namespace, own_version())

        check()
        yield RunningHub(config, check)


@contextmanager
def _lock_folder(state_dir: Path) -> Iterator[Path]:
    """Yield the hub's folder, locked; raise HubError if another hub runs."""
    folder = state_dir / "hub"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / "lock").open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HubError("A hub is running on this machine already") from error
        yield folder


def _credentials(folder: Path) -> _Credentials:
    """Return the stored credentials, created at the first start."""
    file = folder / "secrets.json"
    try:
        return json.decode(file.read_bytes(), type=_Credentials)
    except FileNotFoundError:
        created = _Credentials(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        write_private(file, json.encode(created).decode() + "\n")
        return created
    except ValueError as error:
        raise HubError(
            f"{file} is damaged: remove it, and join every machine again with the new line"
        ) from error


def _queue_folder(folder: Path, *, tls: bool) -> Path:
    """Return the folder of the queue's files; the server with TLS may be another program."""
    queue_folder = folder / ("queue-tls" if tls else "queue")
    queue_folder.mkdir(mode=0o700, exist_ok=True)
    return queue_folder


def _server(options: HubOptions, folder: Path, password: str) -> EmbeddedServer:
    server = PersistentServer(
        _queue_folder(folder, tls=options.tls),
        options.address,
        options.port,
        password,
        tls=options.tls,
    )
    program = find_tls_program() if options.tls else find_program()
    return EmbeddedServer(folder, program, server)


def _public_url(options: HubOptions, local_url: str) -> str:
    """Return the queue's URL for other machines."""
    parts = urlsplit(local_url)
    credentials, _, _ = parts.netloc.rpartition("@")
    location = f"{credentials}@{in_url(options.address)}:{options.port}"
    return urlunsplit((parts.scheme, location, parts.path, "", ""))


def _check_broker(broker_url: str, address: str) -> None:
    """Raise HubError for a broker without a password, or that workers cannot reach."""
    parts = urlsplit(broker_url)
    is_local = is_loopback(parts.hostname or HOST)
    if not parts.password and not is_local:
        raise HubError(
            f"The broker {without_password(broker_url)} has no password, which a hub needs: "
            "redis://:PASSWORD@HOST"
        )
    if is_local and not is_loopback(address):
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
