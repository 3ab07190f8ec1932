"""Originals from immich: their bytes, and errors of images or of the server."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from storage.asset_paths import AssetKey, asset_path
from storage.errors import InvalidInput
from storage.records import ErrorKind, Sidecar
from workers.sources import connection
from workers.sources.library import LibrarySource
from workers.sources.location import (
    LibraryKind,
    LibraryLocation,
    library_location,
    location_at,
)
from workers.sources.registry import open_source
from workers.sources.source import FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = b"\x89PNG" + b"x" * 5_000
ID = UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6")
PATH = asset_path(["Alps"], AssetKey(ID, hashlib.sha1(DATA).digest()[:8]), "a.png")
SECRET = "s3cret-key"


class Handler(BaseHTTPRequestHandler):
    """Answers once as the test says, and notes the requests."""

    protocol_version = "HTTP/1.1"
    status, headers_sent, body = 200, {"Content-Type": "image/png"}, DATA
    length: int | None = None
    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        """Answer."""
        self.seen.append((self.path, self.headers.get("x-api-key")))
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in self.headers_sent:
            self.send_header("Content-Length", str(self.length or len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)
        self.close_connection = self.length is not None

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def handler() -> type[Handler]:
    """Return a handler of the test's own."""
    return type("OwnHandler", (Handler,), {"seen": []})


@pytest.fixture
def source(handler: type[Handler], monkeypatch: pytest.MonkeyPatch) -> Iterator[LibrarySource]:
    """Yield a source at a server with that handler, below a path."""
    monkeypatch.setenv(LibraryKind.IMMICH.key_variable, f"{SECRET}\n")
    monkeypatch.setattr(connection, "TIMEOUT_SECONDS", 5)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        opened = open_source(
            LibraryLocation(LibraryKind.IMMICH, f"http://127.0.0.1:{server.server_port}/photos"),
            9_999,
        )
        assert isinstance(opened, LibrarySource)
        yield opened
        opened.close()
        server.shutdown()
        thread.join()


def test_original_is_fetched(source: LibrarySource, handler: type[Handler]) -> None:
    """Several come over one connection; the key is in the header, and nowhere else."""
    fetched = [source.fetch(PATH, size) for size in (len(DATA), 0, None)]

    assert [DATA] * 3 == [one.data for one in fetched]
    assert hashlib.sha256(DATA).digest() == fetched[0].digest
    assert [(f"/photos/api/assets/{ID}/original", SECRET)] * 3 == handler.seen
    assert SECRET not in str(source.location)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"status": 404}, ErrorKind.UNREADABLE),
        ({"status": 400}, ErrorKind.UNREADABLE),
        ({"body": b"x" * len(DATA)}, ErrorKind.CHANGED),
        ({"body": DATA[:-1]}, ErrorKind.CHANGED),
        ({"body": b"x" * 10_000}, ErrorKind.TOO_LARGE),
        ({"body": b""}, ErrorKind.CHANGED),
    ],
)
def test_errors_of_one_image(
    source: LibrarySource, handler: type[Handler], change: dict[str, object], kind: ErrorKind
) -> None:
    """An image that is gone, other than listed, or too large, is an error of its own."""
    for name, value in change.items():
        setattr(handler, name, value)
    with pytest.raises(FetchError) as caught:
        source.fetch(PATH, len(DATA))

    assert kind is caught.value.kind


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"status": 401}, "refuses the key"),
        ({"status": 403}, "asset.download"),
        ({"status": 429}, "HTTP status 429"),
        ({"status": 503}, "HTTP status 503"),
        ({"status": 302, "headers_sent": {"Location": "http://127.0.0.1:1/"}}, "HTTP status 302"),
        ({"headers_sent": {"Content-Type": "text/html; charset=utf-8"}}, "a web page"),
        ({"length": len(DATA) + 9}, "broke off"),
        ({"headers_sent": {"Transfer-Encoding": "chunked"}}, "does not answer"),
    ],
)
def test_errors_of_the_server(
    source: LibrarySource, handler: type[Handler], change: dict[str, object], text: str
) -> None:
    """Of a server that refuses, moves or breaks off, no image gets a verdict; it is asked later."""
    for name, value in change.items():
        setattr(handler, name, value)
    with pytest.raises(SourceUnavailable) as caught:
        source.fetch(PATH, len(DATA))
    for name in change:
        delattr(handler, name)

    assert text in str(caught.value)
    assert SECRET not in str(caught.value)
    assert DATA == source.fetch(PATH).data


def test_chunks_are_put_together(source: LibrarySource, handler: type[Handler]) -> None:
    """A proxy may send an original in chunks."""
    handler.headers_sent = {"Transfer-Encoding": "chunked", "Content-Type": "image/png"}
    handler.body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(DATA), DATA)

    assert DATA == source.fetch(PATH, len(DATA)).data


@pytest.mark.parametrize("path", [b"../etc/passwd", b"Alps/a.png", b"", b"~", b"/", b"\0"])
def test_path_without_key_is_outside(source: LibrarySource, path: bytes) -> None:
    """No path reaches the server but by the id in its key."""
    with pytest.raises(FetchError) as caught:
        source.fetch(path)
    with pytest.raises(FetchError):
        source.fetch_sidecar(PATH, Sidecar(b"a.xmp", 1, 1))

    assert ErrorKind.OUTSIDE is caught.value.kind


def test_large_image_is_not_asked_for(source: LibrarySource, handler: type[Handler]) -> None:
    """What was listed as larger than allowed is refused without a request."""
    with pytest.raises(FetchError) as caught:
        source.fetch(PATH, 10_000)

    assert ErrorKind.TOO_LARGE is caught.value.kind
    assert [] == handler.seen


def test_without_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the key says what it needs."""
    monkeypatch.delenv(LibraryKind.IMMICH.key_variable, raising=False)
    with pytest.raises(SourceUnavailable, match="needs its key in SCANNER_IMMICH_KEY"):
        open_source(LibraryLocation(LibraryKind.IMMICH, "https://photos.example"), 1)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("immich://photos.example", "https://photos.example"),
        ("immich+https://photos.example/", "https://photos.example"),
        ("immich+http://nas:2283/api", "http://nas:2283"),
        ("immich+http://[::1]:2283/sub/", "http://[::1]:2283/sub"),
    ],
)
def test_urls_of_libraries(text: str, url: str) -> None:
    """A library is read as it is typed, stored and sent to other processes."""
    location = library_location(text)

    assert location is not None
    assert url == location.url
    assert location == location_at(str(location).encode())


@pytest.mark.parametrize(
    "text", ["/photos", "immich", "sftp://nas/x", "Immich://x", "immich+ftp://x"]
)
def test_other_locations(text: str) -> None:
    """Folders and other URLs are no libraries."""
    assert library_location(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "immich://", "immich://user:pass@nas", "immich://nas:0", "immich://nas:x", "immich://nas?k=v",
        "immich://nas#x", "immich://n as", "immich://nas\n", "immich://näs", "immich+http://[::1",
    ],
)  # fmt: skip
def test_invalid_urls(text: str) -> None:
    """A URL with a password, or none, is refused in one sentence that does not repeat it."""
    with pytest.raises(InvalidInput) as caught:
        library_location(text)

    assert "invalid URL: expected immich://HOST or immich+http://HOST:PORT" == str(caught.value)
