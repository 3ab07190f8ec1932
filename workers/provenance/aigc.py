"""The label for AI-generated content that Chinese law requires (GB 45438-2025, TC260).

A JSON object, in XMP (`TC260:AIGC`), PNG text, or under the name "AIGC" in EXIF and comments.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from workers.provenance.evidence import Kind, finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Finding
    from workers.provenance.metadata_field import Field

MAX_LABEL_CHARACTERS = 1 << 14
_MAX_VALUE_CHARACTERS = 200
# Fields that have the object itself; in others it has a name.
_OWN_FIELDS = ("xmp:AIGC", "png:AIGC")
_NAME = "AIGC"
_KINDS = {"1": Kind.AIGC_GENERATED, "2": Kind.AIGC_POSSIBLE, "3": Kind.AIGC_SUSPECTED}
_TEXTS = {
    Kind.AIGC_GENERATED: "declares that the image is AI-generated",
    Kind.AIGC_POSSIBLE: "declares that the image may be AI-generated",
    Kind.AIGC_SUSPECTED: "declares that the image is suspected to be AI-generated",
}


def findings(fields: Sequence[Field]) -> list[Finding]:
    """Return at most one finding: of the first valid label."""
    for field in fields:
        if field.where not in _OWN_FIELDS and f'"{_NAME}"' not in field.text:
            continue
        label = _label(field.text)
        kind = _KINDS.get(str(label.get("Label")))
        if kind is not None:
            producer, propagator = (
                str(label.get(name) or "")[:_MAX_VALUE_CHARACTERS]
                for name in ("ContentProducer", "ContentPropagator")
            )
            text = f"The image's AIGC label (TC260) {_TEXTS[kind]} ({field.where})."
            detail = {"where": field.where, "producer": producer, "propagator": propagator}
            return [finding(kind, text, detail)]
    return []


def _label(text: str) -> dict[str, Any]:
    """Return the label in a text; {} where there is none."""
    start = text.find("{")
    label = _parse(text[start:] if start >= 0 else "")
    named = label.get(_NAME, label)
    if isinstance(named, str):  # some writers encode it twice
        named = _parse(named)
    return named if isinstance(named, dict) else {}


def _parse(text: str) -> dict[str, Any]:
    if len(text) > MAX_LABEL_CHARACTERS:
        return {}
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
