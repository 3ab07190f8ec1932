"""Originals from PhotoPrism: with its token for downloads, and errors of files or of the server."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from photo_servers import KEY, PhotoServer, photoprism, serve

from storage.asset_paths import FileKey, asset_path
from storage.errors import InvalidInput
from storage.records import ErrorKind
from workers.sources.library import PhotoPrismSource
from workers.sources.location import LibraryKind, LibraryLocation, library_location, location_at
from workers.sources.registry import open_source
from workers.sources.source import FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = b"\x89PNG" + b"x" * 5_000
PATH = asset_path(["2019", "05"], FileKey(hashlib.sha1(DATA).digest()), "a.png")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PhotoServer]:
    """Return a server with one file."""
    (tmp_path / "a.png").write_bytes(DATA)
    with serve(photoprism) as state:
        state.add(tmp_path / "a.png")
        yield state


@pytest.fixture
def source(server: PhotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PhotoPrismSource]:
    """Yield a source at that server."""
    monkeypatch.setenv("SCANNER_PHOTOPRISM_KEY", f"{KEY}\n")
    opened = open_source(LibraryLocation(LibraryKind.PHOTOPRISM, server.url), 9_999)
    assert isinstance(opened, PhotoPrismSource)
    yield opened
    opened.close()


def test_original_is_fetched(source: PhotoPrismSource, server: PhotoServer) -> None:
    """The token is asked for once."""
    fetched = [source.fetch(PATH, size) for size in (len(DATA), 0, None)]

    assert [DATA] * 3 == [one.data for one in fetched]
    assert ("GET", "/api/v1/config") == server.requests[0]
    assert 4 == len(server.requests)


def test_token_that_the_server_forgot(source: PhotoPrismSource, server: PhotoServer) -> None:
    """After a start of the server, its token is asked for again."""
    source.fetch(PATH)
    server.token = "another"

    assert DATA == source.fetch(PATH).data


def test_refused_token_is_asked_for_once_more(
    source: PhotoPrismSource, server: PhotoServer
) -> None:
    """A key that may not download ends in one sentence, not in a loop."""
    source.fetch(PATH)
    server.requests.clear()
    server.refusals = [403, 403]
    with pytest.raises(SourceUnavailable, match="refuses the key, or what it may do"):
        source.fetch(PATH)

    assert [] == server.refusals
    assert [] == server.requests


@pytest.mark.parametrize(
    ("status", "text"),
    [(401, "refuses the key"), (404, "HTTP status 404"), (503, "HTTP status 503")],
)
def test_settings_that_are_not_given(
    source: PhotoPrismSource, server: PhotoServer, status: int, text: str
) -> None:
    """Without the token, no image gets a verdict; it is asked for again later."""
    server.refusals = [status]
    with pytest.raises(SourceUnavailable) as caught:
        source.fetch(PATH)

    assert text in str(caught.value)
    assert KEY not in str(caught.value)
    assert DATA == source.fetch(PATH).data


@pytest.mark.parametrize("answer", [b"<html>", [], {"downloadToken": 5}, {}])
def test_settings_without_a_token(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    """A server that gives none refuses the file."""
    monkeypatch.setenv("SCANNER_PHOTOPRISM_KEY", KEY)
    with serve(lambda *arguments: _other_settings(answer, *arguments)) as state:
        location = LibraryLocation(LibraryKind.PHOTOPRISM, state.url)
        other = PhotoPrismSource(location, 9_999)
        with pytest.raises(SourceUnavailable):
            other.fetch(PATH)
        other.close()


def _other_settings(
    answer: object, state: PhotoServer, method: str, path: str, *more: object
) -> object:
    return answer if path.endswith("config") else photoprism(state, method, path, *more)


def test_errors_of_one_file(source: PhotoPrismSource, server: PhotoServer) -> None:
    """A file that is gone, or is another one, is an error of its own."""
    (asset,) = server.assets.values()
    asset["data"] = DATA[:-1] + b"y"
    with pytest.raises(FetchError) as changed:
        source.fetch(PATH, len(DATA))
    server.assets.clear()
    with pytest.raises(FetchError) as gone:
        source.fetch(PATH, len(DATA))

    assert ErrorKind.CHANGED is changed.value.kind
    assert ErrorKind.UNREADABLE is gone.value.kind


@pytest.mark.parametrize("path", [b"a.png", b"", b"A" * 31 + b"_~a", b"/" + b"_" * 32 + b"~a"])
def test_path_without_key_is_outside(source: PhotoPrismSource, path: bytes) -> None:
    """No path reaches the server but by the SHA-1 in its key."""
    with pytest.raises(FetchError) as caught:
        source.fetch(path)

    assert ErrorKind.OUTSIDE is caught.value.kind


def test_urls() -> None:
    """A library is read as it is typed and stored."""
    location = library_location("photoprism+http://nas:2342/api/v1/")

    assert LibraryLocation(LibraryKind.PHOTOPRISM, "http://nas:2342") == location
    assert location == location_at(str(location).encode())
    with pytest.raises(InvalidInput, match=r"expected photoprism://HOST or photoprism\+http://"):
        library_location("photoprism://user:secret@nas")
