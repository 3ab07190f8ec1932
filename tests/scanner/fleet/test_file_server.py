"""The hub's file server."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from scanner.fleet import file_server
from scanner.fleet.certificate import ensure_certificate
from scanner.fleet.file_server import Access, FileServer, Rate
from storage.database.store import Store
from storage.records import ListedImage, Plan, Sidecar
from storage.writes import listing, scans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BYTES = bytes(range(256)) * 4
MAX_BYTES = 16 * 2**20
TOKEN = {"Authorization": "Bearer s3cret"}
LISTED = (
    b"a b/\xff?.jpg",
    b"link.jpg",
    b"large.jpg",
    b"folder.jpg",
    b"gone.jpg",
    b"../outside.jpg",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a store that lists some files of a folder, and some names that lead out of it."""
    folder = tmp_path / "photos"
    (folder / "a b").mkdir(parents=True)
    (folder / "folder.jpg").mkdir()
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    (folder / "secret.jpg").write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (folder / "large.jpg").touch()
    os.truncate(folder / "large.jpg", MAX_BYTES + 1)
    (folder / "a b" / os.fsdecode(b"\xff?.jpg")).write_bytes(BYTES)
    opened = Store.open(str(tmp_path / "store.db"))
    scan = scans.new_scan(
        opened,
        scans.ensure_collection(opened, "my/photos", os.fsencode(folder)),
        scans.ensure_plan(opened, Plan(())),
        "fleet",
    )
    listing.add_batch(opened, scan, [ListedImage(path, 10, 1) for path in LISTED], None)
    yield opened
    opened.close()


@pytest.fixture
def server(store: Store) -> Iterator[FileServer]:
    """Return a file server for that store on a free port."""
    with FileServer(
        ("127.0.0.1", 0), Access(store, "s3cret".__eq__, Rate(1e9), MAX_BYTES)
    ) as running:
        yield running


def get(
    server: FileServer, path: str, headers: Mapping[str, str] = TOKEN
) -> tuple[int, bytes, str | None]:
    """Return status, content and range of the response to a request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", path, headers=dict(headers))
    response = connection.getresponse()
    content_range = response.getheader("Content-Range")
    result = response.status, response.read(), content_range
    connection.close()
    return result


FILE = "/my%2Fphotos/a%20b/%FF%3F.jpg"


def test_listed_file(server: FileServer) -> None:
    """A listed file of any name is sent."""
    assert (200, BYTES, None) == get(server, FILE)


def test_sidecars(store: Store, server: FileServer, tmp_path: Path) -> None:
    """A sidecar is sent if it is listed for the image that is asked for, and no other file."""
    folder = tmp_path / "photos" / "a b"
    for name in ("é.xmp", "other.xmp", "link.xmp"):
        (folder / name).write_bytes(name.encode())
    sidecars = (Sidecar("é.xmp".encode(), 5, 1), Sidecar(b"gone.xmp", 5, 1))
    scan = scans.find_scan(store)
    listing.add_batch(store, scan, [ListedImage(b"a b/new.jpg", 10, 1, None, sidecars)], None)

    sent = get(server, "/my%2Fphotos/a%20b/new.jpg?sidecar=%C3%A9.xmp")

    assert (200, "é.xmp".encode(), None) == sent
    for path in (
        "/my%2Fphotos/a%20b/new.jpg?sidecar=other.xmp",
        "/my%2Fphotos/a%20b/new.jpg?sidecar=gone.xmp",
        "/my%2Fphotos/a%20b/new.jpg?sidecar=..%2Fsecret.jpg",
        "/my%2Fphotos/a%20b/new.jpg?sidecar=",
        "/my%2Fphotos/a%20b/new.jpg?x=%C3%A9.xmp",
        FILE + "?sidecar=%C3%A9.xmp",
        "/my%2Fphotos/a%20b/%C3%A9.xmp",
    ):
        assert (404, b"", None) == get(server, path), path


@pytest.mark.parametrize(
    ("requested", "status", "content", "sent"),
    [
        ("bytes=0-9", 206, BYTES[:10], "bytes 0-9/1024"),
        ("bytes=1000-", 206, BYTES[1000:], "bytes 1000-1023/1024"),
        ("bytes=1000-5000", 206, BYTES[1000:], "bytes 1000-1023/1024"),
        ("bytes=-5", 206, BYTES[-5:], "bytes 1019-1023/1024"),
        ("bytes=1024-", 416, b"", "bytes */1024"),
        ("bytes=9-3", 416, b"", "bytes */1024"),
        ("bytes=-0", 416, b"", "bytes */1024"),
        ("bytes=-", 416, b"", "bytes */1024"),
        ("bytes=0-1,5-6", 416, b"", "bytes */1024"),
        ("lines=1-2", 416, b"", "bytes */1024"),
    ],
)
def test_ranges(server: FileServer, requested: str, status: int, content: bytes, sent: str) -> None:
    """A range is sent, and an invalid one refused."""
    assert (status, content, sent) == get(server, FILE, TOKEN | {"Range": requested})


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "é"}])
def test_without_the_token(server: FileServer, headers: Mapping[str, str]) -> None:
    """Without the token all requests are refused, whether the file exists or not."""
    for path in (FILE, "/my%2Fphotos/secret.jpg"):
        assert 401 == get(server, path, headers)[0]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/my%2Fphotos/secret.jpg", 404),  # in the folder, not listed
        ("/other/secret.jpg", 404),
        ("/my%2Fphotos/link.jpg", 404),  # listed, and leads out of the folder
        ("/my%2Fphotos/..%2Foutside.jpg", 404),
        ("/my%2Fphotos/../outside.jpg", 404),
        ("/my%2Fphotos/gone.jpg", 404),
        ("/my%2Fphotos/folder.jpg", 404),
        ("/my%2Fphotos/large.jpg", 413),
        ("/my%2Fphotos", 404),
        ("/%FF/secret.jpg", 404),
        ("/", 404),
    ],
)
def test_files_that_are_not_served(server: FileServer, path: str, status: int) -> None:
    """Only listed files below the root that are not too large are served."""
    assert (status, b"") == get(server, path)[:2]


def test_other_methods(server: FileServer) -> None:
    """Methods other than GET are refused."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("PUT", FILE, body=b"x", headers=TOKEN)

    assert 501 == connection.getresponse().status
    connection.close()


