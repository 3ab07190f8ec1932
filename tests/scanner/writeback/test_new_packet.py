"""A new sidecar has the metadata of its image, which programs do not read beside a sidecar."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
import sidecar_files
from described_images import IPTC, XMP, iim, jpeg
from PIL import Image

from scanner.writeback.new_packet import is_as_made, new_packet
from scanner.writeback.own_metadata import OwnMetadata, read_own
from scanner.writeback.xmp_packet import PacketRefused, with_keyword
from workers.provenance import sidecars

if TYPE_CHECKING:
    from pathlib import Path

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC = "{http://purl.org/dc/elements/1.1/}"


def texts(packet: bytes, name: str) -> list[str | None]:
    """Return the values of a property that has items, by another parser."""
    (found,) = ET.fromstring(packet).iter(name)
    return [item.text for item in found.iter(f"{RDF}li")]


def own_packet(body: str, attributes: str = "") -> OwnMetadata:
    """Return the metadata of an image that has a packet."""
    return read_own(jpeg(xmp=XMP.format(attributes=attributes, body=body)))


def test_packet_of_the_image() -> None:
    """All of it stays, and the keyword is beside the image's own."""
    body = "<dc:subject><rdf:Bag><rdf:li>Ann</rdf:li></rdf:Bag></dc:subject>"
    packet = new_packet("scanner:ai", own=own_packet(body, 'xmp:Rating="4"'))

    assert b'xmp:Rating="4"' in packet
    assert ["Ann", "scanner:ai"] == texts(packet, f"{DC}subject")
    assert packet.startswith(b"<?xpacket begin")
    assert packet.endswith(b'<?xpacket end="w"?>\n')


def test_what_is_not_for_a_sidecar() -> None:
    """Edits of darktable are done already; EXIF, where it has them, has the better dates."""
    attributes = (
        'xmlns:darktable="http://darktable.sf.net/" darktable:history_end="2" xmp:Rating="4" '
        'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="3" '
        'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="0"'
    )
    body = "<darktable:history><rdf:Seq/></darktable:history>"
    body += "<darktable:colorlabels><rdf:Seq><rdf:li>2</rdf:li></rdf:Seq></darktable:colorlabels>"
    body += "<xmp:CreateDate>2014-01-02</xmp:CreateDate>"
    own = own_packet(body, attributes)
    dated = OwnMetadata(own.packet, is_dated=True)
    kept = re.compile(rb"history|Orientation|HasExtended|colorlabels|CreateDate|Rating")

    assert {b"colorlabels", b"CreateDate", b"Rating"} == {*kept.findall(new_packet("a", own=own))}
    assert {b"colorlabels", b"Rating"} == {*kept.findall(new_packet("a", own=dated))}


def test_iptc() -> None:
    """IPTC becomes the properties that the XMP specification names; its keywords come first."""
    sets = {5: ["Alps"], 25: ["Ann", "Zoë"], 80: ["Ben", "Cy"], 90: ["Bern"], 120: ["A <b>\0\1"]}
    packet = new_packet("scanner:ai", own=read_own(jpeg(iptc=iim(sets))))

    assert ["Ann", "Zoë", "scanner:ai"] == texts(packet, f"{DC}subject")
    assert ["Alps"] == texts(packet, f"{DC}title")
    assert ["Ben", "Cy"] == texts(packet, f"{DC}creator")
    assert ["A <b>"] == texts(packet, f"{DC}description")
    assert b">Bern</photoshop:City>" in packet


def test_exif(tmp_path: Path) -> None:
    """So does what EXIF has of it; a comment counts more than a description, as in the programs."""
    exif = Image.Exif()
    exif.update({270: "camera", 315: "Ben", 0x4746: 4, 0x9C9E: "Ann;Zoë".encode("utf-16-le")})
    exif.get_ifd(0x8769).update({0x9286: b"ASCII\0\0\0seen", 0x9003: "2019:05:06 07:08:09"})
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    own = read_own((tmp_path / "a.jpg").read_bytes())
    packet = new_packet("scanner:ai", own=own)

    assert own.is_dated
    assert ["seen"] == texts(packet, f"{DC}description")
    assert ["Ben"] == texts(packet, f"{DC}creator")
    assert ["Ann", "Zoë", "scanner:ai"] == texts(packet, f"{DC}subject")
    assert b">4</xmp:Rating>" in packet


def test_iptc_beside_xmp() -> None:
    """What XMP has counts; keywords that a list of it has nowhere in a hierarchy come to it."""
    body = (
        "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>mine</rdf:li></rdf:Alt></dc:title>"
        "<dc:description/>"
        "<lr:hierarchicalSubject xmlns:lr='http://ns.adobe.com/lightroom/1.0/'><rdf:Bag>"
        "<rdf:li>Family|Ann</rdf:li></rdf:Bag></lr:hierarchicalSubject>"
    )
    data = jpeg(
        xmp=XMP.format(attributes="", body=body),
        iptc=iim({5: ["theirs"], 25: ["Ann", "sea"], 120: ["theirs"]}),
    )
    packet = new_packet("scanner:ai", own=read_own(data))

    assert ["mine"] == texts(packet, f"{DC}title")
    assert ["theirs"] == texts(packet, f"{DC}description")
    assert ["Family|Ann", "sea", "ai-photo-scanner|scanner:ai"] == texts(
        packet, "{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject"
    )
    assert b"dc:subject" not in packet


def test_who_changed_it() -> None:
    """What was made here is known by its digest, without metadata by holding nothing else."""
    own = own_packet("", 'xmp:Rating="4"')
    made, plain = new_packet("scanner:ai", own=own), new_packet("scanner:ai")

    assert is_as_made(made)
    assert is_as_made(plain)
    assert not is_as_made(made.replace(b'Rating="4"', b'Rating="5"'))
    assert not is_as_made(plain.replace(b'rdf:about=""', b'rdf:about="" xmlns:q="q" q:a="b"'))
    assert not is_as_made(with_keyword(own.packet, "scanner:ai") or b"")


def test_no_evidence() -> None:
    """A scan takes nothing in it for evidence: the image next to it may be another by now."""
    own = OwnMetadata(sidecar_files.packet(sidecar_files.GENERATED))
    made = new_packet("scanner:ai", own=own)
    changed = with_keyword(own.packet, "scanner:ai") or b""

    assert [] == list(sidecars.read(made, b"a.jpg.xmp", b"a.jpg"))
    assert 1 == len(list(sidecars.read(changed, b"a.jpg.xmp", b"a.jpg")))


DEEP = "<q>" * 50_000 + "</q>" * 50_000
REFUSED = {
    "is not well-formed XML": XMP.format(attributes="", body="<b>"),
    "is not XMP": "<x:xmpmeta",
    "is nested too deeply": XMP.format(attributes="", body=DEEP),
    "is larger than 1 MiB": XMP.format(attributes="", body="<dc:a>" + "a" * 2**20 + "</dc:a>"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refused(reason: str) -> None:
    """A packet that cannot be taken over is refused with what it is."""
    with pytest.raises(PacketRefused, match=re.escape(reason)):
        new_packet("scanner:ai", own=OwnMetadata(REFUSED[reason].encode()))


@pytest.mark.parametrize("end", range(0, 200, 7))
def test_damaged_iptc(end: int) -> None:
    """Of damaged metadata, what stands before the damage counts."""
    whole = jpeg(iptc=IPTC)
    own = read_own(whole[: len(whole) - end] if end else whole)

    assert set(own.keywords) <= {"Ann", "sea"}
