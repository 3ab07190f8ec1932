"""Folders that Google Takeout and Apple Photos wrote: each image once, edited versions marked."""

from __future__ import annotations

import hashlib
import random
import unicodedata
from typing import TYPE_CHECKING

import pytest

from scanner.listing.copies import Copies, Digests
from scanner.listing.edited import is_edited
from scanner.listing.libraries import APPLE, GOOGLE, find_library
from scanner.listing.walk import Walk, WalkOptions

if TYPE_CHECKING:
    from pathlib import Path

LISTED = WalkOptions(library=True)


def _make(root: Path, files: dict[str, str]) -> Path:
    """Make files, by the seed of their 200,000 random bytes."""
    for path, seed in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(random.Random(seed).randbytes(200_000))
    return root


TAKEOUT = {
    "Takeout/Google Photos/Photos from 2019/IMG_1.jpg": "one",
    "Takeout/Google Photos/Photos from 2019/IMG_1.jpg.supplemental-metadata.json": "json",
    "Takeout/Google Photos/Photos from 2019/IMG_1-edited.jpg": "one, edited",
    "Takeout/Google Photos/Photos from 2019/IMG_2.jpg": "two",
    "Takeout/Google Photos/Alps/IMG_1.jpg": "one",
    "Takeout/Google Photos/Alps/IMG_1-edited.jpg": "one, edited",
    "Takeout/Google Photos/Zoo/IMG_1.jpg": "one",
    "Takeout/Google Photos/Zoo/foreign.jpg": "foreign",
}


def test_image_in_albums_is_listed_in_the_first(tmp_path: Path) -> None:
    """Of a year and two albums, the first album lists it; the others are counted as copies."""
    walk = Walk(_make(tmp_path, TAKEOUT), LISTED)
    listed = {file.path.decode().removeprefix("Takeout/Google Photos/") for file in walk}

    assert {
        "Alps/IMG_1.jpg", "Alps/IMG_1-edited.jpg", "Zoo/foreign.jpg", "Photos from 2019/IMG_2.jpg"
    } == listed  # fmt: skip
    # IMG_1 twice more, its edited version once more.
    assert 3 == walk.skipped["copy"]


ALBUM = b'{"title": "an album", "access": "protected"}'


@pytest.mark.parametrize(
    ("folder", "json", "is_listed"),
    [
        ("Summer 2019", "metadata.json", True),
        ("Summer 2019", "métadonnées.json", True),
        ("2019 Wedding", "Metadaten(1).json", True),
        ("Photos from 2018", "metadata.json", False),  # until 2020 each folder had one
        ("Summer 2019", "IMG_1.jpg.json", False),  # it may be the year's in another language
        ("2019-08-01", "metadata.json", False),
    ],
)
def test_album_with_a_year_in_its_name(
    tmp_path: Path, folder: str, json: str, *, is_listed: bool
) -> None:
    """An album has a JSON file of its own, and comes before the folder of the year."""
    _make(tmp_path, {f"{folder}/IMG_1.jpg": "one", "Alps of 1900 m/IMG_1.jpg": "one"})
    (tmp_path / folder / json).write_bytes(ALBUM)
    _make(tmp_path, {"Zoo/IMG_1.jpg": "one"})
    (tmp_path / "Alps of 1900 m/IMG_1.jpg").unlink()

    assert [folder if is_listed else "Zoo"] == [
        file.path.decode().partition("/")[0] for file in Walk(tmp_path, LISTED)
    ]


@pytest.mark.parametrize(
    ("folder", "is_listed"),
    [("Trash", False), ("Papierkorb", False), ("Recently Deleted", False), ("Trashed", True)],
)
def test_what_was_deleted_is_left_out(tmp_path: Path, folder: str, *, is_listed: bool) -> None:
    """It is counted, but listed where an album or an ordinary folder has that name."""
    _make(tmp_path, {f"{folder}/IMG_1.jpg": "one"})
    walk, plain = Walk(tmp_path, LISTED), Walk(tmp_path)
    found = len(list(walk)), len(list(plain))
    (tmp_path / folder / "metadata.json").write_bytes(ALBUM)

    assert (int(is_listed), 1) == found
    assert int(not is_listed) == walk.skipped["trash"]
    assert 1 == len(list(Walk(tmp_path, LISTED)))


