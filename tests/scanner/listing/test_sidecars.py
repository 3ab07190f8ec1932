"""Which files are sidecars of an image."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from scanner.listing import sidecars
from scanner.listing.external_sort import sort_names
from scanner.listing.walk import Walk, WalkOptions
from storage.records import MAX_SIDECAR_BYTES, MAX_SIDECARS

if TYPE_CHECKING:
    from pathlib import Path

LONG = "a photograph with a name of many more characters than Takeout bears"
# Image and sidecar, as their writers name them.
PAIRS = [
    ("IMG_1.jpg", "IMG_1.xmp"),
    ("IMG_1.jpg", "IMG_1.XMP"),
    ("IMG_1.jpg", "IMG_1.jpg.xmp"),
    ("00012-1234567.png", "00012-1234567.txt"),
    ("archive.2024.png", "archive.2024.txt"),
    ("IMG_1.jpg", "IMG_1.jpg.json"),
    ("IMG_1.jpg", "IMG_1.json"),
    ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
    ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadat.json"),
    ("IMG_1.jpg", "IMG_1.jpg.suppl.json"),
    ("IMG_1.jpg", "IMG_1.jpg.s.json"),
    ("IMG_1.jpg", "IMG_1.jpg..json"),
    ("IMG_1(1).jpg", "IMG_1.jpg(1).json"),
    ("IMG_1(12).jpg", "IMG_1.jpg.supplemental-metadata(12).json"),
    ("IMG_1(1).jpg", "IMG_1(1).jpg.json"),
    ("Peanut Butter.jpg", "Peanut Butter.supplemental-metadata.json"),
    ("Peanut. Butter(2).jpg", "Peanut. Butter.supplemental-metadata(2).json"),
    ("123456789123456789123456789123456789_DSCN0091.JPG",
     "123456789123456789123456789123456789_DSCN0091.JP.json"),
    ("123456789123456789123456789123456789_DSCN0091(1).JPG",
     "123456789123456789123456789123456789_DSCN0091.JP.supplemental-meta(1).json"),
    (f"{LONG[:47]}.jpg", f"{LONG[:46]}.json"),
    (f"{LONG[:47]}(1).jpg", f"{LONG[:46]}(1).json"),
    (f"{'ü' * 47}.jpg", f"{'ü' * 46}.json"),
    # An edited version has that of its original.
    ("IMG_1-edited.jpg", "IMG_1.jpg.supplemental-metadata.json"),
    ("IMG_1-edited.jpg", "IMG_1.HEIC.json"),
    ("IMG_1-edited(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json"),
    ("IMG_1(1)-bearbeitet.jpg", "IMG_1.jpg(1).json"),
    (f"{'b' * 46}-.jpg", f"{'b' * 46}.json"),
    # Takeout wrote a JPEG of a HEIC.
    ("IMG_7.jpg", "IMG_7.HEIC.supplemental-metadata.json"),
    ("IMG_7(1).jpg", "IMG_7.HEIC.supplemental-metadata(1).json"),
]  # fmt: skip
STRANGERS = [
    ("IMG_1.jpg", "IMG_10.xmp"),
    ("IMG_10.jpg", "IMG_1.xmp"),
    ("IMG_1.jpg", "IMG_1.png.xmp"),
    ("IMG_1.jpg", "IMG_1.jpg.txt.bak"),
    ("IMG_1.jpg", "IMG_1.jpg(1).json"),
    ("IMG_1(1).jpg", "IMG_1.jpg.json"),
    ("IMG_1(1).jpg", "IMG_1.jpg(2).json"),
    ("IMG_1.jpg", "IMG_1.jpg.supplies.json"),
    ("IMG_123.jpg", "IMG_1.json"),
    ("IMG_1.jpg", "metadata.json"),
    ("IMG_1-edited.jpg", "IMG_1.jpg.supplemental-metadata(1).json"),
    ("IMG_1-edited(1).jpg", "IMG_1.jpg.supplemental-metadata.json"),
    ("IMG_1-2.jpg", "IMG_1.jpg.json"),
    ("IMG_1.png", "IMG_1.HEIC.json"),
    # The title was cut before a number, and another image of the name has none.
    (f"{LONG[:47]}(1).jpg", f"{LONG[:46]}.json"),
    (f"{LONG[:47]}.jpg", f"{LONG[:46]}(1).json"),
]


def test_json_of_a_heic_next_to_a_jpeg(tmp_path: Path) -> None:
    """It belongs to the HEIC where that is there, and to the edited version of that."""
    names = ("IMG_1.HEIC", "IMG_1.HEIC.json", "IMG_1.jpg", "IMG_1-edited.jpg")
    for name in names:
        (tmp_path / name).write_bytes(b"x")

    assert {
        "IMG_1-edited.jpg": ["IMG_1.HEIC.json"], "IMG_1.HEIC": ["IMG_1.HEIC.json"], "IMG_1.jpg": []
    } == listed(tmp_path)  # fmt: skip


def listed(root: Path, **options: bool) -> dict[str, list[str]]:
    """Return the names of the images below a root, with those of their sidecars."""
    return {
        os.fsdecode(file.path): [os.fsdecode(sidecar.name) for sidecar in file.sidecars]
        for file in Walk(root, WalkOptions(**options))
    }


@pytest.mark.parametrize(("image", "sidecar"), PAIRS)
def test_each_form(tmp_path: Path, image: str, sidecar: str) -> None:
    """A sidecar is found for its image, and not for its neighbours, by the walk and by name."""
    neighbours = ("IMG_.jpg", "IMG_1-2.jpg", "IMG_1x.jpg", "a.jpg", "a photograph.jpg", "zz.jpg")
    for name in (image, sidecar, *neighbours):
        (tmp_path / name).write_bytes(b"x")

    named = sidecars.find_sidecars(
        os.fsencode(tmp_path / name) for name in (image, *neighbours, "no such.jpg")
    )

    assert {**{name: [] for name in neighbours}, image: [sidecar]} == listed(tmp_path)
    assert [sidecar] == [os.fsdecode(each.name) for each in named[os.fsencode(tmp_path / image)]]
    assert all(not named[os.fsencode(tmp_path / name)] for name in neighbours)


@pytest.mark.parametrize(("image", "stranger"), STRANGERS)
def test_strangers(tmp_path: Path, image: str, stranger: str) -> None:
    """Files whose names only resemble an image's are not its sidecars."""
    for name in (image, stranger):
        (tmp_path / name).write_bytes(b"x")

    assert {image: []} == listed(tmp_path, hidden=True)


