"""The web server: its socket, its settings, and its loop."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from scanner.processes.addresses import in_url

if TYPE_CHECKING:
    from starlette.applications import Starlette

# Seconds that open streams have when the server stops.
GRACE_SECONDS = 1
BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket and its URL."""

    socket: socket.socket
    url: str


def listen(host: str, port: int) -> Listener:
    """Listen on a host and port, 0 for a free one; raises OSError where that is impossible."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = addresses[0]
    listening = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    # Without it the body of a small response waits 40 ms for the headers' acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Listener(listening, f"http://{in_url(host)}:{listening.getsockname()[1]}/")


def make_server(app: Starlette) -> uvicorn.Server:
    """Return a server for the app, to be run with sockets."""
    config = uvicorn.Config(
        app,
        log_level="error",
        # It would log tokens.
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return uvicorn.Server(config)


def serve(app: Starlette, listener: Listener) -> None:
    """Serve until SIGTERM or Ctrl-C; the latter raises KeyboardInterrupt."""
    server = make_server(app)
    received: set[int] = set()

    def stop(number: int, _frame: object) -> None:
        received.add(number)
        server.should_exit = True
        if number == signal.SIGINT:
            # A second one ends what is waited for.
            signal.signal(number, signal.default_int_handler)

    # uvicorn raises a signal again after it has stopped. KeyboardInterrupt would get lost where
    # that meets a destructor; for a service manager SIGTERM is no failure.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.run(sockets=[listener.socket])
    if signal.SIGINT in received:
        raise KeyboardInterrupt
