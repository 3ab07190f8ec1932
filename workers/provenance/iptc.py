"""IPTC's Digital Source Type, and the credit lines of Google and Apple."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.provenance.evidence import Extent, Kind, finding
from workers.provenance.source_types import EXTENTS, term_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Finding
    from workers.provenance.metadata_field import Field

_KINDS = {Extent.WHOLE: Kind.IPTC_GENERATED, Extent.PART: Kind.IPTC_EDITED, None: None}
# Written by Google Photos and Apple Photos for a photo that their generative tools have changed.
_EDITED_CREDITS = ("Edited with Google AI", "AI-Generated with Google", "Apple Photos Clean Up")
_MAX_CREDIT_CHARACTERS = 200

_TEXTS = {
    Kind.IPTC_GENERATED: "The image's metadata declares that it was made by generative AI",
    Kind.IPTC_EDITED: "The image's metadata declares that a part was made by generative AI",
}


def findings(fields: Sequence[Field]) -> list[Finding]:
    """Return at most one finding: of the first field that declares generative AI.

    If there is none, return a finding without a score for XMP that cannot be read.
    """
    for field in fields:
        if field.where == "xmp:DigitalSourceType":
            term = term_of(field.text)
            kind = _KINDS[EXTENTS.get(term)]
            detail = {"digital_source_type": term}
        elif field.where in ("xmp:Credit", "iptc:Credit"):
            kind = Kind.IPTC_EDITED if field.text.startswith(_EDITED_CREDITS) else None
            detail = {"credit": field.text[:_MAX_CREDIT_CHARACTERS]}
        else:
            continue
        if kind is not None:
            text = f"{_TEXTS[kind]} ({field.where})."
            return [finding(kind, text, {"where": field.where, **detail})]
    if any(field.where == "xmp:unreadable" for field in fields):
        text = "The image has XMP metadata that may declare its origin, but it cannot be read."
        return [finding(Kind.XMP_UNREADABLE, text, {})]
    return []
