"""XMP properties that can declare an image's origin (ISO 16684-1).

Only those of the file itself are read: Photoshop keeps the packets of images that were pasted in
(its *pantry*) inside the file's own packet, and those do not describe the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, ParseError

from workers.provenance import generators

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PACKET_BYTES = 1 << 20

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_PROPERTIES = {
    "AISystemUsed",
    "CreatorTool",
    "Credit",
    "DigitalSourceType",
    "Software",
    "description",
    "provenance",
}
# Most packets have nothing of interest, and these searches cost a tenth of parsing them: strings
# that are always of interest, and properties that are where a signature follows the name.
_ALWAYS = (b"DigitalSourceType", b"provenance", b"AISystemUsed", b"Job ID: ")
_SIGNED = (b"CreatorTool", b"Credit", b"Software")
_SIGNATURES = (b"Google", *generators.XMP_STRINGS)
_MAX_DISTANCE_BYTES = 256


def properties(packet: bytes) -> Iterator[tuple[str, str]]:
    """Yield (local name, value) of the properties of interest; none for a broken packet."""
    if len(packet) > MAX_PACKET_BYTES or not _is_of_interest(packet):
        return
    root = _parse(packet)
    if root is None:
        return
    rdf = next(root.iter(f"{_RDF}RDF"), None)  # the first is the file's own
    if rdf is not None:
        for description in rdf.findall(f"{_RDF}Description"):
            yield from _described(description)


def _is_of_interest(packet: bytes) -> bool:
    if any(string in packet for string in _ALWAYS):
        return True
    values = b"\n".join(
        part[:_MAX_DISTANCE_BYTES] for name in _SIGNED for part in packet.split(name)[1:]
    )
    return any(signature in values for signature in _SIGNATURES)


def _parse(packet: bytes) -> Element | None:
    # Few files need it, and its import takes 25 ms.
    from defusedxml import (  # type: ignore[import-untyped]  # noqa: PLC0415
        DefusedXmlException,
        ElementTree,
    )

    start, end = packet.find(b"<x:xmpmeta"), packet.rfind(b"</x:xmpmeta>")
    if 0 <= start < end:  # leave out the wrapper, most of which is padding
        packet = packet[start : end + len(b"</x:xmpmeta>")]
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        # ValueError, LookupError: an encoding that Python does not know.
        return None
    return root if isinstance(root, Element) else None


def _described(description: Element) -> Iterator[tuple[str, str]]:
    """Yield the properties of one rdf:Description, which are attributes or elements."""
    for name, value in description.attrib.items():
        if (local := name.rpartition("}")[2]) in _PROPERTIES:
            yield local, value
    for child in description:
        if (local := child.tag.rpartition("}")[2]) in _PROPERTIES:
            items = child.iter(f"{_RDF}li")
            texts = [child.get(f"{_RDF}resource"), child.text, *(item.text for item in items)]
            yield local, "\n".join(text.strip() for text in texts if text and text.strip())
