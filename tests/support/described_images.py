"""JPEGs with metadata of their own: an XMP packet, IPTC."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A packet as a program writes it into an image.
XMP = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" {attributes}>{body}</rdf:Description></rdf:RDF>'
    "</x:xmpmeta>   <?xpacket end='w'?>"
)


def iim(sets: Mapping[int, Sequence[str]]) -> bytes:
    """Return data sets of IPTC-IIM's record 2."""
    return b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(value.encode())) + value.encode()
        for number, values in sets.items()
        for value in values
    )


IPTC = iim({25: ["Ann", "sea"], 5: ["Alps"], 120: ["Above the clouds"]})


def jpeg(xmp: str = "", iptc: bytes = b"", size: int = 64) -> bytes:
    """Return a JPEG with metadata, as cameras and programs put it there."""
    image = io.BytesIO()
    Image.new("RGB", (size, size), (9, 8, 7)).save(image, "JPEG")
    segments = []
    if xmp:
        segments.append((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode()))
    if iptc:
        resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
        segments.append((0xED, b"Photoshop 3.0\0" + resource + bytes(len(iptc) % 2)))
    parts = [struct.pack(">BBH", 0xFF, marker, len(it) + 2) + it for marker, it in segments]
    return b"".join([b"\xff\xd8", *parts, image.getvalue()[2:]])
