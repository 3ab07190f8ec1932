"""C2PA manifests through c2pa-python: what they claim, and apart from it what their check says."""

from __future__ import annotations

import json
import os
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from workers.provenance.claims import Claim, claim_of, codes
from workers.provenance.evidence import Kind, Signature, finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    import c2pa

    from storage.records import Finding

MAX_URL_CHARACTERS = 2_048

# Failures that do not touch the question who made the picture: of the identity of a person
# (CAWG), and of the time stamp, without which the certificate's own dates are what counts.
_ASIDE = ("cawg.", "timeStamp.")
_REMOVED = {"assertion.missing", "assertion.undeclared"}
_OUT_OF_DATE = {"signingCredential.expired", "claimSignature.outsideValidity"}
# What ties a manifest to the bytes of its file.
_BINDINGS = {
    "assertion.dataHash.match",
    "assertion.bmffHash.match",
    "assertion.boxesHash.match",
}

_CLAIMS = {
    Kind.C2PA_GENERATED: "says that it was made by generative AI",
    Kind.C2PA_EDITED: "says that a part of it was made by generative AI",
    Kind.C2PA_OTHER: "says nothing of generative AI",
}
_CHECKS = {
    Signature.VERIFIED: "the signature is a known signer's, and the file is as it was signed",
    Signature.UNTRUSTED: "the signature could not be traced to a known signer",
    Signature.EXPIRED: "the file is as it was signed, but the signer's certificate has run out",
    Signature.REVOKED: "the signer's certificate has been revoked",
    Signature.UNCHECKED: "its signature could not be checked",
    Signature.INVALID: "the file or the manifest was changed after it was signed",
}


class Refused(Exception):
    """The library's reason for giving no manifest: its own word for the kind, and its sentence."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind, self.text = kind, text


def findings(data: bytes, mime: str, link: str = "", anchors: str = "") -> list[Finding]:
    """At most one finding, about the active manifest of a file.

    `link` is where XMP says the manifest lies, `anchors` the certificates (PEM) of the
    authorities to trust. Nothing is ever fetched, neither a manifest nor a revocation list.
    """
    try:
        store = _store(data, mime, anchors)
    except Refused as refusal:
        return _refused(refusal, link)
    claim = claim_of(store)
    if claim is None:
        return [_unreadable("the manifest store has no active manifest")]
    failures, successes = codes(store, "failure"), codes(store, "success")
    signature = _signature(failures | claim.failures, successes)
    return [_claimed(claim, signature, failures)]


def _claimed(claim: Claim, signature: Signature, failures: Iterable[str]) -> Finding:
    name = claim.generator.split("/")[0].replace("_", " ")
    # What a file says is shown to people, on terminals too.
    name = "".join(filter(str.isprintable, name)) or "an unnamed program"
    text = f"C2PA manifest by {name} {_CLAIMS[claim.kind]}; {_CHECKS[signature]}."
    detail = {
        "signature": str(signature),
        "generator": claim.generator,
        "digital_source_type": claim.source_type,
        "from_ingredient": claim.from_ingredient,
        "signer": claim.signer,
        "validation": sorted(failures),
    }
    return finding(claim.kind, text, detail, signature)


def _refused(refusal: Refused, link: str) -> list[Finding]:
    if refusal.kind == "Remote":
        url = link or refusal.text.rpartition(" ")[2]
        text = "The C2PA manifest lies on a server and was not fetched."
        return [finding(Kind.C2PA_REMOTE, text, {"url": url[:MAX_URL_CHARACTERS]})]
    if refusal.kind in ("ManifestNotFound", "NotSupported"):
        return []
    return [_unreadable(refusal.text)]


def _unreadable(why: str) -> Finding:
    text = "There is a C2PA manifest, but it cannot be read."
    return finding(Kind.C2PA_UNREADABLE, text, {"why": why[:200]})


def _store(data: bytes, mime: str, anchors: str) -> dict[str, Any]:
    """The manifest store as the library reports it; Refused if it gives none."""
    import c2pa  # noqa: PLC0415 - 0.2 s and 23 MB, for the few files that need it

    try:
        with c2pa.Reader(mime, BytesIO(data), context=_context(os.getpid(), anchors)) as reader:
            store = json.loads(reader.json())
    except c2pa.C2paError as error:
        kind, separator, text = str(error).partition(": ")
        raise Refused(kind, text if separator else kind) from error
    except (ValueError, RecursionError) as error:
        raise Refused("Json", "the library's own report cannot be read") from error
    if not isinstance(store, dict):
        raise Refused("Json", "the library's own report is no object")
    return store


@cache
def _context(_process: int, anchors: str) -> c2pa.Context:
    """The library's settings, made once in each process: a forked child may not use its parent's.

    The library takes settings that it does not know without a word, so tests prove these.
    """
    import c2pa  # noqa: PLC0415

    settings: dict[str, Any] = {
        # A scan must not tell a server which pictures someone has.
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        # Else a person's identity is looked up at the web address that the file names.
        "core": {"decode_identity_assertions": False, "allowed_network_hosts": []},
    }
    if anchors:
        settings["trust"] = {"trust_anchors": anchors}
    return c2pa.Context.from_dict(settings)


def _signature(failures: frozenset[str], successes: frozenset[str]) -> Signature:
    """Sum up the validator's codes (C2PA 2.2, 15.2.2).

    Its own "Valid" and "Invalid" are of no use here: the first includes signers that nobody
    knows, the second files that are intact and break a later edition's rules.
    """
    grave = {code for code in failures if not code.startswith(_ASIDE)}
    if grave & _REMOVED or any(code.endswith(".mismatch") for code in grave):
        return Signature.INVALID
    if any(code.endswith(".revoked") for code in grave):
        return Signature.REVOKED
    if "claimSignature.validated" not in successes or not successes & _BINDINGS:
        return Signature.UNCHECKED
    if grave & _OUT_OF_DATE:
        return Signature.EXPIRED
    trusted = "signingCredential.trusted" in successes
    return Signature.VERIFIED if trusted else Signature.UNTRUSTED
