"""Metadata blocks in each container, compared with other readers."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from workers.images import tiff
from workers.images.metadata import find_metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"]
SOFTWARE = 305


@pytest.mark.parametrize("form", [*FORMATS, "GIF", "BMP"])
def test_files_without_metadata(draw: Callable[..., bytes], form: str) -> None:
    """An image without metadata has no blocks."""
    assert () == find_metadata(draw(form)).blocks


@pytest.mark.parametrize("form", FORMATS)
def test_exif(draw: Callable[..., bytes], form: str) -> None:
    """EXIF is found, complete, in every container that can have it."""
    tags = Image.Exif()
    tags[SOFTWARE] = "A program with a name"
    data = draw(form, exif=tags)
    (block,) = (each for each in find_metadata(data).blocks if each.kind == "exif")
    values = tiff.metadata_values(data[block.start : block.end])

    assert b"A program with a name" == values[SOFTWARE][:-1]


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_xmp(draw: Callable[..., bytes], packet: Callable[..., bytes], form: str) -> None:
    """An XMP packet is found, exact to the byte, in every container."""
    data = draw(form, xmp=packet())
    (block,) = find_metadata(data).blocks

    assert ("xmp", packet()) == (block.kind, data[block.start : block.end])


def test_comments(draw: Callable[..., bytes]) -> None:
    """Comments of JPEG and GIF are found, complete."""
    found = []
    for form in ("JPEG", "GIF"):
        data = draw(form, comment=b"hello there")
        found += [data[c.start : c.end] for c in find_metadata(data).blocks if c.kind == "comment"]

    assert [b"hello there"] * 2 == found


def test_fill_bytes_before_jpeg_markers(draw: Callable[..., bytes]) -> None:
    """Any number of 0xFF before a marker is skipped, as T.81, B.1.1.2 allows."""
    plain = draw("JPEG", comment=b"hello there")
    filled = plain[:2] + plain[2:].replace(b"\xff\xfe\0", b"\xff\xff\xff\xfe\0")
    (block,) = (block for block in find_metadata(filled).blocks if block.kind == "comment")

    assert len(plain) + 2 == len(filled)
    assert b"hello there" == filled[block.start : block.end]


def test_png_text_after_the_pixels(chunks: Callable[..., bytes]) -> None:
    """A PNG's text is found after the pixels, too."""
    early = chunks((b"tEXt", b"Software\0NovelAI"))
    late = early[:33] + early[33 + 12 + 16 : -12] + early[33 : 33 + 12 + 16] + early[-12:]

    assert ["tEXt"] == [block.kind for block in find_metadata(late).blocks]


def test_text_inside_another_chunk(draw: Callable[..., bytes]) -> None:
    """Bytes that look like a chunk inside another chunk are not metadata."""
    info = PngInfo()
    info.add(b"teST", b"\0\0\0\x08tEXta\0bcdefgh")

    assert () == find_metadata(draw("PNG", pnginfo=info)).blocks


def test_import_is_quick() -> None:
    """The provenance package is imported and used without slow libraries."""
    code = (
        "import sys; from workers import provenance; provenance.read(b'GIF89a');"
        "print([name for name in ('c2pa', 'PIL', 'defusedxml', 'numpy') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == shown.stdout.strip()


def _by_libheif(data: bytes) -> tuple[bytes, bytes | None]:
    """Return EXIF and XMP by libheif, in a process where scanner does not keep it from them."""
    code = (
        "import io, json, sys, pi_heif;"
        "info = pi_heif.open_heif(io.BytesIO(sys.stdin.buffer.read())).info;"
        "print(json.dumps([(info.get(name) or b'').hex() for name in ('exif', 'xmp')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    exif, xmp = (bytes.fromhex(each) for each in json.loads(done.stdout))
    return exif.removeprefix(b"Exif\0\0"), xmp or None


def test_heic_agrees_with_libheif(test_data: Path) -> None:
    """EXIF and XMP of phones' HEIC files are those that libheif finds."""
    found, expected = {}, {}
    with zipfile.ZipFile(test_data / "provenance.zip") as archive:
        for name in archive.namelist():
            if name.lower().endswith((".heic", ".heif")):
                data = archive.read(name)
                parts = {c.kind: data[c.start : c.end] for c in find_metadata(data).blocks}
                found[name] = (parts["exif"], parts.get("xmp"))
                expected[name] = _by_libheif(data)

    assert 3 == len(expected)
    assert expected == found


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged tags
def test_tags_agree_with_pillow(test_data: Path) -> None:
    """Make, model and software are those that Pillow reads from the same files."""
    found, expected = {}, {}
    with zipfile.ZipFile(test_data / "provenance.zip") as archive:
        for name in archive.namelist():
            data = archive.read(name)
            try:
                exif = Image.open(io.BytesIO(data)).getexif()
            except (UnidentifiedImageError, OSError):
                continue
            expected[name] = {
                tag: exif[tag].rstrip(" \0") for tag in (271, 272, 305) if tag in exif
            }
            blobs = [data[c.start : c.end] for c in find_metadata(data).blocks if c.kind == "exif"]
            tags = tiff.metadata_values(blobs[0]) if blobs else {}
            found[name] = {
                tag: tags[tag].rstrip(b" \0").decode() for tag in (271, 272, 305) if tag in tags
            }

    assert 16 == sum(map(bool, expected.values()))
    assert expected == found
