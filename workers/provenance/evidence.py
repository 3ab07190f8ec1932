"""Kinds of provenance evidence and their scores: the only place where a score is stated."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any

from storage.records import PROVENANCE, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """The kinds of findings of this detector, as short stable words to count by."""

    C2PA_GENERATED = "c2pa_generated"  # a manifest declares the image AI-generated
    C2PA_EDITED = "c2pa_edited"  # a manifest declares a part of it AI-generated
    C2PA_OTHER = "c2pa_other"  # a manifest that declares neither
    C2PA_REMOTE = "c2pa_remote"  # the manifest is on a server, and is not fetched
    C2PA_UNREADABLE = "c2pa_unreadable"  # the manifest cannot be read
    IPTC_GENERATED = "iptc_generated"  # XMP's DigitalSourceType declares it AI-generated
    IPTC_EDITED = "iptc_edited"  # XMP declares a part of it AI-generated
    XMP_UNREADABLE = "xmp_unreadable"  # XMP of interest cannot be read
    AIGC_GENERATED = "aigc_generated"  # the label of Chinese law: generated (1)
    AIGC_POSSIBLE = "aigc_possible"  # the same: possibly generated (2)
    AIGC_SUSPECTED = "aigc_suspected"  # the same: suspected to be generated (3)
    GENERATOR_TAG = "generator_tag"  # a generator's own mark, or its settings
    GENERATOR_EDIT = "generator_edit"  # a generator's settings, with an image as input
    SIDECAR_UNREADABLE = "sidecar_unreadable"  # a file with metadata next to it cannot be read


class Extent(Enum):
    """How much of an image is AI-generated."""

    WHOLE = "whole"
    PART = "part"


class Signature(StrEnum):
    """Results of checking a manifest's signature, the most serious first."""

    INVALID = "invalid"  # the file or the manifest was changed after signing
    REVOKED = "revoked"  # the signer's certificate was withdrawn
    UNCHECKED = "unchecked"  # nothing ties the manifest to this file, or it was not checked
    EXPIRED = "expired"  # unchanged, but the certificate has expired, without a known time stamp
    UNTRUSTED = "untrusted"  # unchanged, but the signer is on no installed trust list
    NO_TRUST_LIST = "no_trust_list"  # unchanged, but there is no list to look the signer up in
    VERIFIED = "verified"  # unchanged, and the signer was known when signing


# Stated, not measured: the probability that the image is AI-generated, given the evidence. The
# verdict is `ai` from 0.9, `unsure` from 0.5. An AI-generated part stays below 0.9 on purpose:
# whether a photo with a generated sky is an AI image is for a person to decide.
SCORES = {
    Kind.C2PA_GENERATED: 0.97,
    Kind.C2PA_EDITED: 0.75,
    Kind.IPTC_GENERATED: 0.97,
    Kind.IPTC_EDITED: 0.75,
    Kind.AIGC_GENERATED: 0.97,
    Kind.AIGC_POSSIBLE: 0.75,
    Kind.AIGC_SUSPECTED: 0.6,
    Kind.GENERATOR_TAG: 0.98,
    Kind.GENERATOR_EDIT: 0.75,
}
# Scores that depend on the result of the signature check. A claim that fails the check proves
# nothing, but is still worth a review.
SIGNED_SCORES = {
    (Kind.C2PA_GENERATED, Signature.VERIFIED): 0.99,
    (Kind.C2PA_GENERATED, Signature.INVALID): 0.6,
    (Kind.C2PA_GENERATED, Signature.REVOKED): 0.6,
    (Kind.C2PA_EDITED, Signature.INVALID): 0.5,
    (Kind.C2PA_EDITED, Signature.REVOKED): 0.5,
}


def finding(
    kind: Kind, text: str, detail: Mapping[str, Any], signature: Signature | None = None
) -> Finding:
    """Return a finding with the score of its kind, None for kinds that prove nothing."""
    score = SCORES.get(kind)
    if signature is not None:
        score = SIGNED_SCORES.get((kind, signature), score)
    return Finding(PROVENANCE, str(kind), score, text, detail)
