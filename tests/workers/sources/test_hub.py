"""Images from the hub's share: their bytes, and errors of files or of the share."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scanner.fleet.file_server import Access, FileServer, Rate
from storage.database.store import Store
from storage.records import ErrorKind, ListedImage, Plan, Sidecar
from storage.writes import listing, scans
from workers.sources import source
from workers.sources.hub import HubSource
from workers.sources.location import HubLocation
from workers.sources.source import FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = b"a b/\xff?.png"
CONTENT = b"\x89PNG\r\n\x1a\n" + b"x" * 5000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Yield a store that lists the files of a folder."""
    folder = tmp_path / "photos"
    (folder / "a b").mkdir(parents=True)
    (folder / os.fsdecode(NAME)).write_bytes(CONTENT)
    (folder / "empty.png").touch()
    (folder / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + b"x" * 9000)
    opened = Store.open(str(tmp_path / "store.db"))
    of = scans.new_scan(
        opened,
        scans.ensure_collection(opened, "photos", os.fsencode(folder)),
        scans.ensure_plan(opened, Plan(())),
        "fleet",
    )
    names = (NAME, b"empty.png", b"film.mp4", b"gone.png")
    listing.add_batch(opened, of, [ListedImage(name, 1, 1) for name in names], None)
    yield opened
    opened.close()


@pytest.fixture
def root(store: Store) -> Iterator[HubSource]:
    """Yield a source on a share of that store."""
    with FileServer(("127.0.0.1", 0), Access(store, "s3cret".__eq__, Rate(1e9), 2**20)) as server:
        url = f"http://127.0.0.1:{server.port}"
        source_on_share = HubSource(HubLocation(url, "s3cret", None, "photos"), 2**20)
        yield source_on_share
        source_on_share.close()


def test_bytes_and_digest(root: HubSource) -> None:
    """A file comes with the digest of its bytes."""
    fetched = root.fetch(NAME, len(CONTENT))

    assert (CONTENT, hashlib.sha256(CONTENT).digest()) == (fetched.data, fetched.digest)


@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [
        (NAME, 7, ErrorKind.CHANGED),
        (b"empty.png", 0, ErrorKind.EMPTY),
        (b"gone.png", 5, ErrorKind.UNREADABLE),
        (b"never-listed.png", 5, ErrorKind.UNREADABLE),
    ],
)
def test_errors_of_a_file(root: HubSource, name: bytes, size: int, kind: ErrorKind) -> None:
    """Errors of a file are the same as for a local one."""
    with pytest.raises(FetchError) as caught:
        root.fetch(name, size)

    assert kind is caught.value.kind
    # The next one comes all the same.
    assert CONTENT == root.fetch(NAME).data


def test_sidecar(root: HubSource, store: Store, tmp_path: Path) -> None:
    """A sidecar comes by the name of its image, with the size that was listed."""
    (tmp_path / "photos" / "a b" / "x&y.xmp").write_bytes(b"<x:xmpmeta>")
    listed = Sidecar(b"x&y.xmp", 11, 1)
    image = ListedImage(b"a b/new.png", 1, 1, None, (listed,))
    scan = scans.find_scan(store)
    listing.add_batch(store, scan, [image], None)

    assert b"<x:xmpmeta>" == root.fetch_sidecar(b"a b/new.png", listed)
    for sidecar, kind in [
        (replace(listed, size_bytes=7), ErrorKind.CHANGED),
        (replace(listed, name=b"other.xmp"), ErrorKind.UNREADABLE),
    ]:
        with pytest.raises(FetchError) as caught:
            root.fetch_sidecar(b"a b/new.png", sidecar)
        assert kind is caught.value.kind


def test_too_large(root: HubSource) -> None:
    """No more than the maximum is read."""
    small = HubSource(root.location, 100)
    with pytest.raises(FetchError) as caught:
        small.fetch(NAME)
    small.close()

    assert ErrorKind.TOO_LARGE is caught.value.kind


def test_large_video_is_not_read(root: HubSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large file the two ends are read first, and a video is refused by them."""
    monkeypatch.setattr(source, "LARGE_BYTES", 1000)
    ranges: list[str] = []
    get = root._connection._connection.request

    def noted(method: str, path: str, headers: dict[str, str]) -> None:
        ranges.append(headers.get("Range", "all"))
        get(method, path, headers=headers)

    monkeypatch.setattr(root._connection._connection, "request", noted)
    with pytest.raises(FetchError):
        root.fetch(b"film.mp4", 9012)

    assert ["bytes=0-4095", "bytes=8980-9011"] == ranges


def test_large_file_that_shrank(root: HubSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file that shrank has changed."""
    monkeypatch.setattr(source, "LARGE_BYTES", 1000)
    for name, size in ((b"empty.png", 5000), (b"film.mp4", 50_000)):
        with pytest.raises(FetchError) as caught:
            root.fetch(name, size)

        assert ErrorKind.CHANGED is caught.value.kind


def test_wrong_token(root: HubSource) -> None:
    """A rejected token makes the source unavailable."""
    stranger = HubSource(replace(root.location, token="old"), 2**20)
    with pytest.raises(SourceUnavailable, match="join again"):
        stranger.fetch(NAME)
    stranger.close()

    assert "s3cret" not in str(root.location)


def test_hub_restart(root: HubSource) -> None:
    """A lost connection is opened again; an unreachable hub is unavailable."""
    root.fetch(NAME)
    root._connection._connection.sock.shutdown(socket.SHUT_RDWR)
    assert CONTENT == root.fetch(NAME).data
    away = HubSource(replace(root.location, url="http://127.0.0.1:1"), 2**20)
    with pytest.raises(SourceUnavailable, match="does not answer"):
        away.fetch(NAME)


@pytest.mark.parametrize(
    "answer_bytes",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5008\r\n\r\n" + CONTENT[:100],
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
    ids=["cut off", "cut off early", "no HTTP", "another place", "trouble", "nothing"],
)
def test_broken_server(answer_bytes: bytes) -> None:
    """A broken or missing answer makes the source unavailable."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as client:
                        client.recv(4096)
                        client.sendall(answer_bytes)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        root = HubSource(HubLocation(url, "s3cret", None, "photos"), 2**20)
        with pytest.raises(SourceUnavailable):
            root.fetch(NAME, len(CONTENT))
        root.close()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
