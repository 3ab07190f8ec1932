"""Sources by URL: the bytes of files, and errors of files or of the connection."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from scanner.config import parse_roots
from storage.records import ErrorKind, Sidecar
from workers.sources.location import UrlLocation
from workers.sources.registry import open_source
from workers.sources.remote import RemoteSource
from workers.sources.source import FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if importlib.util.find_spec("fsspec") is None:
    if os.environ.get("CI"):
        pytest.fail("fsspec is not installed", pytrace=False)
    pytest.skip("fsspec is not installed", allow_module_level=True)


@pytest.fixture
def root(tmp_path: Path) -> RemoteSource:
    """Return a folder as a source by its URL."""
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "1.jpg").write_bytes(b"one")
    (tmp_path / "photos" / "empty.jpg").touch()
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    return RemoteSource(UrlLocation(f"file://{tmp_path}/photos"), 100)


def test_bytes_and_digest(root: RemoteSource) -> None:
    """A file comes with the digest of its bytes."""
    fetched = root.fetch(b"a/1.jpg", 3)

    assert (b"one", hashlib.sha256(b"one").digest()) == (fetched.data, fetched.digest)


def test_sidecar(root: RemoteSource, tmp_path: Path) -> None:
    """A sidecar is read next to its image, in the root too, if it is as listed."""
    for name in ("a/1.xmp", "2.xmp"):
        (tmp_path / "photos" / name).write_bytes(name.encode())

    assert b"a/1.xmp" == root.fetch_sidecar(b"a/1.jpg", Sidecar(b"1.xmp", 7, 1))
    assert b"2.xmp" == root.fetch_sidecar(b"2.jpg", Sidecar(b"2.xmp", 5, 1))
    with pytest.raises(FetchError, match="when it was listed"):
        root.fetch_sidecar(b"2.jpg", Sidecar(b"2.xmp", 6, 1))


@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [
        (b"a/1.jpg", 4, ErrorKind.CHANGED),
        (b"empty.jpg", None, ErrorKind.EMPTY),
        (b"gone.jpg", None, ErrorKind.UNREADABLE),
        (b"../outside.jpg", None, ErrorKind.OUTSIDE),
        (b"/etc/passwd", None, ErrorKind.OUTSIDE),
        (b"a/./1.jpg", None, ErrorKind.OUTSIDE),
        (b"a\0", None, ErrorKind.OUTSIDE),
    ],
)
def test_errors_of_a_file(
    root: RemoteSource, name: bytes, size: int | None, kind: ErrorKind
) -> None:
    """Errors of a file are the same as for a local one."""
    with pytest.raises(FetchError) as caught:
        root.fetch(name, size)

    assert kind is caught.value.kind


def test_too_large(root: RemoteSource) -> None:
    """A file that is too large is not read."""
    with pytest.raises(FetchError) as caught:
        RemoteSource(root.location, 2).fetch(b"a/1.jpg")

    assert ErrorKind.TOO_LARGE is caught.value.kind


def test_missing_folder(root: RemoteSource, tmp_path: Path) -> None:
    """A missing folder makes the source unavailable."""
    (tmp_path / "photos").rename(tmp_path / "away")
    with pytest.raises(SourceUnavailable, match="photos not found"):
        root.fetch(b"a/1.jpg")


def test_broken_connection(root: RemoteSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other error of a library makes the source unavailable."""

    class Odd(Exception):
        """An error of some library."""

    def broken(_path: str) -> Any:  # noqa: ANN401
        raise Odd

    monkeypatch.setattr(root._fs, "size", broken)
    with pytest.raises(SourceUnavailable, match=r"just now \(Odd\)"):
        root.fetch(b"a/1.jpg")


def test_unknown_protocol() -> None:
    """An unknown protocol is one sentence, without the password."""
    with pytest.raises(SourceUnavailable) as caught:
        RemoteSource(UrlLocation("nosuch://me:s3cret@nas/photos"), 100)

    assert "nosuch://nas/photos cannot be read" in str(caught.value)
    assert "s3cret" not in str(caught.value)


class Web:
    """A web server that lists nothing, sends no lengths, and refuses some files."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Files)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/photos"

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


class _Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.removeprefix("/photos/")
        if name not in {"1.jpg", "endless.jpg"}:
            self.send_error(403 if name == "secret.jpg" else 404)
            return
        self.send_response(200)
        self.end_headers()
        if self.command == "GET":
            # What is read is bounded, so somebody hangs up on the endless one.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(b"one" if name == "1.jpg" else bytes(10_000_000))

    do_HEAD = do_GET  # noqa: N815 - so it is called

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Web]:
    """Yield that server, started."""
    server = Web()
    yield server
    server.stop()


def test_web_server_without_listing(web: Web) -> None:
    """Missing and refused files are errors of their own, not of the server."""
    root = RemoteSource(UrlLocation(web.url), 100)
    errors = []
    for name in (b"gone.jpg", b"secret.jpg", b"endless.jpg"):
        with pytest.raises(FetchError) as caught:
            root.fetch(name)
        errors.append((caught.value.kind, caught.value.text))

    assert b"one" == root.fetch(b"1.jpg").data
    assert [
        (ErrorKind.UNREADABLE, "cannot be read (there is no such file)"),
        (ErrorKind.UNREADABLE, "cannot be read (there is no such file)"),
        (ErrorKind.TOO_LARGE, "has 101 bytes, more than 100"),
    ] == errors


def test_stopped_web_server(web: Web) -> None:
    """A stopped web server makes the source unavailable."""
    root = RemoteSource(UrlLocation(web.url), 100)
    web.stop()
    with pytest.raises(SourceUnavailable, match="cannot be read just now"):
        root.fetch(b"1.jpg")


def test_url_of_a_command_line(tmp_path: Path) -> None:
    """A URL that `--root` names is opened."""
    url = f"file://{tmp_path}"
    (tmp_path / "1.jpg").write_bytes(b"one")
    place = parse_roots((f"photos={url}",))["photos"]

    assert UrlLocation(url) == place
    assert b"one" == open_source(place, 100).fetch(b"1.jpg").data


def test_without_fsspec() -> None:
    """One sentence says which extra is missing."""
    script = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from workers.sources.location import UrlLocation\n"
        "from workers.sources.remote import RemoteSource\n"
        "try: RemoteSource(UrlLocation('sftp://nas/photos'), 1)\n"
        "except Exception as error: print(error)\n"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    )

    assert "pip install '.[remote]'" in done.stdout
