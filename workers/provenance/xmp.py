"""The XMP properties that may speak of a picture's origin (ISO 16684-1).

Only what a packet says of the file itself: Photoshop keeps the packets of the pictures that were
pasted in (its *pantry*) inside the file's own, and those are no statement about the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, ParseError

from workers.provenance import tags

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PACKET_BYTES = 1 << 20

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_WANTED = {
    "AISystemUsed",
    "CreatorTool",
    "Credit",
    "DigitalSourceType",
    "Software",
    "description",
    "provenance",
}
# Most packets say nothing that is looked for, and finding that out costs a tenth of parsing them.
_SPEAKING = (b"DigitalSourceType", b"provenance", b"AISystemUsed", b"Job ID: ")
_SIGNING = (b"CreatorTool", b"Credit", b"Software")
_SIGNATURES = (b"Google", *tags.IN_XMP)
_VALUE_BYTES = 256  # after a property's name, in which a signature has to begin and end


def properties(packet: bytes) -> Iterator[tuple[str, str]]:
    """Give (local name, value) of the wanted properties; nothing for a packet that is broken."""
    if len(packet) > MAX_PACKET_BYTES or not _worth_parsing(packet):
        return
    root = _parse(packet)
    if root is None:
        return
    for rdf in root.iter(f"{_RDF}RDF"):
        for description in rdf.findall(f"{_RDF}Description"):
            yield from _described(description)
        return  # the first is the file's own


def _worth_parsing(packet: bytes) -> bool:
    if any(word in packet for word in _SPEAKING):
        return True
    values = b"\n".join(
        piece[:_VALUE_BYTES] for name in _SIGNING for piece in packet.split(name)[1:]
    )
    return any(signature in values for signature in _SIGNATURES)


def _parse(packet: bytes) -> Element | None:
    # Few files need it, and it takes 25 ms to import.
    from defusedxml import (  # type: ignore[import-untyped]  # noqa: PLC0415
        DefusedXmlException,
        ElementTree,
    )

    begin, end = packet.find(b"<x:xmpmeta"), packet.rfind(b"</x:xmpmeta>")
    if 0 <= begin < end:  # leave out what writers put around it, padding above all
        packet = packet[begin : end + len(b"</x:xmpmeta>")]
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        # ValueError, LookupError: an encoding that Python does not know.
        return None
    return root if isinstance(root, Element) else None


def _described(description: Element) -> Iterator[tuple[str, str]]:
    """The properties of one rdf:Description, which XMP allows as attributes and as elements."""
    for name, value in description.attrib.items():
        if (local := name.rpartition("}")[2]) in _WANTED:
            yield local, value
    for child in description:
        if (local := child.tag.rpartition("}")[2]) in _WANTED:
            items = child.iter(f"{_RDF}li")
            texts = [child.get(f"{_RDF}resource"), child.text, *(item.text for item in items)]
            yield local, "\n".join(text.strip() for text in texts if text and text.strip())
