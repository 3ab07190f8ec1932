"""Files as cameras, phones and editors write them: no evidence, whatever their metadata has."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from workers.provenance import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.records import Finding

IMAGE_DESCRIPTION, MAKE, MODEL, SOFTWARE, ARTIST = 270, 271, 272, 305, 315
EXIF_DIRECTORY, USER_COMMENT, LENS = 0x8769, 0x9286, 0xA434
SETTINGS = "a lighthouse\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"

# EXIF (make, model, software, description, comment), and attributes and elements of XMP.
CAMERA = ("Canon", "Canon EOS R5")
CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
LIGHTROOM_HISTORY = (
    "<xmpMM:History><rdf:Seq><rdf:li stEvt:action='derived' xmlns:stEvt='urn:e'/></rdf:Seq>"
    "</xmpMM:History>"
)
WRITERS = {
    "Lightroom Classic": (
        (*CAMERA, "Adobe Lightroom 14.0 (Macintosh)", "", ""),
        (
            'xmp:CreatorTool="Adobe Lightroom 14.0 (Macintosh)" xmlns:crs="urn:crs" '
            'crs:Version="17.0" crs:EnhanceDenoiseAlreadyApplied="True" crs:LensBlur="0"'
        ),
        LIGHTROOM_HISTORY,
    ),
    "Lightroom, AI denoise": (
        (*CAMERA, "Adobe Lightroom 14.0", "", ""),
        f'Iptc4xmpExt:DigitalSourceType="{CAPTURE}algorithmicallyEnhanced"',
        "",
    ),
    "Photoshop": (
        (*CAMERA, "Adobe Photoshop 26.0 (Windows)", "", ""),
        'xmp:CreatorTool="Adobe Photoshop 26.0 (Windows)"',
        f"<Iptc4xmpExt:DigitalSourceType>{CAPTURE}humanEdits</Iptc4xmpExt:DigitalSourceType>",
    ),
    "Photoshop Express": ((*CAMERA, "Photoshop Express 7.1.0.1486", "", ""), "", ""),
    "Capture One": (
        (*CAMERA, "Capture One Macintosh", "A model at the sea", ""),
        'xmp:CreatorTool="Capture One 23" photoshop:Credit="Studio Diffusion"',
        "",
    ),
    "darktable": (
        (*CAMERA, "darktable 4.8.1", "", ""),
        (
            'xmlns:darktable="http://darktable.sf.net/" darktable:xmp_version="5" '
            'xmpMM:DerivedFrom="IMG_1.CR3"'
        ),
        (
            "<darktable:history><rdf:Seq><rdf:li darktable:operation='diffuse'/></rdf:Seq>"
            "</darktable:history>"
        ),
    ),
    "GIMP": (
        (*CAMERA, "GIMP 2.10.38", "", "Created with GIMP"),
        'xmlns:GIMP="http://www.gimp.org/xmp/" GIMP:API="2.0" xmp:CreatorTool="GIMP 2.10"',
        "",
    ),
    "digiKam": (
        (*CAMERA, "digiKam-8.4.0", "", ""),
        'xmlns:digiKam="http://www.digikam.org/ns/1.0/" xmp:CreatorTool="digiKam-8.4.0"',
        "<digiKam:TagsList><rdf:Seq><rdf:li>AI/ComfyUI club</rdf:li></rdf:Seq></digiKam:TagsList>",
    ),
    "DxO, Topaz": ((*CAMERA, "DxO PhotoLab 8", "", "Topaz Photo AI 3.3.2"), "", ""),
    "Luminar Neo": ((*CAMERA, "Luminar Neo 1.20.0", "", ""), 'xmp:CreatorTool="Luminar AI"', ""),
    "exiftool": (
        (*CAMERA, "ExifTool 12.57", "How I photographed the ComfyUI meeting", ""),
        'photoshop:Credit="OpenAI"',
        "<dc:subject><rdf:Bag><rdf:li>Midjourney</rdf:li></rdf:Bag></dc:subject>",
    ),
    "iPhone": (("Apple", "iPhone 15 Pro", "17.5.1", "", ""), 'xmp:CreatorTool="17.5.1"', ""),
    "Pixel": (
        ("Google", "Pixel 9 Pro", "HDR+ 1.0.658", "", ""),
        (
            'photoshop:Credit="Taken with Pixel camera" '
            f'Iptc4xmpExt:DigitalSourceType="{CAPTURE}computationalCapture"'
        ),
        "",
    ),
    "Samsung": (("samsung", "Galaxy S24 Ultra", "S928BXXU1AXB5", "", ""), "", ""),
    "Snapseed": (("Google", "Pixel 7", "Snapseed 2.0", "", ""), "", ""),
    "Instagram": (("", "", "Instagram", "", ""), "", ""),
    "Canva": (
        ("", "", "", "", ""),
        'xmp:CreatorTool="Canva (Renderer) doc=DAF1 user=UAE2 brand=x template="',
        "",
    ),
    "Screenshot": (("", "", "", "", "Screenshot"), "", ""),
    "Camera's own comment": (("OLYMPUS", "E-M1", "", "OLYMPUS DIGITAL CAMERA", "Steps: 3"), "", ""),
}


def scored(data: bytes) -> list[Finding]:
    """Return the findings that count as evidence."""
    return [finding for finding in read(data) if finding.score is not None]


def exif(make: str, model: str, software: str, description: str, comment: str) -> Image.Exif:
    """Return the EXIF of a file."""
    tags = Image.Exif()
    for tag, value in [
        (MAKE, make), (MODEL, model), (SOFTWARE, software), (IMAGE_DESCRIPTION, description)
    ]:  # fmt: skip
        if value:
            tags[tag] = value
    tags[ARTIST] = "Sora Dalle"
    inner = tags.get_ifd(EXIF_DIRECTORY)
    inner[LENS] = "RF24-70mm F2.8 L IS USM"
    inner[USER_COMMENT] = b"ASCII\0\0\0" + comment.encode()
    return tags


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_files_of_photographers(
    draw: Callable[..., bytes], packet: Callable[..., bytes], writer: str, form: str
) -> None:
    """A photograph is no evidence for the programs that it went through."""
    tags, attributes, elements = WRITERS[writer]
    data = draw(form, exif=exif(*tags).tobytes(), xmp=packet(attributes, elements))

    assert [] == scored(data)


# Programs that a system may have, and how each writes a copy.
PROGRAMS = {
    "ImageMagick": ["convert", "IN", "-resize", "50%", "OUT.jpg"],
    "ImageMagick, PNG": ["convert", "IN", "OUT.png"],
    "GraphicsMagick": ["gm", "convert", "IN", "OUT.png"],
    "ffmpeg": ["ffmpeg", "-loglevel", "error", "-i", "IN", "OUT.png"],
    "exiftool": ["exiftool", "-q", "-XMP:CreatorTool=x", "-IPTC:Credit=y", "-o", "OUT.jpg", "IN"],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_copies(tmp_path: Path, draw: Callable[..., bytes], program: str) -> None:
    """A copy of a photograph that a program writes is no evidence either."""
    assert [] == scored(copy(tmp_path, draw("JPEG", exif=exif(*WRITERS["GIMP"][0])), program))


@pytest.mark.parametrize("program", ["ImageMagick", "ImageMagick, PNG", "exiftool"])
def test_copies_with_settings(tmp_path: Path, draw: Callable[..., bytes], program: str) -> None:
    """A copy of a generated image is found where the program keeps its metadata."""
    tags = Image.Exif()
    tags.get_ifd(EXIF_DIRECTORY)[USER_COMMENT] = b"UNICODE\0" + SETTINGS.encode("utf-16-be")

    (finding,) = scored(copy(tmp_path, draw("JPEG", exif=tags), program))

    assert "Stable Diffusion web UI" == finding.detail["generator"]


def copy(folder: Path, data: bytes, program: str) -> bytes:
    """Return the copy of a JPEG that a program writes; skip the test where there is none."""
    command = PROGRAMS[program]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    source = folder / "in.jpg"
    source.write_bytes(data)
    names = {"IN": source, "OUT.jpg": folder / "out.jpg", "OUT.png": folder / "out.png"}
    subprocess.run([str(names.get(word, word)) for word in command], check=True, timeout=60)
    return next(folder.glob("out.*")).read_bytes()


@pytest.mark.parametrize("tag", [IMAGE_DESCRIPTION, USER_COMMENT])
@pytest.mark.parametrize("separator", [" ", ", "])
def test_comments_as_numbers(draw: Callable[..., bytes], tag: int, separator: str) -> None:
    """GIMP and darktable write the bytes of a comment that they cannot decode as numbers."""
    comment = b"UNICODE\0" + SETTINGS.encode("utf-16-be")
    numbers = separator.join(map(str, comment))
    tags = Image.Exif()
    if tag == USER_COMMENT:
        tags.get_ifd(EXIF_DIRECTORY)[tag] = b"ASCII\0\0\0" + numbers.encode()
    else:
        tags[tag] = numbers

    (finding,) = scored(draw("JPEG", exif=tags))

    assert "Stable Diffusion web UI" == finding.detail["generator"]
    assert finding.detail["excerpt"].startswith("a lighthouse")


@pytest.mark.parametrize("text", ["300 " * 40 + "1", "1 " * 40 + "1", "12", "1,2,3", "7" * 999])
def test_other_numbers(draw: Callable[..., bytes], text: str) -> None:
    """Numbers that are no bytes of a comment are left alone."""
    tags = Image.Exif()
    tags[IMAGE_DESCRIPTION] = text

    assert [] == scored(draw("JPEG", exif=tags))
