"""Keywords in an XMP packet (ISO 16684-1): what else is in the packet stays.

Three properties hold the keywords, one for each kind of reader: `dc:subject` (all), the hierarchy
of Lightroom, which darktable and digiKam read, too, and the one of digiKam. digiKam and darktable
read one of those that are there, and no other: so beside keywords of others, scanner's is in the
properties that have those, Windows' included, or it would hide them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.parsers.expat import ExpatError

from scanner.writeback.keywords import ALL_KEYWORDS, PARENT
from storage.records import MAX_SIDECAR_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from typing import Any

    # minidom's types tell no node from another where it matters, and would need a cast at each.
    Document = Any
    Element = Any
    Node = Any

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_LISTS = ("Bag", "Seq", "Alt")
# The toolkit in packets that were made here: one of those that is empty again may be deleted.
TOOLKIT = "ai-photo-scanner"
# What minidom writes as it is in an attribute, or in a text, and a parser reads as something else.
# Until it is written, in characters that no XML may contain.
_IN_ATTRIBUTES = {9: "\x01", 10: "\x02", 13: "\x03"}
_IN_TEXTS = {13: "\x03"}


class PacketRefused(Exception):
    """The packet is not changed; the message says what it is."""


@dataclass(frozen=True, slots=True)
class Property:
    """A property with keywords; `separator` stands between the levels, "" for the last one only."""

    uri: str
    name: str
    container: str
    separator: str

    @property
    def local(self) -> str:
        """Return the name without the prefix."""
        return self.name.partition(":")[2]

    def value(self, keyword: str) -> str:
        """Return a keyword as it stands in this property."""
        return f"{PARENT}{self.separator}{keyword}" if self.separator else keyword


PROPERTIES = (
    Property("http://purl.org/dc/elements/1.1/", "dc:subject", "Bag", ""),
    Property("http://ns.adobe.com/lightroom/1.0/", "lr:hierarchicalSubject", "Bag", "|"),
    Property("http://www.digikam.org/ns/1.0/", "digiKam:TagsList", "Seq", "/"),
    # Of Windows' Explorer, and as exiftool writes it.
    Property("http://ns.microsoft.com/photo/1.0/", "MicrosoftPhoto:LastKeywordXMP", "Bag", "/"),
    Property("http://ns.microsoft.com/photo/1.0", "MicrosoftPhoto:LastKeywordXMP", "Bag", "/"),
)
USUAL = PROPERTIES[:3]


def with_keyword(packet: bytes, keyword: str | None) -> bytes | None:
    """Return the packet with this keyword of scanner's and no other; with None, without any.

    The very same bytes if that is so already; None for a packet that was made here and that
    holds nothing any more. Raise PacketRefused.
    """
    document = parse(packet)
    rdf = rdf_of(document)
    if not set_keyword(document, rdf, keyword):
        return packet
    if keyword is None and _is_left_empty(document, rdf):
        return None
    try:
        return serialise(document, declared=packet.lstrip(b"\xef\xbb\xbf").startswith(b"<?xml"))
    except RecursionError as error:
        raise PacketRefused("is nested too deeply") from error


def set_keyword(document: Document, rdf: Element, keyword: str | None) -> bool:
    """Give a packet this keyword of scanner's and no other; return False if that is so already."""
    into = properties_for(lambda each: has_others(rdf, each))
    wanted = {each: keyword if each in into else None for each in PROPERTIES}
    if all(_is_as_wanted(rdf, each, word) for each, word in wanted.items()):
        return False
    for each, word in wanted.items():
        _set(document, rdf, each, word)
    return True


def add_item(document: Document, rdf: Element, of: Property, value: str) -> None:
    """Add a value to a property."""
    container = container_of(document, rdf, of)
    item = document.createElementNS(RDF, rdf_name(rdf, "li"))
    item.appendChild(document.createTextNode(value))
    container.appendChild(item)


def stated_extension(packet: bytes) -> str | None:
    """Return the extension of the file that a packet says to be for; raise PacketRefused."""
    for description in descriptions_of(rdf_of(parse(packet))):
        if value := description.getAttributeNS(PHOTOSHOP, "SidecarForExtension"):
            return str(value)
        for child in children(description, PHOTOSHOP, "SidecarForExtension"):
            return text_of(child)
    return None


def parse(packet: bytes) -> Document:
    """Parse a packet; raise PacketRefused."""
    from defusedxml import (  # type: ignore[import-untyped]  # noqa: PLC0415 - 25 ms
        DefusedXmlException,
        minidom,
    )

    if len(packet) > MAX_SIDECAR_BYTES:
        raise PacketRefused(f"is larger than {MAX_SIDECAR_BYTES >> 20} MiB")
    try:
        document: Document = minidom.parseString(packet, forbid_dtd=True)
    except DefusedXmlException as error:
        raise PacketRefused("has a document type, which XMP never has") from error
    except (ExpatError, ValueError, LookupError) as error:
        # ValueError, LookupError: an encoding that Python does not know.
        raise PacketRefused("is not well-formed XML") from error
    return document


def rdf_of(document: Document) -> Element:
    """Return the RDF of a packet; raise PacketRefused where there is none."""
    try:
        found: list[Element] = document.getElementsByTagNameNS(RDF, "RDF")
    except RecursionError as error:
        raise PacketRefused("is nested too deeply") from error
    if not found:
        raise PacketRefused("is not XMP")
    return found[0]  # the first is the file's own


def children(parent: Node, uri: str, *locals_: str) -> list[Element]:
    """Return the elements of these names in an element."""
    return [
        child
        for child in parent.childNodes
        if child.nodeType == child.ELEMENT_NODE
        and child.namespaceURI == uri
        and child.localName in locals_
    ]


