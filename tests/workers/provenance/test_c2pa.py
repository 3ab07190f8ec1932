"""C2PA manifests: claims, signature checks, and that nothing is fetched."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from typing import TYPE_CHECKING

import c2pa as library
import pytest
from cryptography.x509 import ObjectIdentifier

from workers.provenance import c2pa, read, trust_lists
from workers.provenance.c2pa import _signature
from workers.provenance.evidence import Signature
from workers.provenance.trust_lists import NO_LISTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.records import Finding
    from tests.workers.conftest import Authority

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def action(name: str, source_type: str = "") -> dict[str, str]:
    """Return an action of a C2PA manifest with an IPTC source type."""
    source = {"digitalSourceType": IPTC + source_type} if source_type else {}
    return {"action": f"c2pa.{name}", **source}


GENERATED = [action("created", "trainedAlgorithmicMedia")]


def only(findings: tuple[Finding, ...] | list[Finding]) -> Finding:
    """Return the only finding."""
    (finding,) = findings
    return finding


@pytest.mark.parametrize(
    ("actions", "kind", "score"),
    [
        (GENERATED, "c2pa_generated", 0.97),
        ([action("created", "compositeWithTrainedAlgorithmicMedia")], "c2pa_edited", 0.75),
        # Generative fill in a photo: the action is of a part.
        (
            [action("created", "digitalCapture"), action("edited", "trainedAlgorithmicMedia")],
            "c2pa_edited",
            0.75,
        ),
        ([action("created", "digitalCapture")], "c2pa_other", None),
        ([action("created", "algorithmicMedia")], "c2pa_other", None),
        ([action("created")], "c2pa_other", None),
    ],
)
def test_source_type_decides_the_kind(
    draw: Callable[..., bytes],
    sign: Callable[..., bytes],
    actions: list[dict[str, str]],
    kind: str,
    score: float | None,
) -> None:
    """The digital source type of a manifest's actions decides the kind of evidence."""
    finding = only(read(sign(draw("JPEG"), actions)))

    assert (kind, score) == (finding.kind, finding.score)


def test_known_signer_verifies(
    draw: Callable[..., bytes], sign: Callable[..., bytes], authority: Authority
) -> None:
    """An intact file of a trusted signer is verified and scores highest."""
    signed = sign(draw("JPEG"), GENERATED)
    finding = only(c2pa.findings(signed, "image/jpeg", trust=authority.trust))

    assert ("verified", 0.99) == (finding.detail["signature"], finding.score)


def test_certificate_for_claims_alone(
    draw: Callable[..., bytes], sign: Callable[..., bytes], authority: Authority
) -> None:
    """A certificate whose only purpose is to sign claims is accepted, as OpenAI's of 2026 are."""
    chain = authority.issue(purpose=ObjectIdentifier("1.3.6.1.4.1.62558.2.1"))
    signed = sign(draw("JPEG"), GENERATED, chain=chain)

    assert "verified" == only(read(signed, authority.trust)).detail["signature"]


def test_unknown_signer_is_untrusted(
    draw: Callable[..., bytes], sign: Callable[..., bytes]
) -> None:
    """An intact file of an unknown signer is untrusted, in the text too."""
    finding = only(read(sign(draw("JPEG"), GENERATED), trust_lists.load()))

    expected = (
        "C2PA manifest by Test Camera says that it was made by generative AI; "
        "the signer is on no installed trust list."
    )
    assert expected == finding.text
    assert "untrusted" == finding.detail["signature"]
    assert ["signingCredential.untrusted"] == finding.detail["validation"]


def test_without_lists_no_signer_is_called_untrusted(
    draw: Callable[..., bytes], sign: Callable[..., bytes]
) -> None:
    """Where no trust list is installed, the text says that, and a changed file is still found."""
    signed = bytearray(sign(draw("JPEG"), GENERATED))
    finding = only(read(bytes(signed), NO_LISTS))

    assert ("no_trust_list", 0.97) == (finding.detail["signature"], finding.score)
    assert finding.text.endswith("; no trust list installed to look up its signer.")
    signed[-3] ^= 1
    assert "invalid" == only(read(bytes(signed), NO_LISTS)).detail["signature"]


def test_changed_byte_is_invalid(
    draw: Callable[..., bytes], sign: Callable[..., bytes], authority: Authority
) -> None:
    """An image changed after signing is invalid and has a low score."""
    signed = bytearray(sign(draw("JPEG"), GENERATED))
    signed[-3] ^= 1
    finding = only(c2pa.findings(bytes(signed), "image/jpeg", trust=authority.trust))

    assert ("c2pa_generated", "invalid", 0.6) == (
        finding.kind,
        finding.detail["signature"],
        finding.score,
    )
    assert ["assertion.dataHash.mismatch"] == finding.detail["validation"]


