"""XMP properties that can declare an image's origin (ISO 16684-1).

Only those of the file itself are read: Photoshop keeps the packets of images that were pasted in
(its *pantry*) inside the file's own packet, and those do not describe the whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, ParseError

from workers.provenance import generators

if TYPE_CHECKING:
    from collections.abc import Iterator

# Larger packets are not parsed, which takes a hundred times their memory, but searched.
MAX_PARSED_BYTES = 1 << 20

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_PROPERTIES = {
    "AIGC",
    "AIPromptInformation",
    "AISystemUsed",
    "CreatorTool",
    "Credit",
    "DigitalSourceType",
    "SidecarForExtension",
    "Software",
    "UserComment",
    "description",
    "provenance",
}
# Most packets have nothing of interest, and these searches cost a tenth of parsing them: strings
# that are always of interest, and properties that are where a signature follows the name.
_ALWAYS = (
    b":AI",  # AIGC, AIPromptInformation, AISystemUsed
    b"<AI",
    b"DigitalSourceType",
    b"Job ID: ",
    b"Mochi Diffusion",
    b"UserComment",
    b"class_type",
    b"provenance",
)
_SIGNED = (b"CreatorTool", b"Credit", b"Software")
_SIGNATURES = (b"Google", b"Apple", *generators.XMP_STRINGS)
_MAX_DISTANCE_BYTES = 256

# Repairs of packets that are not well-formed: characters that XML forbids, an ampersand that begins
# no entity, and prefixes of names in tags, to declare those that are not.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BARE_AMPERSAND = re.compile(r"&(?!(?:#\d+|#x[0-9a-fA-F]+|amp|lt|gt|quot|apos);)")
_PREFIX = re.compile(r"[<\s]/?([A-Za-z_][\w.-]*):[\w.-]+(?=[\s=/>])")
_DECLARED = re.compile(r"\bxmlns:([\w.-]+)\s*=")
_BUILT_IN = {"xml", "xmlns"}
# The declared source type of a packet that is broken beyond that, such as a truncated one.
_SOURCE_TYPE = re.compile(
    rb"DigitalSourceType[^<>]{0,8}[>=\"']{1,2}\s*https?://cv\.iptc\.org/newscodes/"
    rb"digitalsourcetype/(\w+)",
    re.IGNORECASE,
)
_PANTRY = b"Pantry"


def properties(packet: bytes) -> Iterator[tuple[str, str]]:
    """Yield (local name, value) of the properties of interest.

    Of a broken packet yield at most the source type, and ("unreadable", "") where it has none.
    """
    if not _is_of_interest(packet):
        return
    if len(packet) > MAX_PARSED_BYTES:
        yield _salvage(packet)
        return
    start, end = packet.find(b"<x:xmpmeta"), packet.rfind(b"</x:xmpmeta>")
    if 0 <= start < end:  # leave out the wrapper, most of which is padding
        packet = packet[start : end + len(b"</x:xmpmeta>")]
    root = _parse(packet.strip(b"\0 \r\n\t"))
    if root is None:
        root = _parse(_repair(packet))
    if root is None:
        yield _salvage(packet)
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


def _parse(packet: bytes | str) -> Element | None:
    # Few files need it, and its import takes 25 ms.
    from defusedxml import (  # type: ignore[import-untyped]  # noqa: PLC0415
        DefusedXmlException,
        ElementTree,
    )

    try:
        root = ElementTree.fromstring(packet)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        # ValueError, LookupError: an encoding that Python does not know.
        return None
    return root if isinstance(root, Element) else None


def _repair(packet: bytes) -> str:
    """Make a packet well-formed where a byte, an ampersand or a missing declaration is at fault."""
    text = FORBIDDEN.sub(" ", packet.decode("utf-8", "replace"))
    text = _BARE_AMPERSAND.sub("&amp;", text)
    undeclared = {*_PREFIX.findall(text)} - {*_DECLARED.findall(text)} - _BUILT_IN
    namespaces = "".join(
        f' xmlns:{prefix}="{_RDF[1:-1] if prefix == "rdf" else prefix}"'
        for prefix in sorted(undeclared)
    )
    return re.sub(r"<[\w.-]+(?::[\w.-]+)?", rf"\g<0>{namespaces}", text, count=1)


def _salvage(packet: bytes) -> tuple[str, str]:
    """Return the source type in a packet that cannot be parsed, if it must be the file's own."""
    match = _SOURCE_TYPE.search(packet) if _PANTRY not in packet else None
    return ("DigitalSourceType", match[1].decode()) if match else ("unreadable", "")


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
