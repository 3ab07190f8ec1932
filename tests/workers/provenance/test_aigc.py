"""The AIGC label of Chinese law, in each place and with each value."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from workers.provenance import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.records import Finding

NAMESPACE = 'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/"'
EXIF_DIRECTORY, USER_COMMENT, IMAGE_DESCRIPTION = 0x8769, 0x9286, 270


def label(value: object = "1") -> dict[str, object]:
    """Return a label as the standard has it."""
    return {
        "Label": value,
        "ContentProducer": "00119111000000000000000000",
        "ProduceID": "7",
        "ReservedCode1": "",
        "ContentPropagator": "00119111000000000000000001",
        "PropagateID": "8",
        "ReservedCode2": "",
    }


def in_png(chunks: Callable[..., bytes], text: str) -> tuple[Finding, ...]:
    """Return the findings of a PNG with this text under the name AIGC."""
    return read(chunks((b"tEXt", b"AIGC\0" + text.encode())))


@pytest.mark.parametrize(
    ("value", "kind", "score"),
    [
        ("1", "aigc_generated", 0.97),
        (1, "aigc_generated", 0.97),
        ("2", "aigc_possible", 0.75),
        ("3", "aigc_suspected", 0.6),
    ],
)
def test_values(chunks: Callable[..., bytes], value: object, kind: str, score: float) -> None:
    """The value of the label decides the kind; producer and propagator are reported."""
    (finding,) = in_png(chunks, json.dumps(label(value)))

    assert (kind, score) == (finding.kind, finding.score)
    assert {
        "where": "png:AIGC",
        "producer": "00119111000000000000000000",
        "propagator": "00119111000000000000000001",
    } == finding.detail


@pytest.mark.parametrize("as_element", [False, True])
def test_xmp(draw: Callable[..., bytes], packet: Callable[..., bytes], *, as_element: bool) -> None:
    """The label is read from an XMP element and from an attribute."""
    text = escape(json.dumps(label()))
    xmp = (
        packet(NAMESPACE, f"<TC260:AIGC>{text}</TC260:AIGC>")
        if as_element
        else packet(f'{NAMESPACE} TC260:AIGC="{text}"')
    )
    (finding,) = read(draw("JPEG", xmp=xmp))

    assert ("aigc_generated", "xmp:AIGC") == (finding.kind, finding.detail["where"])


@pytest.mark.parametrize("twice", [False, True])
def test_exif_and_comment(draw: Callable[..., bytes], *, twice: bool) -> None:
    """A label with a name is read from EXIF and from a JPEG comment, encoded once or twice."""
    text = json.dumps({"AIGC": json.dumps(label()) if twice else label()})
    tags, comment = Image.Exif(), Image.Exif()
    tags[IMAGE_DESCRIPTION] = text
    comment.get_ifd(EXIF_DIRECTORY)[USER_COMMENT] = b"UNICODE\0" + text.encode("utf-16-be")

    for data in (
        draw("JPEG", comment=text.encode()),
        draw("JPEG", exif=tags),
        draw("WEBP", exif=comment),
    ):
        assert ["aigc_generated"] == [finding.kind for finding in read(data)]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(label("0")),
        json.dumps(label("4")),
        json.dumps(label(None)),
        "{}",
        "[1]",
        "AIGC",
        '{"AIGC": 5}',
        '{"Label": "1"',
        "{" * 100_000,
        "",
    ],
)
def test_other_texts(chunks: Callable[..., bytes], text: str) -> None:
    """Other values, and texts that are not a label, are no evidence."""
    assert () == in_png(chunks, text)
