"""IPTC's Digital Source Type in XMP, in each form and container."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import c2pa
import pytest
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from workers.provenance import read
from workers.provenance.source_types import EXTENTS

if TYPE_CHECKING:
    from collections.abc import Callable

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
NAME = "Iptc4xmpExt:DigitalSourceType"
ATTRIBUTE = f'{NAME}="{IPTC}%s"'


def kinds(data: bytes) -> list[tuple[str, float | None]]:
    """Return the kind and the score of each finding."""
    return [(finding.kind, finding.score) for finding in read(data)]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("trainedAlgorithmicMedia", [("iptc_generated", 0.97)]),
        ("compositeWithTrainedAlgorithmicMedia", [("iptc_edited", 0.75)]),
        ("compositeSynthetic", [("iptc_edited", 0.75)]),
        # Near misses: a photo, a photo with better colours, drawings, a fractal, a chart.
        ("digitalCapture", []),
        ("computationalCapture", []),
        ("algorithmicallyEnhanced", []),
        ("digitalCreation", []),
        ("digitalArt", []),
        ("softwareImage", []),
        ("algorithmicMedia", []),
        ("dataDrivenMedia", []),
        ("nottrainedAlgorithmicMedia", []),
    ],
)
def test_terms(
    draw: Callable[..., bytes],
    packet: Callable[..., bytes],
    term: str,
    expected: list[tuple[str, float]],
) -> None:
    """IPTC's terms for generative AI are evidence, its other terms are not."""
    assert expected == kinds(draw("JPEG", xmp=packet(ATTRIBUTE % term)))


def test_whole_vocabulary_is_known() -> None:
    """Every term that the C2PA library writes is in the one table, and IPTC's other three."""
    written = {each.name for each in c2pa.C2paDigitalSourceType}
    known = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", term).upper() for term in EXTENTS}

    assert {"MINOR_HUMAN_EDITS", "DIGITAL_ART", "SOFTWARE_IMAGE"} == known - written
    assert set() == written - known


@pytest.mark.parametrize(
    "text",
    [
        "https://schema.org/TrainedAlgorithmicMediaDigitalSource",
        "http://cv.iptc.org/newscodes/digitalsourcetype/TrainedAlgorithmicMedia",
        "trainedalgorithmicmedia",
    ],
)
def test_other_spellings(
    draw: Callable[..., bytes], packet: Callable[..., bytes], text: str
) -> None:
    """Other capitals, and schema.org's names, are the same terms."""
    image = draw("WEBP", xmp=packet(elements=f"<{NAME}>{text}</{NAME}>"))

    assert [("iptc_generated", 0.97)] == kinds(image)


@pytest.mark.parametrize(
    "element",
    [
        f"<{NAME}>{IPTC}trainedAlgorithmicMedia</{NAME}>",
        f'<{NAME} rdf:resource="{IPTC}trainedAlgorithmicMedia"/>',
        f"<{NAME}> digsrctype:trainedAlgorithmicMedia\n</{NAME}>",
        f"<{NAME}>trainedAlgorithmicMedia</{NAME}>",
    ],
)
def test_elements(draw: Callable[..., bytes], packet: Callable[..., bytes], element: str) -> None:
    """The property counts as an element, too, with a URI or a short name."""
    assert [("iptc_generated", 0.97)] == kinds(draw("WEBP", xmp=packet(elements=element)))


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF", "PNG", "TIFF"])
def test_containers(draw: Callable[..., bytes], packet: Callable[..., bytes], form: str) -> None:
    """The packet is read from every container that can have one."""
    xmp = packet(ATTRIBUTE % "trainedAlgorithmicMedia")
    info, tags = PngInfo(), ImageFileDirectory_v2()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    tags[700] = xmp
    places: dict[str, dict[str, object]] = {"PNG": {"pnginfo": info}, "TIFF": {"tiffinfo": tags}}
    (finding,) = read(draw(form, **places.get(form, {"xmp": xmp})))

    assert "iptc_generated" == finding.kind
    assert {
        "where": "xmp:DigitalSourceType",
        "digital_source_type": "trainedAlgorithmicMedia",
    } == finding.detail


