"""Reading ahead: what comes next is fetched meanwhile, and each image gets its own bytes."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import pytest

from storage.records import BatchImage, ErrorKind, Sidecar
from workers.sources.hub import HubSource
from workers.sources.local import LocalSource
from workers.sources.location import HubLocation, UrlLocation
from workers.sources.read_ahead import AHEAD_BYTES, AHEAD_FILES, ReadAhead
from workers.sources.registry import reading_ahead
from workers.sources.remote import RemoteSource
from workers.sources.source import Fetched, FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_SECONDS = 20.0


class Store:
    """A source that answers when it is told to, and notes what was requested by whom."""

    location = identity = UrlLocation("http://nas/photos")

    def __init__(self) -> None:
        self.requested: list[bytes] = []
        self.threads: set[str] = set()
        self.answers = threading.Event()
        self.is_closed = False
        self._changed = threading.Condition()

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Return the path itself, or an error."""
        with self._changed:
            self.requested.append(relative)
            self.threads.add(threading.current_thread().name)
            self._changed.notify_all()
        assert self.answers.wait(WAIT_SECONDS)
        if relative == b"bad":
            raise FetchError(ErrorKind.UNREADABLE, f"cannot be read, {expected_size}")
        if relative == b"lost":
            raise SourceUnavailable("the connection is lost")
        return Fetched(relative, hashlib.sha256(relative).digest())

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:
        """Return the path of the sidecar."""
        return sidecar.path(image)

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True

    def wait_for(self, count: int) -> None:
        """Wait until so many files were requested."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requested) >= count, WAIT_SECONDS)


@pytest.fixture
def store() -> Iterator[Store]:
    """Return a store whose requests end with the test."""
    store = Store()
    yield store
    store.answers.set()


def _images(*paths: bytes, size: int = 10) -> list[BatchImage]:
    return [BatchImage(number, path, size) for number, path in enumerate(paths)]


def _names(count: int) -> list[bytes]:
    return [b"%02d" % number for number in range(count)]


def test_what_comes_is_fetched_at_the_same_time_in_order(store: Store) -> None:
    """Several files are on their way before the first has arrived, and no more than the limit."""
    names = _names(20)
    source = ReadAhead(store, AHEAD_FILES)
    source.expect(_images(*names))
    store.wait_for(AHEAD_FILES)

    assert names[:AHEAD_FILES] == sorted(store.requested)
    store.answers.set()
    assert names == [source.fetch(name, 10).data for name in names]
    assert names == sorted(store.requested)


def test_one_thread_does_all_on_one_connection(store: Store) -> None:
    """Sources that only one thread may use are used by one."""
    store.answers.set()
    source = ReadAhead(store, 1)
    source.expect(_images(*_names(5)))
    for name in _names(5):
        source.fetch(name)

    assert 1 == len(store.threads)
    assert _names(5) == store.requested


@pytest.mark.parametrize("size", [AHEAD_BYTES, 0])
def test_large_files_are_fetched_one_by_one(store: Store, size: int) -> None:
    """What waits is limited by its bytes too; a file of any size, or none that is known, comes."""
    names = _names(3)
    store.answers.set()
    source = ReadAhead(store, AHEAD_FILES)
    source.expect(_images(*names, size=size))
    store.wait_for(1)

    assert names[:1] == store.requested
    assert names == [source.fetch(name, size).data for name in names]


def test_each_image_has_its_own_error(store: Store) -> None:
    """An error is raised where its image is asked for, and stops no other."""
    store.answers.set()
    source = ReadAhead(store, 2)
    source.expect(_images(b"1", b"bad", b"2", b"lost"))

    assert b"1" == source.fetch(b"1", 10).data
    with pytest.raises(FetchError, match="cannot be read, 10"):
        source.fetch(b"bad", 10)
    assert b"2" == source.fetch(b"2", 10).data
    with pytest.raises(SourceUnavailable):
        source.fetch(b"lost", 10)


def test_images_that_others_took_over_are_forgotten(store: Store) -> None:
    """What was split off is not fetched any more; what is on its way is not requested twice."""
    source = ReadAhead(store, 1)
    source.expect(_images(*_names(8)))
    store.wait_for(1)
    source.expect(_images(b"00", b"07"))
    store.answers.set()

    assert [b"00", b"07"] == [source.fetch(name, 10).data for name in (b"00", b"07")]
    assert [b"00", b"07"] == store.requested


def test_an_image_that_was_not_announced_is_fetched(store: Store) -> None:
    """A sidecar and a file of the fingerprint come when they are asked for."""
    store.answers.set()
    source = ReadAhead(store, 1)

    assert b"x" == source.fetch(b"x").data
    assert b"a/x.xmp" == source.fetch_sidecar(b"a/x.jpg", Sidecar(b"x.xmp", 1, 1))


def test_closing_waits_for_nothing(store: Store) -> None:
    """A worker that stops does not wait for a slow link."""
    source = ReadAhead(store, 1)
    source.expect(_images(*_names(8)))
    store.wait_for(1)
    source.close()

    assert store.is_closed
    assert [b"00"] == store.requested


def test_which_sources_read_ahead(tmp_path: Path) -> None:
    """Those on a network that allow it; a folder is read when it is needed."""
    pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    hub = HubSource(HubLocation("http://hub:1", "token", None, "photos"), 100)
    web = RemoteSource(UrlLocation("http://nas/photos"), 100)
    folder = RemoteSource(UrlLocation(f"file://{tmp_path}"), 100)
    local = LocalSource(tmp_path)

    assert isinstance(reading_ahead(hub), ReadAhead)
    assert isinstance(reading_ahead(web), ReadAhead)
    assert folder is reading_ahead(folder)
    assert local is reading_ahead(local)
    local.close()
