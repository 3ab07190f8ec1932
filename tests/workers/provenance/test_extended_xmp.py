"""XMP that JPEG keeps in several segments."""

from __future__ import annotations

import hashlib
from struct import pack
from typing import TYPE_CHECKING

import pytest

from workers.provenance import metadata_fields, read

if TYPE_CHECKING:
    from collections.abc import Callable

TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
NOTE = 'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP='
XMP, PART = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
PART_BYTES = 65_000


def segment(payload: bytes) -> bytes:
    """Return a segment APP1."""
    return b"\xff\xe1" + pack(">H", len(payload) + 2) + payload


def parts_of(extended: bytes, guid: bytes) -> list[bytes]:
    """Return the segments of an extended packet."""
    return [
        segment(PART + guid + pack(">II", len(extended), start) + extended[start:][:PART_BYTES])
        for start in range(0, len(extended), PART_BYTES)
    ]


@pytest.fixture
def extended(packet: Callable[..., bytes]) -> bytes:
    """Return a packet of three parts that declares its image AI-generated in the last one."""
    depth = f"<x:depth>{'QUJD' * 36_000}</x:depth>"
    return packet(
        'xmlns:x="urn:x"',
        f"{depth}<Iptc4xmpExt:DigitalSourceType>{TYPE}</Iptc4xmpExt:DigitalSourceType>",
    )


@pytest.fixture
def make(draw: Callable[..., bytes], packet: Callable[..., bytes]) -> Callable[..., list[str]]:
    """Return a function that reads the kinds from a JPEG with a GUID and segments behind it."""

    def kinds(guid: bytes, segments: list[bytes]) -> list[str]:
        main = segment(XMP + packet(f'{NOTE}"{guid.decode()}"'))
        data = draw("JPEG")
        return [found.kind for found in read(data[:2] + main + b"".join(segments) + data[2:])]

    return kinds


def test_parts_are_joined(extended: bytes, make: Callable[..., list[str]]) -> None:
    """The parts that the packet names are read together, in any order."""
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper().encode()
    parts = parts_of(extended, guid)

    assert 3 == len(parts)
    assert ["iptc_generated"] == make(guid, parts)
    assert ["iptc_generated"] == make(guid.lower(), parts[::-1])
    # Small letters, as some writers have them.
    assert ["iptc_generated"] == make(guid, parts_of(extended, guid.lower()))


def test_other_packets(extended: bytes, make: Callable[..., list[str]]) -> None:
    """Parts that the packet does not name are of another image, and without a name none count."""
    guid, other = b"A" * 32, b"B" * 32

    assert [] == make(other, parts_of(extended, guid))
    assert [] == make(b"", parts_of(extended, guid))
    assert ["iptc_generated"] == make(guid, parts_of(b"x" * 99, other) + parts_of(extended, guid))


def test_damaged_parts(extended: bytes, make: Callable[..., list[str]]) -> None:
    """What stands behind a missing part is not read; damaged parts raise nothing."""
    guid = b"A" * 32
    parts = parts_of(extended, guid)

    assert [] == make(guid, [parts[0], parts[2]])
    assert [] == make(guid, [segment(PART + guid), segment(PART), segment(PART + b"A" * 40)])
    assert ["iptc_generated"] == make(guid, [segment(PART + guid), *parts])


def test_is_bounded(make: Callable[..., list[str]]) -> None:
    """Of a packet of many megabytes the beginning is read."""
    guid = b"A" * 32
    start = f'<x:xmpmeta Iptc4xmpExt:DigitalSourceType="{TYPE}">'.encode()
    extended = start + bytes(metadata_fields.MAX_TEXT_BYTES + PART_BYTES)

    assert ["iptc_generated"] == make(guid, parts_of(extended, guid))
    assert [] == make(guid, parts_of(extended[len(start) :] + start, guid))