def test_folder_is_away(server: FileServer, tmp_path: Path) -> None:
    """A folder that is not mounted is reported as unavailable, so that workers wait."""
    (tmp_path / "photos").rename(tmp_path / "away")

    assert 503 == get(server, FILE)[0]


def test_several_requests_on_one_connection(server: FileServer) -> None:
    """A connection serves several files."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for _ in range(3):
        connection.request("GET", FILE, headers=TOKEN)
        assert BYTES == connection.getresponse().read()
    connection.close()


def test_rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each response waits for those before it."""
    monkeypatch.setattr(file_server.time, "monotonic", lambda: 100.0)
    rate = Rate(1000.0)

    assert [0.0, 0.5, 1.0] == [rate.reserve(500) for _ in range(3)]


def test_silent_client_is_disconnected(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends no complete request in time is disconnected."""
    monkeypatch.setattr(file_server, "TIMEOUT_SECONDS", 0.3)
    for sent in (b"", b"GET / HTTP/1.1\r\nX: "):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall(sent)

            assert b"" == _rest(client)


def test_client_that_does_not_read_is_disconnected(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that does not take a chunk in time is disconnected."""
    monkeypatch.setattr(file_server, "TIMEOUT_SECONDS", 0.3)
    os.truncate(tmp_path / "photos" / "large.jpg", MAX_BYTES)
    request = "GET /my%2Fphotos/large.jpg HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer s3cret"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(f"{request}\r\n\r\n".encode())
        assert client.recv(1)
        connections = server._server.server_state.connections
        deadline = time.monotonic() + 20
        while connections and time.monotonic() < deadline:
            time.sleep(0.05)

        assert not connections


def _rest(client: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while block := client.recv(2**20):
            data += block
    return data


def test_too_many_connections(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection beyond the limit is closed at once, and those within it are served."""
    monkeypatch.setattr(file_server, "MAX_CONNECTIONS", 1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as first:
        first.sendall(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert first.recv(12) == b"HTTP/1.1 401"
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as second:
            assert b"" == _rest(second)


def test_stop_in_the_middle_of_a_response(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that stops cuts responses off at once, without an error in its log."""
    os.truncate(tmp_path / "photos" / "large.jpg", MAX_BYTES)
    with FileServer(
        ("127.0.0.1", 0), Access(store, "s3cret".__eq__, Rate(1.0), MAX_BYTES)
    ) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        client.request("GET", FILE, headers=TOKEN)
        assert client.getresponse().read() == BYTES
        client.request("GET", "/my%2Fphotos/large.jpg", headers=TOKEN)
        response = client.getresponse()
        start = time.monotonic()

    assert time.monotonic() - start < 5
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    client.close()
    assert not caplog.records


def test_tls(store: Store, tmp_path: Path) -> None:
    """A client trusts the server by its self-signed certificate only."""
    pem = ensure_certificate(tmp_path)
    tls = (tmp_path / "cert.pem", tmp_path / "key.pem")
    access = Access(store, "s3cret".__eq__, Rate(1e9), MAX_BYTES)
    context = ssl.create_default_context(cadata=pem)
    context.check_hostname = False
    with FileServer(("127.0.0.1", 0), access, tls) as server:
        address = "127.0.0.1", server.port
        client = http.client.HTTPSConnection(*address, timeout=20, context=context)
        client.request("GET", FILE, headers=TOKEN)
        content = client.getresponse().read()
        client.close()
        stranger = http.client.HTTPSConnection(*address, timeout=20)
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("GET", FILE, headers=TOKEN)
        stranger.close()

    assert content == BYTES
    assert 0o600 == (tmp_path / "key.pem").stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("address", "client"), [("::1", "::1"), ("::", "::1"), ("::", "127.0.0.1")]
)
def test_ipv6(store: Store, address: str, client: str) -> None:
    """The server listens on an IPv6 address, and with `::` on all addresses."""
    with FileServer((address, 0), Access(store, "s3cret".__eq__, Rate(0), 10_000)) as server:
        connection = http.client.HTTPConnection(client, server.port, timeout=10)
        connection.request("GET", "/")
        status = connection.getresponse().status
        connection.close()

    assert http.HTTPStatus.UNAUTHORIZED == status
