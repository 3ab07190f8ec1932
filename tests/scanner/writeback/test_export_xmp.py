"""`scanner export xmp`: sidecars that photo managers read, and that no later scan takes amiss."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

import pytest
from described_images import XMP

from scanner.writeback import sidecars as module
from scanner.writeback.keywords import ALL_KEYWORDS, WORDS, Source, keyword_of
from scanner.writeback.new_packet import new_packet
from storage.database.store import Store
from storage.reads.exports import exported_images
from storage.writes.reviews import Answer
from workers.provenance import sidecars as provenance

if TYPE_CHECKING:
    from conftest import Photos

RATING = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
)

OWN = XMP.format(attributes='xmp:Rating="4"', body="")


def test_only_shown(photos: Photos) -> None:
    """Without --write, nothing is written, and the command says so."""
    photos.image("a.jpg")
    photos.scan(ajpg="ai")
    shown = photos.export("xmp")

    assert [] == photos.sidecars()
    assert "new       a.jpg.xmp" in shown
    assert "plan for scan 1, sidecars: " in shown
    assert "Nothing was written" in shown


def test_twice(photos: Photos) -> None:
    """A second export finds all as it should be, and a rescan keeps all verdicts."""
    photos.image("a.jpg")
    photos.image("2019/b.png")
    photos.image("c.jpg")
    photos.scan(ajpg="ai", **{"2019bpng": "ai"})
    photos.export("xmp", "--write")
    written = {name: (photos.root / name).read_bytes() for name in photos.sidecars()}
    second = photos.export("xmp", "--write")

    assert {"a.jpg.xmp", "2019/b.png.xmp"} == set(written)
    assert "nothing to do, 2 as they should be" in second
    assert written == {name: (photos.root / name).read_bytes() for name in photos.sidecars()}
    assert 0 == photos.scan()
    photos.export("xmp", "--remove", "--write")
    assert [] == photos.sidecars()
    assert 0 == photos.scan()


def test_sidecar_that_another_changed_too(photos: Photos) -> None:
    """An image is judged again if its sidecar was changed by another program before."""
    photos.image("a.jpg")
    photos.scan(ajpg="ai")
    (photos.root / "a.jpg.xmp").write_text(RATING)
    photos.export("xmp", "--write")

    assert 1 == photos.scan(ajpg="ai")
    assert 0 == photos.scan()


def test_keywords_follow_the_verdict(photos: Photos) -> None:
    """A later scan's verdict replaces a keyword or takes it back; what is unknown stays."""
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        photos.image(name)
    photos.scan(ajpg="ai", bjpg="ai", cjpg="ai", djpg="ai")
    photos.export("xmp", "--write")
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        photos.image(name, 9)
    photos.scan(ajpg="unsure", bjpg="no_evidence", cjpg="pending", djpg="error")
    photos.export("xmp", "--which", "ai,unsure", "--write")

    assert ["a.jpg.xmp", "c.jpg.xmp", "d.jpg.xmp"] == photos.sidecars()
    assert b">scanner:unsure<" in (photos.root / "a.jpg.xmp").read_bytes()
    assert b">scanner:ai<" in (photos.root / "c.jpg.xmp").read_bytes()


def test_reviews(photos: Photos) -> None:
    """By reviews, the people's word counts; who contradict each other have none."""
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        photos.image(name)
    photos.scan(ajpg="ai", bjpg="ai", cjpg="ai", djpg="ai")
    photos.export("xmp", "--write")
    photos.answer("a.jpg", Answer.NOT_AI)
    photos.answer("b.jpg", Answer.AI)
    photos.answer("b.jpg", Answer.CANT_TELL, "ben")
    photos.answer("c.jpg", Answer.AI)
    photos.answer("c.jpg", Answer.NOT_AI, "ben")
    photos.export("xmp", "--from", "reviews", "--which", "ai,not_ai", "--write")

    assert ["a.jpg.xmp", "b.jpg.xmp"] == photos.sidecars()
    assert b">scanner:reviewed_not_ai<" in (photos.root / "a.jpg.xmp").read_bytes()
    assert b">scanner:reviewed_ai<" in (photos.root / "b.jpg.xmp").read_bytes()


