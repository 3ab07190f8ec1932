"""Files made to be slow, large or confusing take bounded time and memory, and raise nothing."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from struct import pack
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from workers.images.metadata import find_metadata
from workers.provenance import read

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 1 << 20
# What a hang would overrun by far on the slowest machine, in seconds.
pytestmark = pytest.mark.timeout(60)


def peak_bytes(data: bytes) -> int:
    """Return the peak memory of reading, without the file itself."""
    tracemalloc.start()
    read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def inflatable(size_bytes: int) -> bytes:
    """Return so many bytes of the letter A, deflated."""
    deflate = zlib.compressobj(9)
    block = b"A" * MEBIBYTE
    pieces = [deflate.compress(block) for _ in range(size_bytes // MEBIBYTE)]
    return b"".join(pieces) + deflate.flush()


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    """Return the head of a JPEG with these segments, each (marker, payload)."""
    parts = [bytes((0xFF, marker)) + pack(">H", len(p) + 2) + p for marker, p in segments]
    return b"\xff\xd8" + b"".join(parts) + b"\xff\xda\0\2"


def test_compressed_text_is_inflated_to_a_bound(chunks: Callable[..., bytes]) -> None:
    """A small zTXt of 256 MiB takes a few megabytes to read."""
    bomb = inflatable(256 * MEBIBYTE)
    data = chunks((b"zTXt", b"parameters\0\0" + bomb))

    assert () == read(data)
    assert peak_bytes(data) < 32 * MEBIBYTE


def test_many_bombs_share_one_bound(chunks: Callable[..., bytes]) -> None:
    """Many bombs in a file take no more memory than a few."""
    bomb = inflatable(64 * MEBIBYTE)
    chunk = (b"iTXt", b"parameters\0\1\0\0\0" + bomb)

    assert peak_bytes(chunks(*[chunk] * 200)) < 32 * MEBIBYTE


def test_long_text_is_read_to_a_bound(chunks: Callable[..., bytes]) -> None:
    """A text chunk of 50 MB takes a few megabytes to read."""
    data = chunks((b"tEXt", b"parameters\0" + b"Steps: 1, CFG scale: 1, " * (2 * MEBIBYTE)))

    assert () == read(data)
    assert peak_bytes(data) < 32 * MEBIBYTE


def test_texts_made_for_patterns_are_bounded(chunks: Callable[..., bytes]) -> None:
    """Texts in which a pattern starts to match everywhere are searched quickly."""
    steps = (b"tEXt", b"parameters\0" + b"Steps: 1, " * 60_000 + b"CFG scale: ")
    dream = (b"tEXt", b"Dream\0" + b" -s 1 " * 60_000 + b" -S")

    assert () == read(chunks(*[steps, dream] * 100))


def test_deeply_nested_json_is_no_evidence(chunks: Callable[..., bytes]) -> None:
    """A hundred thousand brackets are not a workflow."""
    nested = b"[" * 100_000 + b"]" * 100_000

    assert () == read(chunks((b"tEXt", b"workflow\0" + nested), (b"tEXt", b"prompt\0" + nested)))


def test_long_workflow_is_still_found(chunks: Callable[..., bytes]) -> None:
    """A prompt of several megabytes is recognised by its beginning and the names of its nodes."""
    graph = {str(n): {"class_type": "KSampler", "inputs": {"n": n}} for n in range(100_000)}
    (finding,) = read(chunks((b"tEXt", b"prompt\0" + json.dumps(graph).encode())))

    assert "ComfyUI" == finding.detail["generator"]


def test_xml_bomb_is_no_evidence(draw: Callable[..., bytes], packet: Callable[..., bytes]) -> None:
    """Entities that expand into one another are not expanded."""
    entities = b"<!DOCTYPE x [<!ENTITY a0 'trainedAlgorithmicMedia'>"
    for level in range(1, 12):
        refers = b"&a%d;" % (level - 1) * 10
        entities += b"<!ENTITY a%d '%s'>" % (level, refers)
    bomb = packet('Iptc4xmpExt:DigitalSourceType="&a11;"')
    # Without the usual wrapper the declaration would not be left out beforehand.
    bomb = bomb.replace(b"x:xmpmeta", b"x:xapmeta")
    begin = bomb.index(b"<x:xapmeta")

    (finding,) = read(draw("JPEG", xmp=entities + b"]>" + bomb[begin:]))

    assert ("xmp_unreadable", None) == (finding.kind, finding.score)


def test_deep_xml_is_no_error(packet: Callable[..., bytes], chunks: Callable[..., bytes]) -> None:
    """XML elements nested a hundred thousand deep raise nothing."""
    depth = 100_000
    deep = packet(elements="<a>" * depth + "DigitalSourceType" + "</a>" * depth)

    assert () == read(chunks((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + deep)))


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFF])
def test_impossible_chunk_lengths_end_the_walk(draw: Callable[..., bytes], length: int) -> None:
    """A chunk longer than the file is read to the end of the file."""
    plain = draw("PNG")
    data = plain[:33] + pack(">I", length) + b"tEXtSoftware\0NovelAI"
    (finding,) = read(data)

    assert "NovelAI" == finding.detail["generator"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_that_points_to_itself_ends(order: str) -> None:
    """EXIF directories in a loop are read once."""
    magic = {"<": b"II*\0", ">": b"MM\0*"}[order]
    loop = pack(f"{order}IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)

    assert () == read(jpeg_with((0xE1, b"Exif\0\0" + magic + loop)))
    assert () == read(magic + loop)


def test_exif_with_offsets_past_the_data() -> None:
    """Offsets and sizes past the data give no findings."""
    entry = pack(">HHII", 305, 2, 0xFFFFFFFF, 0xFFFFFFF0)
    tiff = b"MM\0*" + pack(">IH", 8, 0xFFFF) + entry * 40_000

    assert () == read(tiff)
    assert () == read(b"MM\0*" + pack(">I", 0xFFFFFFFF))


def test_item_locations_without_width_end() -> None:
    """An item location box with a billion empty extents ends quickly."""
    infe = pack(">I4sIHH4sB", 21, b"infe", 2 << 24, 1, 0, b"Exif", 0)
    iinf = pack(">I4sIH", 14 + len(infe), b"iinf", 0, 1) + infe
    items = pack(">HHH", 1, 0, 0xFFFF) * 4_000
    iloc = pack(">I4sIHH", 16 + len(items), b"iloc", 0, 0, 0xFFFF) + items
    meta = pack(">I4sI", 12 + len(iinf + iloc), b"meta", 0) + iinf + iloc
    ftyp = pack(">I4s4sI", 16, b"ftyp", b"heic", 0)

    assert () == find_metadata(ftyp + meta).blocks
    assert () == find_metadata(ftyp + pack(">I4s", 8, b"free") * MEBIBYTE).blocks


def test_endless_markers_and_blocks_end() -> None:
    """Millions of fill bytes, empty segments and extensions end quickly."""
    assert () == find_metadata(b"\xff\xd8" + b"\xff" * (8 * MEBIBYTE)).blocks
    assert () == find_metadata(b"\xff\xd8" + b"\xff\xe2\0\2" * MEBIBYTE).blocks
    assert () == find_metadata(b"GIF89a" + bytes(7) + b"!\xf9\0" * MEBIBYTE).blocks


def test_texts_by_the_hundred_thousand_are_bounded(chunks: Callable[..., bytes]) -> None:
    """Of a hundred thousand texts only a few are read."""
    data = chunks(*[(b"tEXt", b"parameters\0x")] * 100_000)

    assert () == read(data)
    assert peak_bytes(data) < MEBIBYTE


def test_truncated_manifest_is_unreadable(
    draw: Callable[..., bytes], sign: Callable[..., bytes]
) -> None:
    """A file cut inside its manifest gives an `unreadable` finding."""
    signed = sign(draw("JPEG"), [{"action": "c2pa.created"}])

    assert ["c2pa_unreadable"] == [each.kind for each in read(signed[:2000])]


@settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_no_damage_makes_reading_fail(
    draw: Callable[..., bytes],
    packet: Callable[..., bytes],
    sign: Callable[..., bytes],
    data: st.DataObject,
) -> None:
    """Reading a file with any damage raises nothing."""
    tags = Image.Exif()
    tags[305] = "Adobe Firefly"
    tags.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "Steps: 20".encode("utf-16-be")
    form = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "signed"]))
    if form == "signed":
        whole = sign(draw("JPEG"), [{"action": "c2pa.created"}])
    else:
        whole = draw(form, exif=tags, xmp=packet('photoshop:Credit="Made with Google AI"'))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])

    assert all(0.5 <= (finding.score or 0.5) <= 1 for finding in read(cut))
