"""C2PA manifests, read by c2pa-python: their claims, and the check of their signatures."""

from __future__ import annotations

import json
import os
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from workers.provenance.c2pa_claims import Claim, codes, read_claim
from workers.provenance.evidence import Kind, Signature, finding
from workers.provenance.trust_lists import NO_LISTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import c2pa

    from storage.records import Finding
    from workers.provenance.trust_lists import Trust

MAX_URL_CHARACTERS = 2_048
MAX_DETAIL_CHARACTERS = 200
_DATE_CHARACTERS = len("2026-11-29")

# Failures that do not matter for how the image was made: of a person's identity (CAWG), and of the
# time stamp, without which the certificate's own dates count.
_IGNORED = ("cawg.", "timeStamp.")
_REMOVED = {"assertion.missing", "assertion.undeclared"}
_EXPIRED = {"signingCredential.expired", "claimSignature.outsideValidity"}
# Hashes that tie a manifest to the bytes of its file.
_BINDINGS = {
    "assertion.dataHash.match",
    "assertion.bmffHash.match",
    "assertion.boxesHash.match",
}

# Purposes of certificates that are accepted (C2PA 2.4, 14.5.1, and those of the interim list). The
# library's own list lacks the first, which is the only one of OpenAI's since 2026.
_PURPOSES = (
    "1.3.6.1.4.1.62558.2.1",  # signing of claims
    "1.3.6.1.5.5.7.3.4",  # e-mail
    "1.3.6.1.5.5.7.3.36",  # documents
    "1.3.6.1.4.1.311.76.59.1.9",  # Microsoft's, signing of claims
    "1.3.6.1.5.5.7.3.8",  # time stamps
    "1.3.6.1.5.5.7.3.9",  # OCSP
)

_CLAIMS = {
    Kind.C2PA_GENERATED: "says that it was made by generative AI",
    Kind.C2PA_EDITED: "says that a part of it was made by generative AI",
    Kind.C2PA_OTHER: "says nothing of generative AI",
}
_CHECKS = {
    Signature.VERIFIED: "the signer is known, and the file is unchanged since it was signed",
    Signature.UNTRUSTED: "the signer is on no installed trust list",
    Signature.NO_TRUST_LIST: "no trust list installed to look up its signer",
    Signature.EXPIRED: "the file is as it was signed, but the signer's certificate has expired, "
    "and no time stamp of a known authority shows that it was valid",
    Signature.REVOKED: "the signer's certificate has been revoked",
    Signature.UNCHECKED: "its signature could not be checked",
    Signature.INVALID: "the file or the manifest was changed after it was signed",
}