def test_all_sidecars_of_an_image(tmp_path: Path) -> None:
    """An image may have several, in a folder of its own; only those of no image are skipped."""
    (tmp_path / "b").mkdir()
    for name in ("a.jpg", "b/a.jpg", "b/a.jpg.json", "b/a.jpg.xmp", "b/a.txt", "b/a.xmp", "c.jpg",
                 "b/a.dng", "b/z.txt", "b/z.xmp", "b/a-edited.jpg"):  # fmt: skip
        (tmp_path / name).write_bytes(b"x")
    walk = Walk(tmp_path)

    found = {file.path: {sidecar.name for sidecar in file.sidecars} for file in walk}

    expected = {b"a.jpg.json", b"a.jpg.xmp", b"a.txt", b"a.xmp"}
    edited = {b"b/a-edited.jpg": {b"a.jpg.json"}}
    assert {b"a.jpg": set(), **edited, b"b/a.jpg": expected, b"c.jpg": set()} == found
    assert {"document": 1, "sidecar": 1, "raw": 1} == walk.skipped


def test_size_and_time(tmp_path: Path) -> None:
    """A sidecar is listed with its size and its time of change."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.xmp").write_bytes(b"four")
    os.utime(tmp_path / "a.xmp", ns=(5, 7))

    (file,) = Walk(tmp_path)

    assert [(b"a.xmp", 4, 7)] == [(s.name, s.size_bytes, s.mtime_ns) for s in file.sidecars]


def test_files_that_are_not_read(tmp_path: Path) -> None:
    """Folders, links, pipes, empty and large files are no sidecars, nor are excluded ones."""
    names = ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg", "g.jpg")
    for name in (*names, "g.xmp"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a.xmp").mkdir()
    (tmp_path / "b.xmp").symlink_to("a.jpg")
    os.mkfifo(tmp_path / "c.xmp")
    (tmp_path / "d.xmp").touch()
    (tmp_path / "e.xmp").write_bytes(bytes(MAX_SIDECAR_BYTES + 1))
    (tmp_path / "f.xmp").write_bytes(bytes(MAX_SIDECAR_BYTES))

    found = {
        file.path: len(file.sidecars) for file in Walk(tmp_path, WalkOptions(exclude=("g.xmp",)))
    }

    assert {os.fsencode(name): int(name == "f.jpg") for name in names} == found


def test_many_sidecars(tmp_path: Path) -> None:
    """The number of sidecars in memory is bounded, and so are those of one image."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    for ending in range(1, len(".supplemental-metadata")):
        name = f"a.jpg{'.supplemental-metadata'[:ending]}.json"
        (tmp_path / name).write_bytes(b"x")
    waiting = sidecars.WaitingSidecars(b"")

    (file,) = Walk(tmp_path)
    for number in range(10_000):
        waiting.add(b"a", b"a%d.xmp" % number)

    assert len(file.sidecars) == MAX_SIDECARS
    assert len(waiting._waiting) == sidecars._MAX_WAITING


def test_sorted_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose names are sorted on disk gives the same sidecars."""
    for number in range(30):
        for name in (f"{number}.jpg", f"{number}.txt", f"{number}.jpg.json"):
            (tmp_path / name).write_bytes(b"x")

    in_memory = listed(tmp_path)
    monkeypatch.setattr("scanner.listing.walk.sort_names", lambda names: sort_names(names, 7))

    assert in_memory == listed(tmp_path)
    assert all({f"{stem}.txt", f"{stem}.jpg.json"} == set(found)
               for name, found in in_memory.items() for stem in [name[:-4]])  # fmt: skip