@pytest.mark.parametrize(
    ("actions", "relationship", "expected"),
    [
        # A generated image that was opened and cropped.
        ([action("opened"), action("cropped")], "parentOf", ("c2pa_generated", True)),
        # What ChatGPT writes: no action of its own, one ingredient.
        ([], "componentOf", ("c2pa_generated", True)),
        # A photo into which a generated image was put.
        (
            [action("created", "digitalCapture"), action("placed")],
            "componentOf",
            ("c2pa_edited", True),
        ),
        # An image that served as a model for a drawing is no part of it.
        ([action("created", "digitalCreation")], "inputTo", ("c2pa_other", False)),
    ],
)
def test_ingredients_count_by_relationship(
    draw: Callable[..., bytes],
    sign: Callable[..., bytes],
    actions: list[dict[str, str]],
    relationship: str,
    expected: tuple[str, bool],
) -> None:
    """A parent decides about the whole image, a placed component about a part."""
    generated = sign(draw("JPEG"), GENERATED)
    signed = sign(draw("JPEG", quality=50), actions, [(relationship, generated)])
    finding = only(read(signed))

    assert expected == (finding.kind, finding.detail["from_ingredient"])


def test_source_type_of_an_ingredient_without_a_manifest(
    draw: Callable[..., bytes], sign: Callable[..., bytes]
) -> None:
    """The source type of an ingredient (C2PA 2.4) counts as the library writes and reads it."""
    placed = [("componentOf", draw("JPEG", quality=50))]
    photo = [action("created", "digitalCapture"), action("placed")]
    source_type = IPTC + "trainedAlgorithmicMedia"
    finding = only(read(sign(draw("JPEG"), photo, placed, source_type=source_type)))

    assert ("c2pa_edited", True) == (finding.kind, finding.detail["from_ingredient"])
    assert "c2pa_other" == only(read(sign(draw("JPEG"), photo, placed))).kind


def test_damaged_ingredient_makes_its_claim_invalid(
    draw: Callable[..., bytes], sign: Callable[..., bytes]
) -> None:
    """A claim from an ingredient that failed its check has a low score."""
    generated = bytearray(sign(draw("JPEG"), GENERATED))
    generated[-3] ^= 1
    opened = [action("opened"), action("cropped")]
    signed = sign(draw("JPEG", quality=50), opened, [("parentOf", bytes(generated))])
    finding = only(read(signed))

    assert ("c2pa_generated", 0.6) == (finding.kind, finding.score)


def test_damaged_manifest_is_unreadable(
    draw: Callable[..., bytes], sign: Callable[..., bytes]
) -> None:
    """A manifest that cannot be read gives a finding without a score."""
    signed = sign(draw("JPEG"), GENERATED)
    at = signed.index(b"c2cl")  # the type of the claim's box
    finding = only(read(signed[: at - 60] + bytes(120) + signed[at + 60 :]))

    assert ("c2pa_unreadable", None) == (finding.kind, finding.score)


@pytest.mark.parametrize(
    ("failures", "successes", "expected"),
    [
        ({"signingCredential.untrusted"}, {"assertion.dataHash.match"}, Signature.UNCHECKED),
        ({"signingCredential.untrusted"}, {"claimSignature.validated"}, Signature.UNCHECKED),
        (
            {"signingCredential.untrusted", "signingCredential.ocsp.revoked"},
            {"claimSignature.validated", "assertion.bmffHash.match"},
            Signature.REVOKED,
        ),
        (
            {"cawg.ica.signer_payload.mismatch", "signingCredential.untrusted"},
            {"claimSignature.validated", "assertion.boxesHash.match"},
            Signature.UNTRUSTED,
        ),
        (
            {"signingCredential.expired", "assertion.bmffHash.mismatch"},
            {"claimSignature.validated"},
            Signature.INVALID,
        ),
    ],
)
def test_most_serious_failure_counts(
    failures: set[str], successes: set[str], expected: Signature
) -> None:
    """The most serious of the validator's codes decides the result."""
    both = frozenset(failures), frozenset(successes)

    assert expected == _signature(*both, has_lists=True)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Start a server without manifests; yield its address and the requested paths."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}", requests
        served.shutdown()


def test_remote_manifest_is_reported_and_never_fetched(
    draw: Callable[..., bytes], packet: Callable[..., bytes], server: tuple[str, list[str]]
) -> None:
    """A manifest on a server is a finding with its URL, and is never requested."""
    address, requests = server
    url = f"{address}/remote.c2pa"
    image = draw("JPEG", xmp=packet(f'dcterms:provenance="{url}"'))
    finding = only(read(image))

    assert ("c2pa_remote", None, url) == (finding.kind, finding.score, finding.detail["url"])
    assert [] == requests


def test_library_fetches_by_default(
    draw: Callable[..., bytes], packet: Callable[..., bytes], server: tuple[str, list[str]]
) -> None:
    """The library fetches by default, so the test above can fail."""
    address, requests = server
    image = draw("JPEG", xmp=packet(f'dcterms:provenance="{address}/remote.c2pa"'))
    with pytest.raises(library.C2paError), library.Context() as context:
        library.Reader("image/jpeg", BytesIO(image), context=context)

    assert ["/remote.c2pa"] == requests


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_forked_child_reads_manifests(
    draw: Callable[..., bytes], sign: Callable[..., bytes]
) -> None:
    """A forked process reads manifests although its parent has read some before."""
    signed = sign(draw("JPEG"), GENERATED)
    read(signed)
    child = os.fork()
    if child == 0:
        os._exit(0 if [f.kind for f in read(signed)] == ["c2pa_generated"] else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
