"""List a library of immich, whatever its server answers."""
# ruff: noqa: ANN401 -- JSON

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from photo_servers import KEY, PhotoServer, Refused, immich, serve

from scanner.listing import library_server
from scanner.listing.immich import ImmichImages
from scanner.listing.library_listing import LibraryListing
from scanner.listing.library_server import Server
from scanner.listing.walk import WalkOptions
from storage.asset_paths import key_of, without_key
from storage.errors import ScannerError, ServiceUnavailable
from workers.sources.location import LibraryKind, LibraryLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PhotoServer]:
    """Return a server without assets."""
    monkeypatch.setattr(library_server, "PAUSES", (0.0, 0.0))
    with serve(immich) as state:
        yield state


def listing_of(
    state: PhotoServer, known: list[bytes] | None = None, **options: Any
) -> LibraryListing:
    """Return the listing of a server."""
    api = Server(LibraryLocation(LibraryKind.IMMICH, state.url), KEY)
    return LibraryListing(ImmichImages(api), WalkOptions(**options), known or [])


def add(state: PhotoServer, folder: Path, name: str, *albums: str, **fields: Any) -> str:
    """Add an asset of its own content to a library, and to albums."""
    file = folder / name
    file.write_bytes(f"{name} {len(state.assets)}".encode())
    asset_id = state.add(file, **fields)
    for album in albums:
        state.albums.setdefault(album, set()).add(asset_id)
    return asset_id


@pytest.mark.parametrize("version", [2, 3])
def test_albums_are_folders_and_assets_are_listed_once(
    server: PhotoServer, tmp_path: Path, version: int
) -> None:
    """Of three albums, the first by name has an asset, archived or not; of none, its year."""
    server.version = version
    add(server, tmp_path, "everywhere.jpg", "Zoo", "Alps", "Coast")
    for number in range(5):  # pages have two
        add(server, tmp_path, f"{number}.jpg", "Coast")
    add(server, tmp_path, "alone.jpg", taken="2021-12-31T23:00:00.000Z")
    add(server, tmp_path, "archived.jpg", visibility="archive")
    add(server, tmp_path, "put-away.jpg", "Alps", visibility="archive")
    files = list(listing_of(server))

    assert [
        "2019/archived.jpg", "2021/alone.jpg", "Alps/everywhere.jpg", "Alps/put-away.jpg",
        *(f"Coast/{number}.jpg" for number in range(5)),
    ] == sorted(without_key(file.path).decode() for file in files)  # fmt: skip


def test_what_is_known_of_an_asset(server: PhotoServer, tmp_path: Path) -> None:
    """Id and checksum are in the path; size and time of change are the server's."""
    asset_id = add(server, tmp_path, "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (file,) = listing_of(server)
    key = key_of(file.path)

    assert key is not None
    assert (asset_id, hashlib.sha1(data).digest()[:8]) == (str(key.asset_id), key.checksum)
    assert (len(data), 1_556_704_800_123_000_000) == (file.size_bytes, file.mtime_ns)


def test_asset_of_an_external_library_has_no_checksum(server: PhotoServer, tmp_path: Path) -> None:
    """The server's checksum of such a file is that of its path."""
    add(server, tmp_path, "a.jpg", path="/mnt/photos/a.jpg")
    (file,) = listing_of(server)
    key = key_of(file.path)

    assert key is not None
    assert bytes(8) == key.checksum


def test_what_is_not_listed(server: PhotoServer, tmp_path: Path) -> None:
    """Neither the trash, nor films, nor what is hidden or locked; RAW files with `raw`."""
    add(server, tmp_path, "film.mov", "Alps", type="VIDEO")
    add(server, tmp_path, "trash.jpg", "Alps", trashed=True)
    add(server, tmp_path, "locked.jpg", "Alps", visibility="locked")
    add(server, tmp_path, "raw.cr2", "Alps")
    add(server, tmp_path, "drawing.svg", "Alps")
    add(server, tmp_path, "photo.heic", "Alps")
    plain, raw = listing_of(server), listing_of(server, raw=True)

    assert ["Alps/photo.heic"] == [without_key(file.path).decode() for file in plain]
    assert {"raw": 1, "other_image": 1} == plain.skipped
    assert {"photo.heic", "raw.cr2"} == {
        without_key(file.path).decode().removeprefix("Alps/") for file in raw
    }


def test_asset_stays_where_it_was_listed(server: PhotoServer, tmp_path: Path) -> None:
    """Put into an album later, an asset keeps its path, and so its verdict; replaced, it is new."""
    first = add(server, tmp_path, "a.jpg")
    (before,) = listing_of(server)
    server.albums["AI-generated"] = {first}
    (after,) = listing_of(server, [before.path])
    server.assets[first]["sha1"] = bytes(20)
    (replaced,) = listing_of(server, [before.path])

    assert before == after
    assert b"2019/a.jpg" == without_key(before.path)
    assert b"AI-generated/a.jpg" == without_key(replaced.path)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"exclude": ("Alps/",)}, {"Coast/b.png"}),
        ({"include": ("*.jpg",)}, {"Alps/a.jpg"}),
        ({"exclude": ("b.*",)}, {"Alps/a.jpg"}),
    ],
)
def test_patterns_are_of_names_without_keys(
    server: PhotoServer, tmp_path: Path, options: dict[str, Any], expected: set[str]
) -> None:
    """Patterns match albums and names as people see them."""
    add(server, tmp_path, "a.jpg", "Alps")
    add(server, tmp_path, "b.png", "Coast")
    listed = listing_of(server, **options)

    assert expected == {without_key(file.path).decode() for file in listed}
    assert 1 == listed.skipped["excluded"]