def test_edited_version_alone_in_an_album(tmp_path: Path) -> None:
    """It is marked by its original in the folder of the year, where its copy is."""
    files = {
        "Google Photos/Photos from 2019/IMG_1.jpg": "1",
        "Google Photos/Photos from 2019/IMG_1-edited.jpg": "2",
        "Google Photos/Photos from 2018/IMG_2.jpg": "3",
        "Google Photos/Zoo/IMG_1-edited.jpg": "2",
        "Google Photos/Zoo/IMG_2-edited.jpg": "4",
    }
    listed = {file.path: file.edited for file in Walk(_make(tmp_path, files), LISTED)}

    assert 4 == len(listed)
    assert {b"Google Photos/Zoo/IMG_1-edited.jpg"} == {path for path in listed if listed[path]}


def test_every_file_is_listed_without_a_library(tmp_path: Path) -> None:
    """An ordinary folder lists copies, and marks nothing."""
    walk = Walk(_make(tmp_path, TAKEOUT))
    files = list(walk)

    assert 7 == len(files)
    assert not any(file.edited for file in files)
    assert "copy" not in walk.skipped


def test_edited_versions_are_marked(tmp_path: Path) -> None:
    """Those next to their original, of Google and of Apple."""
    files = {
        "2019/IMG_1.HEIC": "1", "2019/IMG_1-edited.jpg": "2", "2019/lone-edited.jpg": "3",
        "2019/IMG_1234.HEIC": "4", "2019/IMG_E1234.JPG": "5", "2019/IMG_E9999.JPG": "6",
    }  # fmt: skip
    walk = Walk(_make(tmp_path, files), LISTED)

    assert {b"2019/IMG_1-edited.jpg", b"2019/IMG_E1234.JPG"} == {
        file.path for file in walk if file.edited
    }


@pytest.mark.parametrize(
    ("original", "edited"),
    [
        ("a.jpg", "a-edited.jpg"),
        ("a.jpg", "a-bearbeitet.jpg"),
        ("a.jpg", "a-modifié.jpg"),
        ("a.jpg", unicodedata.normalize("NFD", "a-modifié.jpg")),
        ("a.jpg", "a-ha editado.jpg"),
        ("a.jpg", "a-編集済み.jpg"),
        ("a(2).jpg", "a-edited(2).jpg"),
        ("IMG_1.HEIC", "IMG_1-edited.jpg"),
        ("a.JPG", "a-edited.jpg"),
        # Of 47 characters, the word has been cut.
        (f"{'x' * 43}.jpg", f"{'x' * 43}-edi.jpg"),
        (f"{'x' * 46}.jpg", f"{'x' * 46}-.jpg"),
        ("a.jpg", "a-измененный.jpg"),
        ("a.jpg", "a-수정됨.jpg"),
        ("wedding.heic", "wedding_edited.jpeg"),
        ("IMG_0001.PNG", "IMG_E0001.PNG"),
    ],
)
def test_names_of_edited_versions(tmp_path: Path, original: str, edited: str) -> None:
    """The mark needs the original: alone, the name says nothing."""
    (tmp_path / edited).touch()
    folder, name = bytes(tmp_path) + b"/", edited.encode()
    alone = is_edited(folder, name)
    (tmp_path / original).touch()

    assert (False, True) == (alone, is_edited(folder, name))
    assert not is_edited(folder, original.encode())


@pytest.mark.parametrize("name", ["a-copy.jpg", "a-edi.jpg", "a-2.jpg", "a-.jpg", "-edited.jpg"])
def test_other_names_next_to_an_original(tmp_path: Path, name: str) -> None:
    """Another word, one that is cut in a short name, a number, or nothing, marks no version."""
    (tmp_path / "a.jpg").touch()
    (tmp_path / name).touch()

    assert not is_edited(bytes(tmp_path) + b"/", name.encode())


def test_same_size_is_no_copy(tmp_path: Path) -> None:
    """Files of one size that differ anywhere are all listed, in whatever order they come."""
    files = {
        "a.bmp": b"1" * 300_000,
        "b.bmp": b"1" * 299_999 + b"2",
        "c.bmp": b"2" + b"1" * 299_999,
        "d.bmp": b"1" * 150_000 + b"2" + b"1" * 149_999,
        "e.bmp": b"1" * 150_001 + b"2" + b"1" * 149_998,
    }
    names = [*files, "copy of a.bmp", "copy of d.bmp", "copy of e.bmp"]
    for name in names:
        (tmp_path / name).write_bytes(files[name[-5:]])
    copies = Copies(bytes(tmp_path) + b"/")

    assert [False] * 5 + [True] * 3 == [copies.add(name.encode(), 300_000, 0) for name in names]


