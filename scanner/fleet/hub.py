"""A fleet's hub: its queue, the recorder and the keeper of its store, and a share of its files.

HubError   it cannot be had as asked for
"""

from __future__ import annotations

import fcntl
import json
import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from scanner.fleet.broker import open_broker, without_password
from scanner.fleet.certificate import NoCertificate, certificate
from scanner.fleet.file_server import Access, FileServer, Rate
from scanner.fleet.hub_config import Hub, remember, write_private
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

# Seconds between two looks at what a hub is made of.
LOOK_SECONDS = 1.0


class HubError(ScannerError):
    """The hub cannot be had as it was asked for; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class HubOptions:
    """What a hub is to be; without a `broker_url` it has a queue server of its own."""

    address: str
    port: int
    store_url: str
    broker_url: str | None = None
    share_port: int | None = None
    share_bytes_per_second: float = 0.0
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A hub that runs: what others are told, and a check that raises where a part is gone."""

    hub: Hub
    look_after: Callable[[], object]


@contextmanager
def running_hub(options: HubOptions, store: Store, state_dir: Path) -> Iterator[Running]:
    """A hub for as long as the context lasts. Raises HubError and EmbeddedServerError."""
    with ExitStack() as parts:
        folder = parts.enter_context(_folder_of_ours(state_dir))
        words = _secrets(folder)
        cert = _certificate(folder) if options.tls else None
        check: Callable[[], object] = lambda: None  # noqa: E731
        if options.broker_url is None:
            server = parts.enter_context(_server(options, folder, words["password"]))
            inside, check = server.url, server.check
            outside = _named(options, inside)
        else:
            inside = outside = _for_others(options.broker_url, options.address)
        broker = parts.enter_context(open_broker(inside, store.identity))
        keeper_lives = parts.enter_context(local_rescuer(store, broker, FLEET))
        result_writer = parts.enter_context(
            SupervisedProcess(
                "the recorder", ["scanner.fleet.result_writer"], inside, options.store_url
            )
        )
        hub = Hub(outside, store.identity, cert=cert)
        if options.share_port is not None:
            parts.enter_context(_share(options, options.share_port, store, words["token"], folder))
            scheme = "https" if options.tls else "http"
            share = f"{scheme}://{in_url(options.address)}:{options.share_port}"
            hub = Hub(outside, store.identity, share, words["token"], cert)
        # This very machine works on the store itself, from whatever folder.
        named = store_url(options.store_url).render_as_string(hide_password=False)
        remember(Hub(inside, store.identity, store_url=named))

        def look_after() -> None:
            check()
            keeper_lives()
            result_writer.restart_if_exited()
            publish_handshake(broker.namespace, own_version())

        look_after()
        yield Running(hub, look_after)


@contextmanager
def _folder_of_ours(state_dir: Path) -> Iterator[Path]:
    """The hub's own folder, which lasts; HubError where another hub has it."""
    folder = state_dir / "hub"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / "lock").open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HubError("A hub is running on this machine already") from error
        yield folder


def _secrets(folder: Path) -> dict[str, str]:
    """The queue's password and the share's token, made once: who joined stays joined."""
    file = folder / "secrets.json"
    try:
        found = json.loads(file.read_text("utf-8"))
        return {name: str(found[name]) for name in ("password", "token")}
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError) as error:
        raise HubError(
            f"{file} is damaged: remove it, and join every machine with the new line"
        ) from error
    made = {name: secrets.token_urlsafe(32) for name in ("password", "token")}
    write_private(file, json.dumps(made) + "\n")
    return made


def _queue_folder(folder: Path, *, tls: bool) -> Path:
    """Where the queue's files lie; the server that speaks TLS may not read the other one's."""
    place = folder / ("queue-tls" if tls else "queue")
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _certificate(folder: Path) -> str:
    try:
        return certificate(_queue_folder(folder, tls=True))
    except NoCertificate as error:
        raise HubError(str(error)) from error


def _server(options: HubOptions, folder: Path, password: str) -> EmbeddedServer:
    place = _queue_folder(folder, tls=options.tls)
    program = find_tls_program() if options.tls else find_program()
    lasting = PersistentServer(place, options.address, options.port, password, tls=options.tls)
    return EmbeddedServer(folder, program, lasting)


def _named(options: HubOptions, inside: str) -> str:
    """The queue's URL as other machines need it."""
    parts = urlsplit(inside)
    credentials, _, _ = parts.netloc.rpartition("@")
    where = f"{credentials}@{in_url(options.address)}:{options.port}"
    return urlunsplit((parts.scheme, where, parts.path, "", ""))


def _for_others(broker_url: str, address: str) -> str:
    """A broker that was given; HubError where anyone could use it, or none of the others."""
    parts = urlsplit(broker_url)
    is_ours_alone = is_loopback(parts.hostname or HOST)
    if not parts.password and not is_ours_alone:
        raise HubError(
            f"The broker {without_password(broker_url)} has no password: a hub's needs one, "
            "redis://:PASSWORD@HOST"
        )
    if is_ours_alone and not is_loopback(address):
        raise HubError(
            f"The broker {without_password(broker_url)} is this machine's alone: name the address "
            "by which the others reach it"
        )
    return broker_url


@contextmanager
def _share(
    options: HubOptions, port: int, store: Store, token: str, folder: Path
) -> Iterator[None]:
    access = Access(store, token, Rate(options.share_bytes_per_second), Limits().max_bytes)
    place = _queue_folder(folder, tls=True)
    tls = (place / "cert.pem", place / "key.pem") if options.tls else None
    try:
        server = FileServer((options.address, port), access, tls)
    except OSError as error:
        raise HubError(
            f"The share cannot listen on {options.address}, port {port}: {error.strerror}"
        ) from error
    server.start()
    try:
        yield
    finally:
        server.stop()
