"""Sidecars as programs write them: Adobe's XMP, a generator's settings, Google Takeout's JSON."""

from __future__ import annotations

import json

SETTINGS = "a cat\nNegative prompt: x\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
GENERATED = (
    "<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/"
    "trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType>"
)


def packet(properties: str) -> bytes:
    """Return an XMP packet as Adobe's programs write sidecars."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"{properties}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def takeout(**fields: object) -> bytes:
    """Return a file of Google Takeout."""
    times = {"timestamp": "1559742896", "formatted": "Jun 5, 2019, 1:54:56 PM UTC"}
    body = {
        "title": "a cat.jpg",
        "description": "",
        "creationTime": times,
        "photoTakenTime": times,
        "url": "https://photos.google.com/photo/x",
        "googlePhotosOrigin": {"mobileUpload": {"deviceType": "ANDROID_PHONE"}},
    }
    return json.dumps(body | fields).encode()
