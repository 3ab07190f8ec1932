"""The vocabulary of digital source types, for IPTC's metadata and C2PA alike."""

from __future__ import annotations

from workers.provenance.evidence import Extent

# IPTC's NewsCodes (http://cv.iptc.org/newscodes/digitalsourcetype/) with their retired terms, and
# C2PA's own (2.4, 18.16.4), as of November 2026: how much of an image is AI-generated.
EXTENTS = {
    "trainedAlgorithmicMedia": Extent.WHOLE,
    "compositeWithTrainedAlgorithmicMedia": Extent.PART,
    # "Composite including generative AI elements" since 2024, "synthetic elements" before that.
    "compositeSynthetic": Extent.PART,
    # Photographs, scans, screenshots, and what people or programs do to them.
    "digitalCapture": None,
    "computationalCapture": None,
    "negativeFilm": None,
    "positiveFilm": None,
    "print": None,
    "screenCapture": None,
    "virtualRecording": None,
    "composite": None,
    "compositeCapture": None,
    "humanEdits": None,
    "minorHumanEdits": None,
    "algorithmicallyEnhanced": None,
    # Drawings, charts and renderings: by people, or by algorithms without training.
    "digitalCreation": None,
    "digitalArt": None,
    "softwareImage": None,
    "dataDrivenMedia": None,
    "algorithmicMedia": None,
    # C2PA: no pixels yet; output of a model that is no media.
    "empty": None,
    "trainedAlgorithmicData": Extent.WHOLE,
}
_TERMS = {term.lower(): term for term in EXTENTS}
# Of the same terms at schema.org, as in TrainedAlgorithmicMediaDigitalSource.
_SCHEMA_SUFFIX = "digitalsource"


def term_of(source_type: str) -> str:
    """Return the vocabulary's term in a URI or a short name ("digsrctype:…"), else the text."""
    text = source_type.strip().rstrip("/").rpartition("/")[2].rpartition(":")[2]
    return _TERMS.get(text.lower().removesuffix(_SCHEMA_SUFFIX), text)