def test_reviews_else_verdicts(photos: Photos) -> None:
    """Where nothing is said of it, an answer wins over the verdict, as on the pages."""
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"):
        photos.image(name)
    photos.scan(ajpg="ai", bjpg="ai", cjpg="no_evidence", djpg="ai", ejpg="pending")
    photos.export("xmp", "--from", "verdicts", "--write")
    photos.answer("a.jpg", Answer.NOT_AI)
    photos.answer("c.jpg", Answer.AI)
    photos.answer("d.jpg", Answer.AI)
    photos.answer("d.jpg", Answer.NOT_AI, "ben")
    photos.export("xmp", "--write")

    assert ["b.jpg.xmp", "c.jpg.xmp"] == photos.sidecars()
    assert b">scanner:ai<" in (photos.root / "b.jpg.xmp").read_bytes()
    assert b">scanner:reviewed_ai<" in (photos.root / "c.jpg.xmp").read_bytes()
    photos.export("xmp", "--which", ",".join(WORDS[Source.BOTH]), "--write")
    with closing(Store.open(str(photos.file))) as store:
        on_pages = [keyword_of(image) for image in exported_images(store, 1)]
    assert on_pages == [
        "scanner:reviewed_not_ai", "scanner:ai", "scanner:reviewed_ai", None, None
    ]  # fmt: skip
    assert ["a.jpg.xmp", "b.jpg.xmp", "c.jpg.xmp"] == photos.sidecars()


@pytest.mark.parametrize("export", ["xmp", "list", "exiftool"])
def test_nobody_reviewed(photos: Photos, export: str) -> None:
    """Without any answer, reviews say nothing: one sentence, and no keyword goes."""
    for name in ("a.jpg", "2019/b.jpg"):
        photos.image(name)
    photos.scan(ajpg="ai", **{"2019bjpg": "ai"})
    photos.export("xmp", "--write")
    words = (export, "--from", "reviews")

    assert "no image of scan 1 has been reviewed" in photos.export(*words, code=1)
    photos.answer("a.jpg", Answer.NOT_AI)
    photos.export(*words)
    narrowed = photos.export(*words, "--where", "folder=2019", code=1)
    assert "no image of scan 1 that matches --where has been reviewed" in narrowed
    assert ["2019/b.jpg.xmp", "a.jpg.xmp"] == photos.sidecars()
    photos.export("xmp", "--from", "reviews", "--where", "folder=2019", "--remove", "--write")
    assert ["a.jpg.xmp"] == photos.sidecars()


def test_existing_sidecar(photos: Photos) -> None:
    """Its other fields and its mode stay; a new one can be read by those who can read the image."""
    sidecar = photos.image("a.jpg").with_name("a.jpg.xmp")
    photos.image("b.jpg").chmod(0o754)
    sidecar.write_text(RATING)
    sidecar.chmod(0o640)
    photos.scan(ajpg="ai", bjpg="ai")
    photos.export("xmp", "--write")

    assert b'xmp:Rating="4"' in sidecar.read_bytes()
    assert b">scanner:ai<" in sidecar.read_bytes()
    assert 0o640 == sidecar.stat().st_mode & 0o777
    assert 0o644 == (photos.root / "b.jpg.xmp").stat().st_mode & 0o777


def test_metadata_of_the_image(photos: Photos) -> None:
    """A new sidecar has it, is made again with it, and goes; what another changed stays."""
    images = [photos.described(name, OWN) for name in ("a.jpg", "b.jpg", "c.jpg")]
    photos.scan(ajpg="ai", bjpg="ai", cjpg="ai")
    # As version 0.2 made it.
    (photos.root / "c.jpg.xmp").write_bytes(new_packet("scanner:ai"))
    photos.export("xmp", "--write")
    made = {path.name: path.read_bytes() for path in photos.root.glob("*.xmp")}
    sidecar = photos.root / "b.jpg.xmp"
    sidecar.write_bytes(sidecar.read_bytes().replace(b'Rating="4"', b'Rating="5"'))

    assert 3 == len(made)
    assert 1 == len(set(made.values()))
    assert b'xmp:Rating="4"' in made["a.jpg.xmp"]
    assert b"scanner:ai" in made["a.jpg.xmp"]
    assert "nothing to do, 3 as they should be" in photos.export("xmp", "--write")
    images[0].write_bytes(images[0].read_bytes() + b"\0")  # what was made here goes nevertheless
    assert "2 deleted, 1 changed" in photos.export("xmp", "--remove", "--write")
    assert ["b.jpg.xmp"] == photos.sidecars()
    assert b'xmp:Rating="5"' in sidecar.read_bytes()
    assert b"scanner:ai" not in sidecar.read_bytes()


