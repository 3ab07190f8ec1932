"""Keywords in XMP: what others wrote stays, exactly."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.writeback.new_packet import new_packet
from scanner.writeback.xmp_packet import (
    PacketRefused,
    stated_extension,
    with_keyword,
)

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
HEAD = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:q="urn:q">'
)
END = "</rdf:RDF></x:xmpmeta>"
# As darktable 4.2 writes it, cut down.
DARKTABLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:darktable="http://darktable.sf.net/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
   xmp:Rating="3"
   darktable:xmp_version="5">
   <darktable:history>
    <rdf:Seq>
     <rdf:li darktable:operation="exposure" darktable:params="gz04eJxj&#10;YGBg"/>
    </rdf:Seq>
   </darktable:history>
   <dc:subject>
    <rdf:Bag>
     <rdf:li>holiday</rdf:li>
    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


def subjects(packet: bytes | None) -> list[str | None]:
    """Return dc:subject by another parser."""
    assert packet is not None
    found = ET.fromstring(packet).findall(
        f".//{{http://purl.org/dc/elements/1.1/}}subject//{{{RDF}}}li"
    )
    return [item.text for item in found]


def canonical(packet: bytes | str | None) -> str:
    """Return a packet's canonical form, without white space between elements."""
    assert packet is not None
    text = packet if isinstance(packet, str) else packet.decode()
    return ET.canonicalize(text, strip_text=True, with_comments=True)


def test_new_packet() -> None:
    """It has the keyword flat, below its parent with both separators, and is a packet."""
    packet = new_packet("scanner:ai").decode()

    assert ["scanner:ai", "ai-photo-scanner|scanner:ai", "ai-photo-scanner/scanner:ai"] == (
        re.findall(r"<rdf:li>(.*?)</rdf:li>", packet)
    )
    assert packet.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert packet.endswith('<?xpacket end="w"?>\n')


def test_nothing_is_left_of_what_was_made_here() -> None:
    """A packet with a keyword only is none again without it; one of others stays."""
    others = f'{HEAD}<rdf:Description rdf:about=""/>{END}'.encode()

    assert with_keyword(new_packet("scanner:ai", "CR2"), None) is None
    assert canonical(others) == canonical(
        with_keyword(with_keyword(others, "scanner:ai") or b"", None)
    )


def test_there_and_back() -> None:
    """A sidecar of darktable gets the keyword and loses it again; all else is the same."""
    tagged = with_keyword(DARKTABLE.encode(), "scanner:ai")

    assert ["holiday", "scanner:ai"] == subjects(tagged)
    assert tagged is not None
    assert b"gz04eJxj&#10;YGBg" in tagged
    assert tagged.startswith(b"<?xml")
    assert tagged == with_keyword(tagged, "scanner:ai")
    assert canonical(DARKTABLE) == canonical(with_keyword(tagged, None))


def test_only_one_of_ours() -> None:
    """Another verdict replaces the keyword; keywords like ours, and the user's own, stay."""
    body = "".join(
        f"<rdf:li>{word}</rdf:li>" for word in ("scanner:ai", "scanner:epson", "ai", "scanner")
    )
    packet = f"{HEAD}<rdf:Description rdf:about=''><dc:subject><rdf:Bag>{body}</rdf:Bag>"
    packet += f"</dc:subject></rdf:Description>{END}"

    assert ["scanner:epson", "ai", "scanner", "scanner:unsure"] == subjects(
        with_keyword(packet.encode(), "scanner:unsure")
    )


def test_parent_that_another_program_added() -> None:
    """Darktable adds the parent to dc:subject: it stays with the keyword, and goes with it."""
    tagged = new_packet("scanner:ai").replace(
        b"<rdf:li>scanner:ai</rdf:li>",
        b"<rdf:li>ai-photo-scanner</rdf:li><rdf:li>scanner:ai</rdf:li>",
    )

    assert tagged == with_keyword(tagged, "scanner:ai")
    assert with_keyword(tagged, None) is None


@pytest.mark.parametrize(
    "description",
    [
        '<rdf:Description rdf:about="" dc:subject="holiday"/>',
        '<rdf:Description rdf:about=""><dc:subject>holiday</dc:subject></rdf:Description>',
        (
            '<rdf:Description rdf:about=""/><rdf:Description rdf:about=""><dc:subject><rdf:Seq>'
            "<rdf:li>holiday</rdf:li></rdf:Seq></dc:subject></rdf:Description>"
        ),
    ],
)
def test_other_forms(description: str) -> None:
    """A keyword that stands in another form stays."""
    packet = f"{HEAD}{description}{END}".encode()

    assert ["holiday", "scanner:ai"] == subjects(with_keyword(packet, "scanner:ai"))