def test_pasted_images_are_ignored(
    draw: Callable[..., bytes], packet: Callable[..., bytes]
) -> None:
    """The packets of images that were pasted in Photoshop do not count for the whole."""
    pantry = (
        "<xmpMM:Pantry><rdf:Bag><rdf:li><rdf:Description "
        + ATTRIBUTE % "trainedAlgorithmicMedia"
        + "/></rdf:li></rdf:Bag></xmpMM:Pantry>"
    )

    assert [] == kinds(draw("JPEG", xmp=packet(elements=pantry)))


@pytest.mark.parametrize("credit", ["Edited with Google AI", "AI-Generated with Google Photos"])
def test_googles_edits(
    draw: Callable[..., bytes], packet: Callable[..., bytes], credit: str
) -> None:
    """Google's credit line for an edited photo is evidence of an edit."""
    image = draw("JPEG", xmp=packet(f'photoshop:Credit="{credit}"'))

    assert [("iptc_edited", 0.75)] == kinds(image)


@pytest.mark.parametrize(
    "damage",
    [
        lambda packet: packet.replace(b"rdf:about", b"unknown:about"),
        lambda packet: packet.replace(b"<x:xmpmeta", b'<x:xmpmeta tool:version="1"'),
        lambda packet: packet.replace(b' xmlns:dc="http://purl.org/dc/elements/1.1/"', b""),
        lambda packet: packet.replace(
            b"</rdf:Description>", b"<dc:title>a\x0cb</dc:title></rdf:Description>"
        ),
        lambda packet: packet.replace(b"rdf:about", b'dc:title="\xff" rdf:about'),
        lambda packet: packet.replace(b"rdf:about", b'dc:title="Tom & Jerry" rdf:about'),
        lambda packet: packet.replace(b"</rdf:RDF>", b""),
        lambda packet: packet[: packet.index(b"Media") + 40],
    ],
)
def test_damaged_packets_are_repaired(
    draw: Callable[..., bytes],
    packet: Callable[..., bytes],
    damage: Callable[[bytes], bytes],
) -> None:
    """The source type of a packet that is not well-formed is read."""
    damaged = damage(packet(ATTRIBUTE % "trainedAlgorithmicMedia"))

    assert packet(ATTRIBUTE % "trainedAlgorithmicMedia") != damaged
    assert [("iptc_generated", 0.97)] == kinds(draw("JPEG", xmp=damaged))


@pytest.mark.parametrize(
    "damaged", [b"DigitalSourceType \xff\xfe\0", b"<x:xmpmeta><a>DigitalSourceType"]
)
def test_unreadable_packets(draw: Callable[..., bytes], damaged: bytes) -> None:
    """A packet of which nothing can be read gives a finding without a score."""
    assert [("xmp_unreadable", None)] == kinds(draw("JPEG", xmp=damaged))


def test_source_type_of_a_pasted_image_is_not_salvaged(
    draw: Callable[..., bytes], packet: Callable[..., bytes]
) -> None:
    """A damaged packet that has those of pasted images does not declare anything."""
    pantry = f"<xmpMM:Pantry><a {ATTRIBUTE % 'trainedAlgorithmicMedia'}/></xmpMM:Pantry>"
    damaged = packet(elements=pantry).replace(b"</rdf:RDF>", b"")

    assert [("xmp_unreadable", None)] == kinds(draw("JPEG", xmp=damaged))


def test_gif(draw: Callable[..., bytes], packet: Callable[..., bytes]) -> None:
    """GIF's XMP packet, which does not consist of blocks, is read."""
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"  # from the XMP specification, part 3
    extension = b"!\xff\x0bXMP DataXMP" + packet(ATTRIBUTE % "trainedAlgorithmicMedia") + trailer
    plain = draw("GIF")
    at = 13 + 3 * 2 ** ((plain[10] & 7) + 1)  # behind the header and the colour table

    assert [("iptc_generated", 0.97)] == kinds(plain[:at] + extension + plain[at:])