def test_hostile_names_stay_names(server: PhotoServer, tmp_path: Path) -> None:
    """Dots, slashes and line breaks in the names of albums and files lead nowhere."""
    asset_id = add(server, tmp_path, "a.jpg", "../../etc\n")
    server.assets[asset_id]["name"] = "/../b\n.jpg"
    (file,) = listing_of(server)

    assert b".._.._etc\n/_.._b\n.jpg" == without_key(file.path)


def test_refusals_that_pass(server: PhotoServer, tmp_path: Path) -> None:
    """A server that is busy is asked again."""
    add(server, tmp_path, "a.jpg")
    server.refusals[:] = [429, 503]

    assert 1 == len(list(listing_of(server)))


@pytest.mark.parametrize(
    ("statuses", "error", "text"),
    [
        ([503] * 3, ServiceUnavailable, "answers with status 503"),
        ([401], ScannerError, "refuses the key"),
        ([302], ScannerError, "redirects to https://elsewhere.example/: name that URL"),
    ],
)
def test_refusals_that_stay(
    server: PhotoServer, statuses: list[int], error: type[Exception], text: str
) -> None:
    """A refusal is one sentence, without the key."""
    server.refusals[:] = statuses
    with pytest.raises(error) as caught:
        list(listing_of(server))

    assert text in str(caught.value)
    assert KEY not in str(caught.value)


def _endless(_state: PhotoServer, method: str, _path: str, _query: Any, body: Any) -> Any:
    """Answer each page with the same asset, and name a further one."""
    if method == "GET":
        return []
    item = {"id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "originalFileName": "a.jpg"}
    return {"assets": {"items": [item], "nextPage": str(body["page"] + 1)}}


def _empty_pages(_state: PhotoServer, method: str, _path: str, _query: Any, body: Any) -> Any:
    if method == "GET":
        return []
    return {"assets": {"items": [], "nextPage": str(body["page"] + 1)}}


def _answer(said: Any) -> Callable[..., Any]:
    return lambda *_: said


@pytest.mark.parametrize(
    "answer",
    [
        _endless,
        _answer(b"<html>Log in</html>"),
        _answer({"albums": []}),
        _answer(["Alps"]),
        _answer([{"id": 5, "albumName": None}]),
        lambda _state, method, *_: [] if method == "GET" else {"assets": {"items": [{"id": "x"}]}},
        lambda _state, method, *_: [] if method == "GET" else {"assets": None},
    ],
    ids=["endless", "html", "dict", "texts", "types", "id", "null"],
)
def test_answers_of_another_form(answer: Callable[..., Any]) -> None:
    """What is no answer of immich's ends the listing with one sentence."""
    with serve(answer) as state, pytest.raises(ScannerError) as caught:
        list(listing_of(state))

    assert "does not answer as immich does: is the URL right?" in str(caught.value)


def test_empty_pages_end() -> None:
    """A page without assets is the last, whatever the server says."""
    with serve(_empty_pages) as state:
        assert [] == list(listing_of(state))


def test_fields_of_other_types(server: PhotoServer) -> None:
    """Sizes, times and checksums that are none are not known; the asset is listed."""
    asset = {
        "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "originalFileName": "a.jpg",
        "checksum": "?", "exifInfo": {"fileSizeInByte": -1}, "fileModifiedAt": "0000",
        "localDateTime": 7,
    }  # fmt: skip

    def answer(_state: PhotoServer, method: str, _path: str, _query: Any, body: Any) -> Any:
        if method == "GET":
            return []
        if body["visibility"] == "archive":
            raise Refused(400, "visibility must be one of")
        return {"assets": {"items": [asset], "nextPage": None}}

    with serve(answer) as state:
        files = iter(listing_of(state))
        first = next(files)
        with pytest.raises(ScannerError, match="status 400"):
            next(files)

    assert (0, 0) == (first.size_bytes, first.mtime_ns)
    assert first.path.startswith(b"no date/")