def test_metadata_that_would_be_hidden(photos: Photos) -> None:
    """An image gets no sidecar where its own XMP cannot be taken over."""
    photos.described("a.jpg", OWN.replace("</x:xmpmeta>", "<</x:xmpmeta>"))
    photos.scan(ajpg="ai")
    shown = photos.export("xmp", "--write", code=3)

    assert "a.jpg: its own XMP is not well-formed XML, and a sidecar would hide it" in shown
    assert [] == photos.sidecars()


def test_remove_from_all_scans(photos: Photos) -> None:
    """Without a scan, --remove goes through all images that any scan listed; with one, its own."""
    first = photos.image("a.jpg")
    photos.image("b.jpg")
    photos.image("c.jpg")
    photos.scan(ajpg="ai", bjpg="ai", cjpg="ai")
    photos.export("xmp", "--write")
    first.rename(photos.root.parent / "a.jpg")
    photos.image("b.jpg", 20)
    photos.scan(bjpg="error", cjpg="ai")

    assert "scan 2, sidecars: 2 deleted" in photos.export("xmp", "2", "--remove")
    assert "all scans, sidecars: 3 deleted" in photos.export("xmp", "--remove", "--write")
    assert [] == photos.sidecars()


def test_only_chosen_images_are_skipped(photos: Photos) -> None:
    """What is wrong with the sidecar of an image that is not chosen is not said."""
    (photos.root / "b.jpg.xmp").write_text("<x")
    for name in ("a.NEF.jpg", "b.jpg"):
        photos.image(name)
    raw, other = photos.root / "a.CR2", photos.root / "a.NEF"
    raw.write_bytes(b"raw")
    photos.scan(aCR2="ai")
    photos.export("xmp", "--for", "lightroom", "--write")
    (photos.root / "a.xmp").write_bytes(
        (photos.root / "a.xmp").read_bytes().replace(b"CR2", b"NEF")
    )
    photos.scan(aCR2="no_evidence")

    assert "skipped" not in photos.export("xmp", "2", "--for", "lightroom")
    assert "skipped" not in photos.export("xmp", "2")
    assert not other.exists()


