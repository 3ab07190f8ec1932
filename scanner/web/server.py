"""Serving the pages until somebody stops it."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from scanner.processes.addresses import in_url

if TYPE_CHECKING:
    from starlette.applications import Starlette

# Seconds that open streams have when the server is to stop.
GRACE_SECONDS = 1
BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Door:
    """A socket that listens, and the address that leads to it."""

    listener: socket.socket
    url: str


def listen(host: str, port: int) -> Door:
    """Listen there; OSError where that cannot be. Port 0 is one that is free."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, where = found[0]
    listener = socket.create_server(where[:2], family=family, backlog=BACKLOG)
    got = listener.getsockname()[1]
    return Door(listener, f"http://{in_url(host)}:{got}/")


def make_server(app: Starlette) -> uvicorn.Server:
    """A server for the app, which answers on the sockets that it is run with."""
    config = uvicorn.Config(
        app,
        log_level="error",
        # It would write tokens down.
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return uvicorn.Server(config)


def serve(app: Starlette, door: Door) -> None:
    """Answer until SIGTERM or Ctrl-C, which comes out as KeyboardInterrupt."""
    # uvicorn sends itself the signal again once it has stopped; a service manager's is done then.
    signal.signal(signal.SIGTERM, lambda *_: None)
    make_server(app).run(sockets=[door.listener])
