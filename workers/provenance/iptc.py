"""What IPTC's Digital Source Type, and Google's credit lines, say of how a picture was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.provenance.evidence import Kind, finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Finding
    from workers.provenance.field import Field

GENERATED = "trainedAlgorithmicMedia"
EDITED = "compositeWithTrainedAlgorithmicMedia"
# IPTC's NewsCodes (http://cv.iptc.org/newscodes/digitalsourcetype/). `algorithmicMedia`, the
# retired `softwareImage` and the others are drawings and renderings by other means, or photos.
TERMS = {
    GENERATED: Kind.IPTC_GENERATED,
    EDITED: Kind.IPTC_EDITED,
    # "Composite including generative AI elements" since 2024, "synthetic elements" before that.
    "compositeSynthetic": Kind.IPTC_EDITED,
}
# What Google Photos writes for a photo that its generative tools have changed.
_EDITED_CREDITS = ("Edited with Google AI", "AI-Generated with Google")

_TEXTS = {
    Kind.IPTC_GENERATED: "The picture's own metadata says that generative AI made it",
    Kind.IPTC_EDITED: "The picture's own metadata says that generative AI made a part of it",
}


def term_of(source_type: str) -> str:
    """The vocabulary's term in a URI or a short name ("digsrctype:…"); any other text as it is."""
    return source_type.strip().rstrip("/").rpartition("/")[2].rpartition(":")[2]


def findings(fields: Sequence[Field]) -> list[Finding]:
    """At most one finding: the first field that says anything of generative AI."""
    for field in fields:
        if field.where == "xmp:DigitalSourceType":
            term = term_of(field.text)
            kind = TERMS.get(term)
            said = {"digital_source_type": term}
        elif field.where in ("xmp:Credit", "iptc:Credit"):
            kind = Kind.IPTC_EDITED if field.text.startswith(_EDITED_CREDITS) else None
            said = {"credit": field.text[:200]}
        else:
            continue
        if kind is not None:
            text = f"{_TEXTS[kind]} ({field.where})."
            return [finding(kind, text, {"where": field.where, **said})]
    return []