def test_whole_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another look at a folder reads only what has changed since."""
    for name in (b"a.jpg", b"b.jpg", b"c.jpg"):
        (tmp_path / name.decode()).write_bytes(bytes(200_000))
    read: list[str] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, kind: read.append(kind) or digest(file, kind)
    )
    digests = Digests()
    for mtime_ns in (1, 1, 2):
        copies = Copies(bytes(tmp_path) + b"/", digests)
        found = [copies.add(b"a.jpg", 200_000, 1), copies.add(b"b.jpg", 200_000, mtime_ns)]

        assert [False, True] == found

    assert 3 == len(read)


def test_file_that_cannot_be_read_is_no_copy(tmp_path: Path) -> None:
    """Files that are gone, links and folders are left for the worker to refuse."""
    (tmp_path / "link.jpg").symlink_to("nowhere")
    (tmp_path / "folder.jpg").mkdir()
    copies = Copies(bytes(tmp_path) + b"/")

    assert not any(copies.add(name, 5, 0) for name in (b"gone.jpg", b"link.jpg", b"folder.jpg"))
    assert not any(copies.add(name, 0, 0) for name in (b"empty.jpg", b"empty too.jpg"))


@pytest.mark.parametrize(
    ("expected", "files"),
    [
        (GOOGLE, ["Takeout/Google Photos/Photos from 2019/a.jpg"]),
        (GOOGLE, ["part 1/Takeout/Google Fotos/Fotos von 2019/a.jpg"]),
        (GOOGLE, ["Takeout/Zdjęcia Google/Zdjęcia z 2019/a.jpg"]),
        (GOOGLE, ["Fotky Google/Fotky z roku 2019/a.jpg"]),
        (GOOGLE, ["Google 相簿/2019 年的相片/a.jpg"]),
        (GOOGLE, [f"Alps/{name}.jpg.supplemental-metadata.json" for name in "ab"]),
        (APPLE, ["export/IMG_0001.AAE", "export/IMG_0002.AAE"]),
        (APPLE, ["Photos/Photo Details.csv", "Photos/a.jpg", "Recently Deleted/a.jpg"]),
        (APPLE, [".osxphotos_export.db"]),
        (None, ["Photos from 2019/a.jpg"]),
        (None, ["Google Pixel/Summer 2019/a.jpg"]),
        (None, ["Takeout/pizza.jpg"]),
        (None, ["IMG_E0001.JPG"]),
        (None, ["a/b/c/d/IMG_0001.AAE", "a/b/c/d/IMG_0002.AAE"]),
        # Strays, and a small part of a collection.
        (None, ["2019/IMG_0001.AAE", "2019/a.jpg"]),
        (None, ["a.jpg", "a.jpg.supplemental-metadata.json"]),
        (None, ["2018/a.jpg", "2019/a.jpg", "phone/IMG_0001.AAE", "phone/IMG_0002.AAE"]),
    ],
)
def test_library_that_wrote_a_folder(
    tmp_path: Path, expected: str | None, files: list[str]
) -> None:
    """It is recognised by names in most of the folders, up to three levels below the first."""
    _make(tmp_path, dict.fromkeys(files, "1"))

    assert expected == find_library(tmp_path)


def test_folder_inside_of_takeout(tmp_path: Path) -> None:
    """A part of an export is recognised, too."""
    _make(tmp_path, TAKEOUT)

    assert GOOGLE == find_library(tmp_path / "Takeout/Google Photos/Zoo")


def test_originals_and_edited_by_number_are_from_apple(tmp_path: Path) -> None:
    """The name of an edited version alone is no sign; with its original it is."""
    _make(tmp_path, {"IMG_E0001.JPG": "1", "IMG_0001.HEIC": "2"})

    assert APPLE == find_library(tmp_path)


def test_names_of_any_bytes(tmp_path: Path) -> None:
    """Names that are not UTF-8, or hold line breaks, are listed as they are."""
    folder = tmp_path / "\udcff2019"
    folder.mkdir()
    for name in ("\udcff.jpg", "\udcff-edited.jpg", "a\nb.jpg"):
        (folder / name).write_text(ascii(name))
    walk = Walk(tmp_path, LISTED)

    assert [
        (b"\xff2019/a\nb.jpg", False),
        (b"\xff2019/\xff-edited.jpg", True),
        (b"\xff2019/\xff.jpg", False),
    ] == [(file.path, file.edited) for file in walk]  # fmt: skip
