"""`scanner export` as a list, as exiftool's arguments, and into the files themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Photos

# As a generator signed it.
SIGNED = Path(__file__).parents[2] / "cases" / "1-gemini-c2pa-chain" / "a_created.jpg"

needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed"
)


def keywords(file: Path) -> object:
    """Return what exiftool reads as the subject of a file."""
    command = ["exiftool", "-json", "-XMP-dc:Subject", "-XMP-digiKam:TagsList", str(file)]
    done = subprocess.run(command, capture_output=True, check=True)
    read = json.loads(done.stdout)[0]
    return read.get("Subject"), read.get("TagsList")


def test_list(photos: Photos) -> None:
    """Paths are whole; a name with a line break needs NULs."""
    photos.image("a.jpg")
    photos.image("b\n.jpg")
    photos.image("c.jpg")
    photos.scan(ajpg="ai", bjpg="ai")
    lines = photos.export("list", "--output", str(photos.root / "out"))

    assert f"{photos.root}/a.jpg\n" == (photos.root / "out").read_text()
    assert "left out: 1 name with a line break; use --null" in lines
    photos.export("list", "--null", "--output", str(photos.root / "out"))
    assert f"{photos.root}/a.jpg\0{photos.root}/b\n.jpg\0" == (photos.root / "out").read_text()
    narrowed = photos.export("list", "--which", "no_evidence", "--where", "folder=2019")
    assert not narrowed


@needs_exiftool
def test_arguments(photos: Photos) -> None:
    """Exiftool takes the file, for any name, twice."""
    names = ("-a.jpg", "#b.jpg", " c $x *.jpg")
    for name in names:
        photos.image(name)
    photos.scan(ajpg="ai", bjpg="ai", cxjpg="ai")
    file = photos.root / "tags.args"
    photos.export("exiftool", "--output", str(file))
    for _ in range(2):
        subprocess.run(["exiftool", "-@", str(file)], capture_output=True, check=True)

    tagged = ("scanner:ai", "ai-photo-scanner/scanner:ai")
    assert [tagged] * 3 == [keywords(photos.root / name) for name in names]
    photos.export("exiftool", "--remove", "--output", str(file))
    subprocess.run(["exiftool", "-@", str(file)], capture_output=True, check=True)
    assert (None, None) == keywords(photos.root / names[0])


@needs_exiftool
def test_into_files(photos: Photos) -> None:
    """Files get the keyword once, and what they were is kept; only asked for with --write."""
    image, damaged = photos.image("a.jpg"), photos.image("d.jpg")
    damaged.write_bytes(damaged.read_bytes()[:40])
    before = image.read_bytes()
    photos.scan(ajpg="ai", djpg="ai")
    shown = photos.export("xmp", "--into-files", code=0)

    assert before == image.read_bytes()
    assert "Nothing was written" in shown
    written = photos.export("xmp", "--into-files", "--write", code=3)
    assert ("scanner:ai", "ai-photo-scanner/scanner:ai") == keywords(image)
    assert before == (photos.root / "a.jpg_original").read_bytes()
    assert "skipped   d.jpg: Error: " in written
    changed = image.stat().st_mtime_ns
    assert "1 as they should be" in photos.export("xmp", "--into-files", "--write", code=3)
    assert changed == image.stat().st_mtime_ns
    photos.export("xmp", "--into-files", "--remove", "--write")
    assert (None, None) == keywords(image)


@needs_exiftool
def test_keywords_of_others_in_files_are_not_hidden(photos: Photos) -> None:
    """The keyword is in the lists that have others' keywords: digiKam reads one list only."""
    image = photos.image("a.jpg")
    own = ["-XMP-dc:Subject=ann", "-XMP-lr:HierarchicalSubject=family|ann"]
    subprocess.run(["exiftool", "-overwrite_original", *own, str(image)], check=True)
    photos.scan(ajpg="ai")
    photos.export("xmp", "--into-files", "--write")

    assert (["ann", "scanner:ai"], None) == keywords(image)
    assert "1 as they should be" in photos.export("xmp", "--into-files", "--write")
    photos.export("xmp", "--into-files", "--remove", "--write")
    assert ("ann", None) == keywords(image)


@needs_exiftool
@pytest.mark.parametrize("by_file", [False, True], ids=["into files", "argument file"])
@pytest.mark.parametrize(
    "others", ["IPTC:Keywords", "XMP-dc:Subject", "XMP-microsoft:LastKeywordXMP"]
)
def test_lists_of_others(photos: Photos, others: str, *, by_file: bool) -> None:
    """The keyword is only in the list that others use, IPTC's too, and goes again."""
    image = photos.image("a.jpg")
    own = [f"-{others}=ann", "-overwrite_original"]
    subprocess.run(["exiftool", *own, str(image)], check=True)
    photos.scan(ajpg="ai")
    file = photos.root / "tags.args"
    for remove in ((), ("--remove",)):
        if by_file:
            photos.export("exiftool", *remove, "--output", str(file))
            subprocess.run(["exiftool", "-@", str(file)], capture_output=True, check=True)
        else:
            photos.export("xmp", "--into-files", *remove, "--write")
        done = subprocess.run(
            ["exiftool", "-json", "-G1", "-Keywords", "-XMP:all", str(image)],
            capture_output=True,
            check=True,
        )
        read = json.loads(done.stdout)[0]
        found = {
            name: read[name] for name in read if name not in {"SourceFile", "XMP-x:XMPToolkit"}
        }
        keyword = "scanner:ai" if "LastKeyword" not in others else "ai-photo-scanner/scanner:ai"

        assert {others: "ann" if remove else ["ann", keyword]} == found


@needs_exiftool
def test_signed_files_stay_as_they_are(photos: Photos) -> None:
    """What is written into a file invalidates its C2PA manifest, which is evidence."""
    photos.image("b.jpg")
    signed = Path(shutil.copy(SIGNED, photos.root / "a.jpg"))
    before = signed.read_bytes()
    photos.scan(ajpg="ai", bjpg="ai")
    written = photos.export("xmp", "--into-files", "--write", code=3)

    assert "skipped   a.jpg: it is signed with C2PA" in written
    assert "1 tagged, 1 skipped" in written
    assert before == signed.read_bytes()
    file = photos.root / "tags.args"
    assert "left out: 1 image signed with C2PA" in photos.export("exiftool", "--output", str(file))
    assert "a.jpg" not in file.read_text()
    assert "b.jpg" in file.read_text()
    photos.export("xmp", "--write", code=3)  # b.jpg has been changed
    assert ["a.jpg.xmp"] == photos.sidecars()
    assert before == signed.read_bytes()


def test_without_exiftool(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without exiftool, the command says what to install."""
    photos.image("a.jpg")
    photos.scan(ajpg="ai")
    monkeypatch.setenv("PATH", os.devnull)

    assert "exiftool not found: install it" in photos.export("xmp", "--into-files", code=1)
    assert "exclude each other" in photos.export(
        "xmp", "--into-files", "--for", "darktable", code=2
    )
