"""A new sidecar's packet: the image's own metadata, which it would hide, and the keyword.

It names scanner as its toolkit, and its own digest: a sidecar that is as it was made may be
deleted, or made again from the image as it is now. Programs that write to it leave their own name.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from scanner.writeback.own_metadata import NONE
from scanner.writeback.xmp_packet import (
    PHOTOSHOP,
    PROPERTIES,
    RDF,
    TOOLKIT,
    PacketRefused,
    add_item,
    children,
    descriptions_of,
    has_others,
    items_of,
    parse,
    rdf_name,
    rdf_of,
    remove,
    serialise,
    set_keyword,
    text_of,
    with_keyword,
)
from storage.records import MAX_SIDECAR_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from scanner.writeback.own_metadata import Field, OwnMetadata
    from scanner.writeback.xmp_packet import Document, Element, Property

_META = "adobe:ns:meta/"
_PACKET = b"""\
<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
%s
<?xpacket end="w"?>
"""
_EMPTY = f"""\
<x:xmpmeta xmlns:x="{_META}">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about="">
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>""".encode()
# Where a packet begins and ends; around it stand its wrapper, padding, and what writers left there.
_ROOTS = ((b"<x:xmpmeta", b"</x:xmpmeta>"), (b"<rdf:RDF", b"</rdf:RDF>"))

# darktable writes its edits into what it exports, where they are done; those in a sidecar it would
# do again.
_DARKTABLE, _KEPT_OF_DARKTABLE = "http://darktable.sf.net/", "colorlabels"
# Extended XMP is in the image, and no sidecar has any. The orientation is EXIF's matter.
_DROPPED = frozenset(
    {
        ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
        ("http://ns.adobe.com/tiff/1.0/", "Orientation"),
    }
)
# Where EXIF has dates, which are read from the image, digiKam believes these in a sidecar only.
_DATES = frozenset(
    {
        ("http://ns.adobe.com/xap/1.0/", "CreateDate"),
        ("http://ns.adobe.com/xap/1.0/", "ModifyDate"),
        ("http://ns.adobe.com/photoshop/1.0/", "DateCreated"),
        ("http://ns.adobe.com/exif/1.0/", "DateTimeDigitized"),
        ("http://ns.adobe.com/tiff/1.0/", "DateTime"),
    }
)

_NO_DIGEST = b"0" * 16
_UNSEALED = f'x:xmptk="{TOOLKIT}"'.encode()
_SEAL = re.compile(rb'x:xmptk="%s ([0-9a-f]{%d})"' % (TOOLKIT.encode(), len(_NO_DIGEST)))


def new_packet(keyword: str, extension: str | None = None, own: OwnMetadata = NONE) -> bytes:
    """Return a packet with a keyword and an image's own metadata.

    With the `extension` of the one file that it is for. Raise PacketRefused where the image's own
    packet cannot be taken over.
    """
    try:
        packet = _make(keyword, extension, own)
    except RecursionError as error:
        raise PacketRefused("is nested too deeply") from error
    if len(packet) > MAX_SIDECAR_BYTES:
        raise PacketRefused(f"is larger than {MAX_SIDECAR_BYTES >> 20} MiB")
    seal = _SEAL.search(packet)
    return packet if seal is None else _sealed(packet, seal, _digest(packet))


def own_document(own: OwnMetadata) -> Document:
    """Return an image's own packet, an empty one where it has none; raise PacketRefused."""
    return parse(_PACKET % (_cut(own.packet) if own.packet else _EMPTY))


def is_as_made(packet: bytes) -> bool:
    """Check whether a packet was made here, and nobody but scanner has changed it since."""
    seal = _SEAL.search(packet)
    if seal is not None:
        return seal[1] == _digest(_sealed(packet, seal, _NO_DIGEST))
    return _UNSEALED in packet and with_keyword(packet, None) is None


