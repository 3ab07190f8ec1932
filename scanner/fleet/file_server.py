"""Serve the hub's images over HTTP, read-only, to machines that cannot read the folder itself.

    GET /COLLECTION/PATH                  percent-encoded, with `Authorization: Bearer TOKEN`
    GET /COLLECTION/PATH?sidecar=NAME     a sidecar of that image, by its name

Only images and sidecars that the store lists are served, and each is opened below its collection's
root as workers open it, so no request reaches any other file. Byte ranges are supported. One rate
limit applies to all responses together.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import stat
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote_to_bytes

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from storage.errors import StoreError
from storage.records import beside
from storage.writes.listing import root_of_listed
from workers.errors import ImageProblem
from workers.sources.local import LocalSource
from workers.sources.location import LibraryLocation, location_at
from workers.sources.registry import open_source
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from storage.database.store import Store

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 256
# Seconds that a client may take to send a request, or to receive a chunk.
TIMEOUT_SECONDS = 30
# Seconds that responses have to finish when the server stops.
GRACE_SECONDS = 1
CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})|bytes=-(\d{1,18})")


class Rate:
    """A limit in bytes per second for all responses together; not for several threads."""

    def __init__(self, bytes_per_second: float) -> None:
        self._per_second = bytes_per_second
        self._free_at = time.monotonic()

    def reserve(self, size_bytes: int) -> float:
        """Return the seconds to wait before sending so many bytes."""
        now = time.monotonic()
        start = max(self._free_at, now)
        self._free_at = start + size_bytes / self._per_second
        return start - now


@dataclass(frozen=True, slots=True)
class Access:
    """What the server offers: a store's images up to a size, to clients with a valid token."""

    store: Store
    is_valid: Callable[[str], bool]
    rate: Rate
    max_bytes: int


class FileServer:
    """The server, which answers in a thread inside the `with` block."""

    def __init__(
        self, address: tuple[str, int], access: Access, tls: tuple[Path, Path] | None = None
    ) -> None:
        """Listen on an address, with TLS if given the files of a certificate and its key.

        Raise OSError.
        """
        self._access = access
        self._listener = _listen(address)
        # Without it the body of a small image waits 40 ms for the headers' acknowledgement.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        cert, key = tls or (None, None)
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http=_Connection,
            ws="none",
            proxy_headers=False,
            lifespan="off",
            ssl_certfile=cert,
            ssl_keyfile=key,
            # Records go to the root logger.
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_keep_alive=TIMEOUT_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="file-server", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop answering and close all connections."""
        self._server.should_exit = True
        self._thread.join()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with ExitStack() as files:
                response = await self._respond(Request(scope), files)
                await response(scope, receive, send)
        except SourceUnavailable as error:
            log.warning("file server: %s", error)

    async def _respond(self, request: Request, files: ExitStack) -> Response:
        """Return the response; `files` closes the file that it streams."""
        if request.method != "GET":
            return Response(status_code=HTTPStatus.NOT_IMPLEMENTED)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self._access.is_valid(token):
            return Response(status_code=HTTPStatus.UNAUTHORIZED)
        try:
            descriptor = await run_in_threadpool(
                self._open, request.scope["raw_path"], request.scope["query_string"]
            )
        except (SourceUnavailable, StoreError) as error:
            log.warning("file server: %s", error)
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        if descriptor is None:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        files.callback(os.close, descriptor)
        return self._send(descriptor, request.headers.get("Range"))

    def _open(self, raw_path: bytes, query: bytes) -> int | None:
        """Return a descriptor of the image at a URL's path, or its sidecar; None if not listed.

        Raise SourceUnavailable and StoreError.
        """
        try:
            _, collection, path = (unquote_to_bytes(part) for part in raw_path.split(b"/", 2))
            sidecar = _sidecar_name(query)
            folder = root_of_listed(self._access.store, collection.decode(), path, sidecar)
        except ValueError:  # not two parts, or a collection that is not UTF-8
            return None
        if folder is None:
            return None
        if sidecar is not None:
            path = beside(path, sidecar)
        try:
            # A duplicate, so that an error while sending is not taken for one of the root.
            location = location_at(folder)
            if isinstance(location, LibraryLocation):
                return self._fetch(location, path)
            with LocalSource(location) as root, root.open_file(path) as opened:
                return os.dup(opened)
        except ImageProblem:
            return None

    def _fetch(self, location: LibraryLocation, path: bytes) -> int:
        """Return a descriptor of a temporary copy of an image, which only this machine can get."""
        with closing(open_source(location, self._access.max_bytes)) as source:
            data = source.fetch(path).data
        with tempfile.TemporaryFile() as copy:
            copy.write(data)
            copy.flush()
            return os.dup(copy.fileno())

    def _send(self, descriptor: int, range_header: str | None) -> Response:
        status = os.fstat(descriptor)
        size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            return Response(status_code=HTTPStatus.NOT_FOUND)
        if size > self._access.max_bytes:
            return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        headers = {"Accept-Ranges": "bytes"}
        if range_header is None:
            part, code = range(size), HTTPStatus.OK
        elif (parsed := parse_range(range_header, size)) is not None:
            part, code = parsed, HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        else:
            code = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            return Response(status_code=code, headers={"Content-Range": f"bytes */{size}"})
        headers["Content-Length"] = str(len(part))
        content = self._read(descriptor, part)
        return StreamingResponse(content, code, headers, media_type="application/octet-stream")

    async def _read(self, descriptor: int, part: range) -> AsyncIterator[bytes]:
        """Yield the bytes of a part of a file, at the rate of the server."""
        for offset in range(part.start, part.stop, CHUNK_BYTES):
            size = min(CHUNK_BYTES, part.stop - offset)
            chunk = await run_in_threadpool(os.pread, descriptor, size, offset)
            if not chunk:
                raise SourceUnavailable("a file became shorter while it was sent")
            await asyncio.sleep(self._access.rate.reserve(len(chunk)))
            yield chunk


def _sidecar_name(query: bytes) -> bytes | None:
    """Return the name in a URL's query, None where there is none."""
    key, _, name = query.partition(b"=")
    return unquote_to_bytes(name) if key == b"sidecar" else None


def _listen(address: tuple[str, int]) -> socket.socket:
    is_ipv6 = ":" in address[0]
    return socket.create_server(
        address,
        family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
        backlog=MAX_CONNECTIONS,
        # `::` stands for all addresses, those of IPv4 too.
        dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),
    )


def parse_range(header: str, size: int) -> range | None:
    """Return the bytes that a Range header asks for; None if it is invalid or beyond `size`."""
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last, length = match.groups()
    if length:
        return range(max(0, size - int(length)), size) or None
    return range(int(first), min(int(last) + 1 if last else size, size)) or None


class _Connection(H11Protocol):
    """One connection, with limits that uvicorn does not have.

    It is closed if there are too many, if its client takes longer than TIMEOUT_SECONDS to send a
    request or to receive a chunk, and when the server stops.
    """

    _timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._start_timeout()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_asking = self.cycle is None or self.cycle.response_complete
        if is_asking and self._timeout is None:
            self._start_timeout()
        elif not is_asking and not self.flow.write_paused:
            self._stop_timeout()

    def shutdown(self) -> None:
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_timeout()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timeout()
        super().connection_lost(exc)

    def _start_timeout(self) -> None:
        self._stop_timeout()
        self._timeout = self.loop.call_later(TIMEOUT_SECONDS, self.transport.abort)

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
