"""The kinds of evidence and what each one weighs: the only place where a score is stated."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from storage.records import PROVENANCE, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """What a finding of this detector is about; short stable words to count by."""

    C2PA_GENERATED = "c2pa_generated"  # a manifest says that generative AI made the picture
    C2PA_EDITED = "c2pa_edited"  # a manifest says that generative AI made a part of it
    C2PA_OTHER = "c2pa_other"  # a manifest that says neither
    C2PA_REMOTE = "c2pa_remote"  # the manifest lies on a server, where we do not look
    C2PA_UNREADABLE = "c2pa_unreadable"  # there is a manifest, and it cannot be read
    IPTC_GENERATED = "iptc_generated"  # XMP's DigitalSourceType says that AI made it
    IPTC_EDITED = "iptc_edited"  # XMP says that AI made a part of it
    GENERATOR_TAG = "generator_tag"  # a generator's own tag, or its settings


class Signature(StrEnum):
    """What became of the check of a manifest's signature, the gravest thing first."""

    INVALID = "invalid"  # the file or the manifest was changed after signing
    REVOKED = "revoked"  # the signer's certificate had been withdrawn
    UNCHECKED = "unchecked"  # nothing ties the manifest to this file, or it was not checked
    EXPIRED = "expired"  # unchanged, but the certificate is out of date and there is no time stamp
    UNTRUSTED = "untrusted"  # unchanged, but the signer is not one we know
    VERIFIED = "verified"  # unchanged, and the signer is known


# Stated, not measured: the probability that the picture is AI-made where the file says so.
# At 0.9 a verdict is `ai`, at 0.5 `unsure`. A part made by AI stays below 0.9 on purpose:
# whether a photo with a filled-in sky "is AI" is a question for a person.
SCORES = {
    Kind.C2PA_GENERATED: 0.97,
    Kind.C2PA_EDITED: 0.75,
    Kind.IPTC_GENERATED: 0.97,
    Kind.IPTC_EDITED: 0.75,
    Kind.GENERATOR_TAG: 0.98,
}
# Where a manifest's signature says more than "could not be traced".
SIGNED_SCORES = {
    (Kind.C2PA_GENERATED, Signature.VERIFIED): 0.99,
    # A claim that fails its own check proves nothing, and is still worth a look.
    (Kind.C2PA_GENERATED, Signature.INVALID): 0.6,
    (Kind.C2PA_GENERATED, Signature.REVOKED): 0.6,
    (Kind.C2PA_EDITED, Signature.INVALID): 0.5,
    (Kind.C2PA_EDITED, Signature.REVOKED): 0.5,
}


def finding(
    kind: Kind, text: str, detail: Mapping[str, Any], signature: Signature | None = None
) -> Finding:
    """A finding of this kind with the score that it carries: None where it is no evidence."""
    score = SCORES.get(kind)
    if signature is not None:
        score = SIGNED_SCORES.get((kind, signature), score)
    return Finding(PROVENANCE, str(kind), score, text, detail)