def _make(keyword: str, extension: str | None, own: OwnMetadata) -> bytes:
    document = own_document(own)
    rdf = rdf_of(document)
    descriptions = descriptions_of(rdf)
    if not descriptions:
        descriptions = [_add(document, rdf, RDF, rdf_name(rdf, "Description"))]
        descriptions[0].setAttribute(rdf_name(rdf, "about"), "")
    for description in descriptions:
        _drop(description, _DROPPED | _DATES if own.is_dated else _DROPPED)
    if extension is not None:
        descriptions[0].setAttribute("xmlns:photoshop", PHOTOSHOP)
        descriptions[0].setAttributeNS(PHOTOSHOP, "photoshop:SidecarForExtension", extension)
    for field, values in own.values.items():
        _add_field(document, rdf, field, values)
    _add_keywords(document, rdf, own.keywords)
    set_keyword(document, rdf, keyword)
    _name_toolkit(document, f"{TOOLKIT} {_NO_DIGEST.decode()}" if own else TOOLKIT)
    return serialise(document, declared=False)


def _sealed(packet: bytes, seal: re.Match[bytes], digest: bytes) -> bytes:
    return packet[: seal.start(1)] + digest + packet[seal.end(1) :]


def _digest(packet: bytes) -> bytes:
    return hashlib.sha256(packet).hexdigest()[: len(_NO_DIGEST)].encode()


def _cut(packet: bytes) -> bytes:
    """Return a packet without what stands around it."""
    for start_tag, end_tag in _ROOTS:
        start, end = packet.find(start_tag), packet.rfind(end_tag)
        if 0 <= start < end:
            return packet[start : end + len(end_tag)]
    raise PacketRefused("is not XMP")


def _name_toolkit(document: Document, toolkit: str) -> None:
    root = document.documentElement
    if root.namespaceURI != _META:
        meta = document.createElementNS(_META, "x:xmpmeta")
        meta.setAttribute("xmlns:x", _META)
        document.replaceChild(meta, root)
        meta.appendChild(root)
        root = meta
    root.setAttributeNS(_META, "x:xmptk", toolkit)


def _drop(description: Element, names: AbstractSet[tuple[str, str]]) -> None:
    """Take properties out, and darktable's edits."""
    for node in [*description.attributes.values(), *description.childNodes]:
        uri, local = node.namespaceURI, node.localName
        if (uri == _DARKTABLE and local != _KEPT_OF_DARKTABLE) or (uri, local) in names:
            if node.nodeType == node.ATTRIBUTE_NODE:
                description.removeAttributeNode(node)
            else:
                remove(node)


def _add_field(document: Document, rdf: Element, field: Field, values: Sequence[str]) -> None:
    """Add a property that the packet has not."""
    descriptions = descriptions_of(rdf)
    for description in descriptions:
        if description.getAttributeNS(field.uri, field.local):
            return
        for element in children(description, field.uri, field.local):
            if _has_content(element):
                return
            remove(element)  # twice, it would be none
        if description.hasAttributeNS(field.uri, field.local):
            description.removeAttributeNS(field.uri, field.local)
    element = _add(document, descriptions[0], field.uri, field.name)
    if not field.container:
        element.appendChild(document.createTextNode(values[0]))
        return
    container = _add(document, element, RDF, rdf_name(rdf, field.container))
    for value in values:
        item = _add(document, container, RDF, rdf_name(rdf, "li"))
        if field.container == "Alt":
            item.setAttribute("xml:lang", "x-default")
        item.appendChild(document.createTextNode(value))


def _has_content(element: Element) -> bool:
    """Check whether a property has any text, in whatever form."""
    if text_of(element) or element.getAttributeNS(RDF, "resource"):
        return True
    return any(map(_has_content, (node for node in element.childNodes if node.nodeType == 1)))


def _add_keywords(document: Document, rdf: Element, keywords: tuple[str, ...]) -> None:
    """Add keywords, flat, to each property that has any and does not name them in a hierarchy."""
    for each in [each for each in PROPERTIES if has_others(rdf, each)] or PROPERTIES[:1]:
        named = _words(rdf, each)
        for word in keywords:
            if word not in named:
                add_item(document, rdf, each, word)


def _words(rdf: Element, of: Property) -> set[str]:
    """Return the keywords in a property, and the levels of each."""
    values = set(map(text_of, items_of(rdf, of)))
    levels = (value.split(of.separator) for value in values if of.separator)
    return values.union(*levels)


def _add(document: Document, parent: Element, uri: str, name: str) -> Element:
    element = document.createElementNS(uri, name)
    if uri != RDF:
        element.setAttribute(f"xmlns:{name.partition(':')[0]}", uri)
    return parent.appendChild(element)