class ManifestError(Exception):
    """The library returned no manifest: its name for the kind of error, and its message."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind, self.text = kind, text


def findings(data: bytes, mime: str, link: str = "", trust: Trust = NO_LISTS) -> list[Finding]:
    """Return at most one finding, about the active manifest of a file.

    `link` is the URL of the manifest in XMP. Signers and time stamps are known by the certificates
    of `trust`. Nothing is ever fetched, neither a manifest nor a revocation list.
    """
    try:
        store = _read_store(data, mime, trust)
    except ManifestError as error:
        return _no_manifest(error, link)
    claim = read_claim(store)
    if claim is None:
        return [_unreadable("the manifest store has no active manifest")]
    failures, successes = codes(store, "failure"), codes(store, "success")
    signature = _signature(failures | claim.failures, successes, has_lists=bool(trust))
    # Anyone can write the time of a time stamp whose authority is unknown.
    signed = claim.signed if "timeStamp.trusted" in successes else ""
    return [_claim_finding(claim, signature, failures, signed)]


def _claim_finding(
    claim: Claim, signature: Signature, failures: Iterable[str], signed: str
) -> Finding:
    name = claim.generator.split("/")[0].replace("_", " ")
    # It is shown on terminals.
    name = "".join(filter(str.isprintable, name)) or "an unnamed program"
    stamp = f" (time stamp of {signed[:_DATE_CHARACTERS]})" if signed else ""
    text = f"C2PA manifest by {name} {_CLAIMS[claim.kind]}; {_CHECKS[signature]}{stamp}."
    detail = {
        "signature": str(signature),
        "generator": claim.generator,
        "digital_source_type": claim.source_type,
        "from_ingredient": claim.from_ingredient,
        "since": list(claim.since),
        "signer": claim.signer,
        "signed": signed or None,
        "validation": sorted(failures),
    }
    return finding(claim.kind, text, detail, signature)


def _no_manifest(error: ManifestError, link: str) -> list[Finding]:
    if error.kind == "Remote":
        url = link or error.text.rpartition(" ")[2]
        text = "The C2PA manifest is on a server and was not fetched."
        return [finding(Kind.C2PA_REMOTE, text, {"url": url[:MAX_URL_CHARACTERS]})]
    if error.kind in ("ManifestNotFound", "NotSupported"):
        return []
    return [_unreadable(error.text)]


def _unreadable(reason: str) -> Finding:
    text = "The C2PA manifest cannot be read."
    return finding(Kind.C2PA_UNREADABLE, text, {"why": reason[:MAX_DETAIL_CHARACTERS]})


def _read_store(data: bytes, mime: str, trust: Trust) -> dict[str, Any]:
    """Return the library's report of the manifest store; raise ManifestError if there is none."""
    import c2pa  # noqa: PLC0415 - 0.2 s and 23 MB, for the few files that need it

    try:
        with c2pa.Reader(mime, BytesIO(data), context=_context(os.getpid(), trust)) as reader:
            store = json.loads(reader.json())
    except c2pa.C2paError as error:
        kind, separator, text = str(error).partition(": ")
        raise ManifestError(kind, text if separator else kind) from error
    except (ValueError, RecursionError) as error:
        raise ManifestError("Json", "the library's report cannot be read") from error
    if not isinstance(store, dict):
        raise ManifestError("Json", "the library's report is not an object")
    return store


@cache
def _context(_process: int, trust: Trust) -> c2pa.Context:
    """Return the library's settings, once for each process: a forked child needs its own.

    The library ignores settings that it does not know, so tests check these.
    """
    import c2pa  # noqa: PLC0415

    settings: dict[str, Any] = {
        # A scan must not tell a server which images someone has.
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        # Otherwise a person's identity is looked up at the web address in the file.
        "core": {"decode_identity_assertions": False, "allowed_network_hosts": []},
        "trust": {"trust_config": "\n".join(_PURPOSES)},
    }
    if trust:
        # A certificate itself says whether it is for claims or for time stamps.
        lists = {"trust_anchors": trust.authorities, "allowed_list": trust.signers}
        kinds = ("manifest", "tsa")
        settings["trust"] |= {"anchors": [lists | {"trust_kind": kind} for kind in kinds]}
    return c2pa.Context.from_dict(settings)


def _signature(
    failures: frozenset[str], successes: frozenset[str], *, has_lists: bool
) -> Signature:
    """Return the most serious result among the validator's codes (C2PA 2.2, 15.2.2).

    The library's own "Valid" includes unknown signers, and its "Invalid" intact files that break
    the rules of a later edition.
    """
    serious = {code for code in failures if not code.startswith(_IGNORED)}
    if serious & _REMOVED or any(code.endswith(".mismatch") for code in serious):
        return Signature.INVALID
    if any(code.endswith(".revoked") for code in serious):
        return Signature.REVOKED
    if "claimSignature.validated" not in successes or not successes & _BINDINGS:
        return Signature.UNCHECKED
    # Without a list there is no known authority either whose time stamp could count.
    is_stamped = not has_lists and "timeStamp.validated" in successes
    if serious & _EXPIRED and not is_stamped:
        return Signature.EXPIRED
    if not has_lists:
        return Signature.NO_TRUST_LIST
    trusted = "signingCredential.trusted" in successes
    return Signature.VERIFIED if trusted else Signature.UNTRUSTED
