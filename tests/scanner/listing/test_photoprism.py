"""List a library of PhotoPrism, whatever its server answers."""
# ruff: noqa: ANN401 -- JSON

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from photo_servers import KEY, PhotoServer, photoprism, serve

from scanner.listing import photoprism_search
from scanner.listing.library_listing import LibraryListing
from scanner.listing.library_server import Server
from scanner.listing.photoprism import PhotoPrismImages
from scanner.listing.walk import WalkOptions
from storage.asset_paths import file_key_of, without_key
from storage.errors import ScannerError
from workers.sources.location import LibraryKind, LibraryLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for two files a page."""
    monkeypatch.setattr(photoprism_search, "_PAGE", 2)


@pytest.fixture
def server() -> Iterator[PhotoServer]:
    """Return a server without photos."""
    with serve(photoprism) as state:
        yield state


def listing_of(
    state: PhotoServer, known: list[bytes] | None = None, **options: Any
) -> LibraryListing:
    """Return the listing of a server."""
    api = Server(LibraryLocation(LibraryKind.PHOTOPRISM, state.url), KEY)
    return LibraryListing(PhotoPrismImages(api), WalkOptions(**options), known or [])


def add(state: PhotoServer, folder: Path, path: str, *albums: str, **fields: Any) -> str:
    """Add a file of its own content below `originals`, and to albums."""
    file = folder / path.rpartition("/")[2]
    file.write_bytes(f"{path} {len(state.assets)}".encode())
    photo = state.add(file, path=path, **fields)
    for album in albums:
        state.albums.setdefault(album, set()).add(photo)
    return photo


def names(listing: LibraryListing) -> list[str]:
    """Return the paths of a listing as people see them."""
    return sorted(without_key(file.path).decode() for file in listing)


def test_albums_are_folders_and_files_are_listed_once(server: PhotoServer, tmp_path: Path) -> None:
    """A photo of three albums is in the first by title; one of none is where its file is."""
    add(server, tmp_path, "2019/05/everywhere.jpg", "Zoo", "Alps", "Coast")
    for number in range(3):
        add(server, tmp_path, f"2019/{number}.jpg", "Coast")
    add(server, tmp_path, "2021/12/alone.jpg")
    add(server, tmp_path, "top.jpg")

    assert [
        "2021/12/alone.jpg", "Alps/everywhere.jpg", "Coast/0.jpg", "Coast/1.jpg", "Coast/2.jpg",
        "top.jpg",
    ] == names(listing_of(server))  # fmt: skip


def test_what_is_known_of_a_file(server: PhotoServer, tmp_path: Path) -> None:
    """The SHA-1 is in the path, the size is the server's."""
    add(server, tmp_path, "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (file,) = listing_of(server)
    key = file_key_of(file.path)

    assert key is not None
    assert hashlib.sha1(data).digest() == key.sha1
    assert (len(data), 0, False) == (file.size_bytes, file.mtime_ns, file.edited)


def test_files_of_one_photo(server: PhotoServer, tmp_path: Path) -> None:
    """Of a stack each original is listed, across pages too, and no copy that PhotoPrism made."""
    photo = add(server, tmp_path, "2019/a.heic", "Alps")
    add(server, tmp_path, "2019/a.heic.jpg", photo=photo, root="sidecar")
    add(server, tmp_path, "2019/a.jpg", photo=photo)
    add(server, tmp_path, "2019/a.mov", photo=photo)
    add(server, tmp_path, "2019/a.dng", photo=photo)
    plain, raw = listing_of(server), listing_of(server, raw=True)

    assert ["Alps/a.heic", "Alps/a.jpg"] == names(plain)
    assert {"raw": 1, "video": 1} == plain.skipped
    assert ["Alps/a.dng", "Alps/a.heic", "Alps/a.jpg"] == names(raw)


def test_archived_photos_are_not_listed(server: PhotoServer, tmp_path: Path) -> None:
    """What was put into the archive is no longer of the library."""
    add(server, tmp_path, "a.jpg", trashed=True)

    assert [] == names(listing_of(server))


def test_edited_versions_are_marked(server: PhotoServer, tmp_path: Path) -> None:
    """A file is marked whose original is in its folder, in whichever album and order."""
    add(server, tmp_path, "2019/IMG_E0001.JPG", "Alps")
    add(server, tmp_path, "2019/b-edited.jpg")
    add(server, tmp_path, "2019/b.jpg", "Zoo")
    add(server, tmp_path, "2019/IMG_0001.HEIC")
    add(server, tmp_path, "2020/IMG_E0001.JPG")
    listed = {without_key(file.path).decode(): file.edited for file in listing_of(server)}

    assert {
        "Alps/IMG_E0001.JPG": True, "2019/b-edited.jpg": True, "Zoo/b.jpg": False,
        "2019/IMG_0001.HEIC": False, "2020/IMG_E0001.JPG": False,
    } == listed  # fmt: skip


def test_file_stays_where_it_was_listed(server: PhotoServer, tmp_path: Path) -> None:
    """Put into an album later, a file keeps its path, and so its verdict."""
    photo = add(server, tmp_path, "2019/a.jpg")
    (before,) = listing_of(server)
    server.albums["AI-generated"] = {photo}
    (after,) = listing_of(server, [before.path])

    assert before == after
    assert b"2019/a.jpg" == without_key(before.path)


def test_patterns_are_of_names_without_keys(server: PhotoServer, tmp_path: Path) -> None:
    """Patterns match albums, folders and names as people see them."""
    add(server, tmp_path, "2019/a.jpg", "Alps")
    add(server, tmp_path, "2019/05/b.jpg")

    assert ["2019/05/b.jpg"] == names(listing_of(server, exclude=("Alps/",)))
    assert ["2019/05/b.jpg"] == names(listing_of(server, include=("2019/**",)))


def test_hostile_names_stay_names(server: PhotoServer, tmp_path: Path) -> None:
    """Dots and line breaks in names of albums and folders lead nowhere."""
    photo = add(server, tmp_path, "a.jpg")
    server.assets[photo]["path"] = "../../etc//x\n/b.jpg"
    (file,) = listing_of(server)
    server.albums["../A\n"] = {photo}
    (of_album,) = listing_of(server)

    assert b"_/_/etc/_/x\n/b.jpg" == without_key(file.path)
    assert b".._A\n/b.jpg" == without_key(of_album.path)


def _answer(said: Any) -> Callable[..., Any]:
    return lambda _state, _method, path, *_: [] if path.endswith("albums") else said


FILE = {"Name": "a.jpg", "Root": "/", "Hash": "0" * 40, "Size": 1}


@pytest.mark.parametrize(
    "answer",
    [
        _answer([{"Files": [FILE, FILE]}]),
        lambda *_: b"<html>Log in</html>",
        _answer({"photos": []}),
        _answer([{"Files": None}]),
        _answer([{"Files": [FILE | {"Hash": "x"}]}]),
        _answer([{"Files": [FILE | {"Hash": None}]}]),
        _answer([{"Files": [FILE | {"Hash": "00"}]}]),
        _answer([{"Files": [FILE | {"Name": 7}]}]),
    ],
    ids=["endless", "html", "dict", "files", "hash", "none", "short", "name"],
)
def test_answers_of_another_form(answer: Callable[..., Any]) -> None:
    """What is no answer of PhotoPrism's ends the listing with one sentence."""
    with serve(answer) as state, pytest.raises(ScannerError) as caught:
        list(listing_of(state))

    assert "does not answer as PhotoPrism does: is the URL right?" in str(caught.value)


@pytest.mark.parametrize("size", [-1, "7", None, 2**70])
def test_sizes_that_are_none(size: object) -> None:
    """A size that is none is not known; the file is listed."""
    with serve(_answer([{"Files": [FILE | {"Size": size}]}])) as state:
        (file,) = listing_of(state)

    assert 0 == file.size_bytes
