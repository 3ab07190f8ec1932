"""The hub's files over HTTP, to read: for machines that do not see a collection's folder.

    GET /COLLECTION/PATH     both percent-encoded, with `Authorization: Bearer TOKEN`

Only what a collection in the store lists is there, opened below its root as workers open it, so no
path leads elsewhere. A range may be asked for; all answers together keep to a rate.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
import socket
import ssl
import stat
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from storage.errors import StoreError
from storage.writes.listing import root_of_listed
from workers.errors import ImageProblem
from workers.sources.local import LocalSource
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from storage.database.store import Store

log = logging.getLogger(__name__)

# Connections at a time; each has a thread, and each of a worker's processes has one.
MOST_AT_ONCE = 256
# Seconds that a client may take to ask, or to take a piece.
RETRY_SECONDS = 30
# Seconds within which the server notices that it is to stop.
POLL_SECONDS = 0.1
PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Rate:
    """A number of bytes a second for all who ask together."""

    def __init__(self, bytes_per_second: float) -> None:
        self._per_second = bytes_per_second
        self._free_at = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, size_bytes: int) -> None:
        """Wait until so many bytes may go."""
        with self._lock:
            now = time.monotonic()
            at = max(self._free_at, now)
            self._free_at = at + size_bytes / self._per_second
        time.sleep(at - now)


class Share(ThreadingHTTPServer):
    """The server; `start` and `stop` it."""

    daemon_threads = True
    # A hub that is started again takes its port at once.
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], store: Store, token: str, rate: Rate, max_bytes: int
    ) -> None:
        """OSError where the address cannot be had."""
        self.store = store
        self.token = token
        self.rate = rate
        self.max_bytes = max_bytes
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(POLL_SECONDS,), name="share", daemon=True
        )

    def use_tls(self, cert: Path, key: Path) -> None:
        """Speak TLS with a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        # The handshake belongs to the request's own thread: one that never ends it stops no other.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def start(self) -> None:
        """Answer from now on, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Give a connection a thread, or hang up where there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Answer all that comes on a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, _request: object, _client_address: object) -> None:
        """A client that went away, or speaks something else, is not worth a traceback."""
        log.debug("a request ended early: %s", sys.exception())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = RETRY_SECONDS
    server: Share

    def do_GET(self) -> None:
        """Send a file, or a part of one."""
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.UNAUTHORIZED)
            return
        parts = [unquote_to_bytes(part) for part in urlsplit(self.path).path.split("/", 2)]
        try:
            name, path = parts[1].decode(), parts[2]
            folder = root_of_listed(self.server.store, name, path)
            if folder is None:
                self._refuse(HTTPStatus.NOT_FOUND)
                return
            # Its own descriptor: what goes wrong while it is sent is no fault of the root's.
            with LocalSource(os.fsdecode(folder)) as root, root.open_file(path) as opened:
                descriptor = os.dup(opened)
        except (IndexError, UnicodeDecodeError, ImageProblem):
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        except (SourceUnavailable, StoreError) as error:
            log.warning("the share: %s", error)
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        try:
            self._send(descriptor)
        finally:
            os.close(descriptor)

    def _send(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        size = found.st_size
        if not stat.S_ISREG(found.st_mode):
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        if size > self.server.max_bytes:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        asked = self.headers.get("Range")
        part = _part(asked, size) if asked else range(size)
        if part is None:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if asked:
            self.send_header("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}")
        self.end_headers()
        for offset in range(part.start, part.stop, PIECE_BYTES):
            piece = os.pread(descriptor, min(PIECE_BYTES, part.stop - offset), offset)
            self.server.rate.wait(len(piece))
            self.wfile.write(piece)
            if not piece:
                # It has become shorter; what was promised cannot be kept.
                self.close_connection = True
                return

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def version_string(self) -> str:
        """Nobody has to know what this is."""
        return "scanner"

    def log_message(self, _format: str, *_arguments: object) -> None:
        """One line a file would be too many."""


def _part(asked: str, size: int) -> range | None:
    """The bytes that a Range header asks for; None where there are none such."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None:
        return None
    first, last = found.groups()
    if first:
        part = range(int(first), min(int(last) + 1 if last else size, size))
    elif last:
        part = range(max(0, size - int(last)), size)
    else:
        return None
    return part if len(part) > 0 else None