def descriptions_of(rdf: Element) -> list[Element]:
    """Return the elements that have the properties."""
    return children(rdf, RDF, "Description")


def text_of(element: Element) -> str:
    """Return the text in an element itself."""
    texts = (child.data for child in element.childNodes if child.nodeType in _TEXT_TYPES)
    return "".join(texts).strip()


_TEXT_TYPES = (3, 4)  # texts and CDATA


def items_of(rdf: Element, of: Property) -> Iterator[Element]:
    """Yield the items of a property in all descriptions."""
    for description in descriptions_of(rdf):
        for element in children(description, of.uri, of.local):
            for container in children(element, RDF, *_LISTS):
                yield from children(container, RDF, "li")


def properties_for(
    has_others: Callable[[Property], bool], among: Collection[Property] = PROPERTIES
) -> Collection[Property]:
    """Return the properties for the keyword: those with others' keywords, or the usual three."""
    return [each for each in among if has_others(each)] or USUAL


def is_ours(value: str, of: Property) -> bool:
    """Check whether a value is one of scanner's, or the parent, which darktable adds."""
    return value == PARENT or value in {of.value(keyword) for keyword in ALL_KEYWORDS}


def has_others(rdf: Element, of: Property) -> bool:
    """Check whether a property has a keyword that is not scanner's, in any of its forms."""
    if any(text and not is_ours(text, of) for text in map(text_of, items_of(rdf, of))):
        return True
    return any(
        description.getAttributeNS(of.uri, of.local)
        or any(map(text_of, children(description, of.uri, of.local)))
        for description in descriptions_of(rdf)
    )


def _is_as_wanted(rdf: Element, of: Property, keyword: str | None) -> bool:
    ours = [text for item in items_of(rdf, of) if is_ours(text := text_of(item), of)]
    if keyword is None:
        return not ours
    return [text for text in ours if text != PARENT] == [of.value(keyword)]


def _set(document: Document, rdf: Element, of: Property, keyword: str | None) -> None:
    """Take the keywords of scanner's out of a property, and put the wanted one in."""
    for item in list(items_of(rdf, of)):
        if is_ours(text_of(item), of):
            container = item.parentNode
            remove(item)
            if not children(container, RDF, "li"):
                remove(container.parentNode)
    if keyword is not None:
        add_item(document, rdf, of, of.value(keyword))


def container_of(document: Document, rdf: Element, of: Property) -> Element:
    """Return the list of a property; make it where there is none, of a single value, too."""
    descriptions = descriptions_of(rdf)
    single = ""
    element = None
    for description in descriptions:
        if value := description.getAttributeNS(of.uri, of.local):
            single = value
            description.removeAttributeNS(of.uri, of.local)
        for element in children(description, of.uri, of.local):
            if lists := children(element, RDF, *_LISTS):
                return lists[0]
            single = single or text_of(element)
            for child in list(element.childNodes):
                element.removeChild(child)
    if element is None:
        if not descriptions:
            descriptions = [
                rdf.appendChild(document.createElementNS(RDF, rdf_name(rdf, "Description")))
            ]
            descriptions[0].setAttribute(rdf_name(rdf, "about"), "")
        element = document.createElementNS(of.uri, of.name)
        element.setAttribute(f"xmlns:{of.name.partition(':')[0]}", of.uri)
        descriptions[0].appendChild(element)
    container: Element = element.appendChild(
        document.createElementNS(RDF, rdf_name(rdf, of.container))
    )
    if single:
        item = container.appendChild(document.createElementNS(RDF, rdf_name(rdf, "li")))
        item.appendChild(document.createTextNode(single))
    return container


def rdf_name(rdf: Element, local: str) -> str:
    """Return a name of RDF with the packet's prefix."""
    return f"{rdf.prefix}:{local}" if rdf.prefix else local


def remove(node: Node) -> None:
    """Remove a node with the white space before it."""
    parent, before = node.parentNode, node.previousSibling
    if parent is None:
        return
    if before is not None and before.nodeType in _TEXT_TYPES and not before.data.strip():
        parent.removeChild(before)
    parent.removeChild(node)


def _is_left_empty(document: Document, rdf: Element) -> bool:
    """Check that a packet was made here and holds nothing but what it is for."""
    if document.documentElement.getAttribute("x:xmptk").partition(" ")[0] != TOOLKIT:
        return False
    return not any(
        child.nodeType == child.ELEMENT_NODE
        for description in descriptions_of(rdf)
        for child in description.childNodes
    ) and all(
        name.startswith("xmlns") or name.endswith((":about", ":SidecarForExtension"))
        for description in descriptions_of(rdf)
        for name in description.attributes.keys()  # noqa: SIM118 - a NamedNodeMap
    )


def serialise(document: Document, *, declared: bool) -> bytes:
    """Return the bytes of a packet, of which a parser reads the same again."""
    nodes: list[Node] = [document]
    while nodes:
        node = nodes.pop()
        if node.nodeType in _TEXT_TYPES:
            node.data = node.data.translate(_IN_TEXTS)
        elif node.nodeType == node.ELEMENT_NODE:
            for attribute in node.attributes.values():
                attribute.value = attribute.value.translate(_IN_ATTRIBUTES)
        nodes.extend(node.childNodes)
    texts = ['<?xml version="1.0" encoding="UTF-8"?>'] if declared else []
    texts += [node.toxml() for node in document.childNodes]
    whole = "\n".join(texts) + "\n"
    for code, placeholder in _IN_ATTRIBUTES.items():
        whole = whole.replace(placeholder, f"&#{code};")
    return whole.encode()