def test_what_is_skipped(photos: Photos) -> None:
    """Nothing is written through a link, out of the folder, or for an image that is another now."""
    elsewhere = photos.root.parent / "elsewhere"
    elsewhere.mkdir()
    for name in ("link.jpg", "folder.jpg", "broken.jpg", "other.jpg", "gone.jpg", "out/x.jpg"):
        photos.image(name)
    photos.scan(
        linkjpg="ai", folderjpg="ai", brokenjpg="ai", otherjpg="ai", gonejpg="ai", outxjpg="ai"
    )
    (elsewhere / "kept").write_text(RATING)
    (photos.root / "link.jpg.xmp").symlink_to(elsewhere / "kept")
    (photos.root / "folder.jpg.xmp").mkdir()
    (photos.root / "broken.jpg.xmp").write_text("<x")
    photos.image("other.jpg", 30)
    (photos.root / "gone.jpg").unlink()
    (photos.root / "out").rename(elsewhere / "out")
    (photos.root / "out").symlink_to(elsewhere / "out")
    shown = photos.export("xmp", "--write", code=3)

    for line in (
        "link.jpg: the sidecar is a link",
        "folder.jpg: the sidecar is not a regular file",
        "broken.jpg: the sidecar is not well-formed XML",
        "other.jpg: the image has changed since the scan",
        "gone.jpg: the image cannot be read: No such file or directory",
        "out/x.jpg: its folder leads out of the scanned folder",
    ):
        assert line in shown
    assert RATING == (elsewhere / "kept").read_text()
    assert ["x.jpg"] == [path.name for path in (elsewhere / "out").iterdir()]


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (errno.ENOSPC, 1, "a.jpg.xmp cannot be written: No space left on device"),
        (errno.EACCES, 3, "a.jpg: the sidecar cannot be written: Permission denied"),
    ],
)
def test_disk(
    photos: Photos, monkeypatch: pytest.MonkeyPatch, number: int, code: int, said: str
) -> None:
    """A full disk ends the export, a folder that may not be written skips its images."""

    def fail(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    photos.image("a.jpg")
    photos.scan(ajpg="ai")
    monkeypatch.setattr(module, "atomic_write", fail)

    assert said in photos.export("xmp", "--write", code=code)
    assert [] == photos.sidecars()


def test_disk_with_one_mode(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    """On FAT, where files have the mode of all files and no other, sidecars are written, too."""
    change_mode = os.fchmod

    def refuse_others(descriptor: int, mode: int) -> None:
        if mode != 0o755:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        change_mode(descriptor, mode)

    photos.image("a.jpg").chmod(0o755)
    photos.scan(ajpg="ai")
    monkeypatch.setattr(os, "fchmod", refuse_others)
    photos.export("xmp", "--write")

    assert ["a.jpg.xmp"] == photos.sidecars()


def test_folder_is_elsewhere(photos: Photos) -> None:
    """A folder that is not there is one sentence; --root says where it is."""
    photos.image("a.jpg")
    photos.scan(ajpg="ai")
    moved = photos.root.rename(photos.root.with_name("moved"))

    assert "folder not found" in photos.export("xmp", "--write", code=1)
    photos.export("xmp", "--root", f"photos={moved}", "--write")
    assert (moved / "a.jpg.xmp").exists()


def test_lightroom(photos: Photos) -> None:
    """Lightroom's sidecar is NAME.xmp next to a RAW file, and says whose it is."""
    photos.image("a.jpg").rename(photos.root / "a.CR2")
    photos.image("a.jpg")
    photos.image("b.jpg").rename(photos.root / "b.CR2")
    (photos.root / "b.xmp").write_bytes(new_packet("scanner:ai", "NEF"))
    photos.scan(aCR2="ai", ajpg="ai", bCR2="ai")
    shown = photos.export("xmp", "--for", "lightroom", "--write", code=3)

    assert ["a.xmp", "b.xmp"] == photos.sidecars()
    assert b'photoshop:SidecarForExtension="CR2"' in (photos.root / "a.xmp").read_bytes()
    assert "a.jpg: Lightroom reads sidecars of RAW files only" in shown
    assert "b.CR2: the sidecar is for the NEF file of that name" in shown


@pytest.mark.parametrize("keyword", sorted(ALL_KEYWORDS))
def test_no_evidence(keyword: str) -> None:
    """A keyword of scanner's is no evidence for a later scan."""
    assert [] == list(provenance.read(new_packet(keyword), b"a.jpg.xmp", b"a.jpg"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("not_ai", "--from", "verdicts"), "ai, unsure, no_evidence for --from verdicts"),
        (("ai,,unsure", "--from", "verdicts"), "ai, unsure, no_evidence for --from verdicts"),
        (("unsure", "--from", "reviews"), "ai, not_ai, cant_tell for --from reviews"),
        (("real",), "ai, unsure, no_evidence, not_ai, cant_tell for --from both"),
    ],
)
def test_words(photos: Photos, words: tuple[str, ...], expected: str) -> None:
    """A word that does not fit is one sentence with those that do."""
    photos.scan()
    said = photos.export("xmp", "--which", *words, code=2)

    assert f"expected {expected}" in " ".join(said.split())


def test_read_by_other_programs(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs, where they are installed, read the keyword as it is meant."""
    photos.image("a.jpg", 64)
    photos.scan(ajpg="ai")
    photos.export("xmp", "--write")
    monkeypatch.chdir(photos.root)
    readers = 0
    if shutil.which("exiftool"):
        read = json.loads(_run("exiftool", "-json", "-XMP:all", "a.jpg.xmp"))[0]
        readers += 1

        assert "scanner:ai" == read["Subject"]
        assert "ai-photo-scanner|scanner:ai" == read["HierarchicalSubject"]
        assert "ai-photo-scanner/scanner:ai" == read["TagsList"]
    if shutil.which("exiv2"):
        readers += 1

        assert "ai-photo-scanner/scanner:ai" in _run("exiv2", "-PXkt", "pr", "a.jpg.xmp")
    if not readers:
        pytest.skip("neither exiftool nor exiv2 is installed")


def _run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