def test_no_description() -> None:
    """A packet without a description gets one."""
    packet = with_keyword(f"{HEAD}{END}".encode(), "scanner:ai")

    assert ["scanner:ai"] == subjects(packet)
    assert packet is not None
    assert 1 == packet.count(b"<rdf:Description")


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z")), max_size=40))
def test_any_text(text: str) -> None:
    """Any text in an element or an attribute is the same afterwards."""
    escaped = escape(text, {'"': "&quot;"})
    packet = (
        f'{HEAD}<rdf:Description rdf:about=""><q:b q:a="&#9;{escaped}&#10;&#13;">&#13;{escaped}'
        f"</q:b></rdf:Description>{END}"
    )
    tagged = with_keyword(packet.encode(), "scanner:ai")
    assert tagged is not None
    (element,) = ET.fromstring(tagged).iter("{urn:q}b")

    assert (f"\r{text}", f"\t{text}\n\r") == (element.text, element.get("{urn:q}a"))


BILLION = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>'
REFUSED = {
    b"": "is not well-formed XML",
    b"\0\1\2": "is not well-formed XML",
    b"<a/>": "is not XMP",
    f"{BILLION}{HEAD}{END}".encode(): "has a document type, which XMP never has",
    b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>': "has a document type, which XMP never has",
    b'<?xml version="1.0" encoding="nonsense"?><a/>': "is not well-formed XML",
    b"<a>" * 50_000 + b"</a>" * 50_000: "is nested too deeply",
    b" " * (2**20 + 1): "is larger than 1 MiB",
    f"{HEAD}{END}".encode()[:-9]: "is not well-formed XML",
}


@pytest.mark.parametrize("packet", REFUSED, ids=range(len(REFUSED)))
def test_refused(packet: bytes) -> None:
    """What is no XMP, or would harm, is refused with what it is."""
    with pytest.raises(PacketRefused, match=re.escape(REFUSED[packet])):
        with_keyword(packet, "scanner:ai")


def test_other_encoding() -> None:
    """A packet in UTF-16 keeps its texts."""
    text = DARKTABLE.replace("UTF-8", "UTF-16").replace("holiday", "été")

    assert ["été", "scanner:ai"] == subjects(with_keyword(text.encode("utf-16"), "scanner:ai"))


def test_stated_extension() -> None:
    """The file that a packet is for is read in both forms."""
    photoshop = 'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
    element = (
        f"{HEAD}<rdf:Description {photoshop} rdf:about=''><photoshop:SidecarForExtension>NEF"
        f"</photoshop:SidecarForExtension></rdf:Description>{END}"
    )

    assert "NEF" == stated_extension(element.encode())
    assert "CR2" == stated_extension(new_packet("scanner:ai", "CR2"))
    assert stated_extension(new_packet("scanner:ai")) is None


OTHERS = {
    "dc:subject": "<dc:subject><rdf:Bag><rdf:li>ann</rdf:li></rdf:Bag></dc:subject>",
    "lr:hierarchicalSubject": (
        '<lr:hierarchicalSubject xmlns:lr="http://ns.adobe.com/lightroom/1.0/"><rdf:Bag>'
        "<rdf:li>family|ann</rdf:li></rdf:Bag></lr:hierarchicalSubject>"
    ),
    "digiKam:TagsList": (
        '<digiKam:TagsList xmlns:digiKam="http://www.digikam.org/ns/1.0/"><rdf:Seq>'
        "<rdf:li>family/ann</rdf:li></rdf:Seq></digiKam:TagsList>"
    ),
}


@pytest.mark.parametrize("names", [(), *(tuple(OTHERS)[:number] for number in (1, 2, 3))])
def test_keywords_of_others_are_not_hidden(names: tuple[str, ...]) -> None:
    """Programs read the last of the properties that is there: none is added beside others'."""
    body = "".join(OTHERS[name] for name in names)
    packet = f'{HEAD}<rdf:Description rdf:about="">{body}</rdf:Description>{END}'.encode()
    tagged = with_keyword(packet, "scanner:ai")

    assert tagged is not None
    for name in OTHERS:
        has_keyword = not names or name in names

        assert has_keyword == (f"<{name}" in tagged.decode())
        assert has_keyword == bool(
            re.search(rf"<{name}.*?scanner:ai</rdf:li>.*?</{name}>", tagged.decode())
        )
    assert tagged == with_keyword(tagged, "scanner:ai")
    assert canonical(packet) == canonical(with_keyword(tagged, None))


def test_keyword_that_hid_others_moves() -> None:
    """What an earlier version added beside keywords of others goes."""
    own = OTHERS["digiKam:TagsList"].replace("family/ann", "ai-photo-scanner/scanner:ai")
    body = OTHERS["dc:subject"] + OTHERS["lr:hierarchicalSubject"] + own
    packet = f'{HEAD}<rdf:Description rdf:about="">{body}</rdf:Description>{END}'.encode()
    tagged = with_keyword(packet, "scanner:ai")

    assert tagged is not None
    assert b"TagsList" not in tagged
    assert b"ai-photo-scanner|scanner:ai" in tagged
