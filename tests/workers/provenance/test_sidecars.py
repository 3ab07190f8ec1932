"""What sidecars declare about an image."""

from __future__ import annotations

import json

import pytest
from sidecar_files import GENERATED, SETTINGS, packet, takeout

from workers.provenance import sidecars
from workers.provenance.evidence import Kind


def kinds(data: bytes, name: bytes, image: bytes = b"folder/a cat.jpg") -> list[str]:
    """Return the kinds of the findings in a sidecar."""
    found = list(sidecars.read(data, name, image))
    assert all(each.detail["sidecar"] == name.decode() for each in found)
    assert all(each.text.endswith(f" It stands in the sidecar {name.decode()}.") for each in found)
    return [each.kind for each in found]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (SETTINGS.encode(), [Kind.GENERATOR_TAG]),
        (b"\xef\xbb\xbf" + SETTINGS.encode(), [Kind.GENERATOR_TAG]),
        (b"\xff\xfe" + SETTINGS.replace("\n", "\r\n").encode("utf-16-le"), [Kind.GENERATOR_TAG]),
        (b"1girl, solo, long hair, looking at viewer", []),
        (b"Taken in Lisbon. ISO 100, 1/250 s. Steps: 20, up the stairs", []),
        (b"ComfyUI, Midjourney and DALL-E cannot do this", []),
        (b"", []),
        (b"\0\xff\xfe" * 99, []),
    ],
)
def test_text(content: bytes, expected: list[str]) -> None:
    """A text counts only where it is the settings of a generator."""
    assert expected == kinds(content, b"a cat.txt")


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (GENERATED, [Kind.IPTC_GENERATED]),
        ("<xmp:CreatorTool>Midjourney</xmp:CreatorTool>", [Kind.GENERATOR_TAG]),
        ("<photoshop:Credit>Edited with Google AI</photoshop:Credit>", [Kind.IPTC_EDITED]),
        ("<xmp:CreatorTool>Adobe Lightroom 9.0</xmp:CreatorTool>", []),
        # As the page of a scan writes them: the verdict of the scan itself is no evidence.
        ("<dc:subject><rdf:Bag><rdf:li>scanner:ai</rdf:li></rdf:Bag></dc:subject>", []),
        # The RAW of a pair has it.
        (f"<photoshop:SidecarForExtension>CR3</photoshop:SidecarForExtension>{GENERATED}", []),
        (f"<photoshop:SidecarForExtension>JPG</photoshop:SidecarForExtension>{GENERATED}",
         [Kind.IPTC_GENERATED]),
    ],
)  # fmt: skip
def test_xmp(properties: str, expected: list[str]) -> None:
    """A packet declares what it would within the file."""
    assert expected == kinds(packet(properties), b"a cat.xmp")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (takeout(), []),
        (takeout(description=SETTINGS), [Kind.GENERATOR_TAG]),
        (takeout(description="made with Midjourney"), []),
        # Of another photograph whose name was cut to the same characters.
        (takeout(description=SETTINGS, title="a dog.jpg"), []),
        (takeout(description=SETTINGS, title="a & cat?.jpg"), [Kind.GENERATOR_TAG]),
        (takeout(description=["x"], title=None), []),
        (json.dumps({"sui_image_params": {"prompt": "a cat"}}).encode(), [Kind.GENERATOR_TAG]),
        (b"[1, 2]", []),
        (b"{", []),
        (b"[" * 100_000, []),
    ],
)
def test_json(content: bytes, expected: list[str]) -> None:
    """Takeout's description counts as the file's own; other files as a generator's settings."""
    assert expected == kinds(content, b"a cat.jpg.json")


def test_unreadable() -> None:
    """A sidecar that cannot be read is no evidence, and is told."""
    found = sidecars.unreadable(b"a.xmp", "has 5 bytes now, 4 when it was listed")

    assert ("sidecar_unreadable", None) == (found.kind, found.score)
    assert found.text == "The sidecar a.xmp has 5 bytes now, 4 when it was listed."
