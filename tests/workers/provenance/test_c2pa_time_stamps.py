"""Time stamps of C2PA signatures, by an RFC 3161 authority that runs here."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.workers.conftest import Authority, certificate, private_pem
from workers.provenance import read
from workers.provenance.trust_lists import NO_LISTS, Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from storage.records import Finding

GENERATED = [
    {
        "action": "c2pa.created",
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    }
]
FIRST_VALIDITY_SECONDS = 3

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@dataclass(frozen=True)
class StampedFiles:
    """Two files signed with a certificate that has expired since, with and without a time stamp."""

    stamped: bytes
    plain: bytes
    trust: Trust
    stamp_trust: Trust
    day: str


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Start an authority for time stamps; yield its address and its root certificate (PEM)."""
    folder = tmp_path_factory.mktemp("stamps")
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("Test Root", root_key.public_key(), root_key)
    leaf = certificate(
        "Test Stamps", key.public_key(), root_key, purpose=ExtendedKeyUsageOID.TIME_STAMPING
    )
    (folder / "leaf.pem").write_bytes(leaf)
    (folder / "root.pem").write_bytes(root)
    (folder / "key.pem").write_bytes(private_pem(key))
    (folder / "settings").write_text(
        "[tsa]\ndefault_tsa = stamps\n[stamps]\n"
        f"serial = {folder}/serial\nsigner_cert = {folder}/leaf.pem\ncerts = {folder}/root.pem\n"
        f"signer_key = {folder}/key.pem\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\n"
        "digests = sha256, sha384, sha512\ness_cert_id_alg = sha256\n"
    )

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            reply = answer(folder, query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}/", root.decode()
        served.shutdown()


def answer(folder: Path, query: bytes) -> bytes:
    """Return the reply to a query for a time stamp."""
    (folder / "query").write_bytes(query)
    command = ["openssl", "ts", "-reply", "-config", str(folder / "settings")]
    command += ["-queryfile", str(folder / "query"), "-out", str(folder / "reply")]
    subprocess.run(command, check=True, capture_output=True)
    return (folder / "reply").read_bytes()


@pytest.fixture(scope="module")
def expired(
    draw: Callable[..., bytes],
    sign: Callable[..., bytes],
    authority: Authority,
    stamps: tuple[str, str],
) -> StampedFiles:
    """Return files whose signer's certificate expired after they were signed.

    The library signs with valid certificates alone, so one that is valid for seconds expires here;
    on a loaded machine, one that is valid for longer.
    """
    address, stamp_root = stamps
    seconds = FIRST_VALIDITY_SECONDS
    while True:
        end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        chain = authority.issue(end)
        try:
            stamped = sign(draw("JPEG"), GENERATED, chain=chain, stamps=address)
            plain = sign(draw("JPEG"), GENERATED, chain=chain)
        except Exception:  # noqa: BLE001 - the certificate expired before it was used
            assert datetime.now(UTC) > end
        else:
            if datetime.now(UTC) < end:
                break
        seconds *= 2
    while datetime.now(UTC) < end + timedelta(seconds=1):
        time.sleep(0.1)
    both = Trust(authority.root_pem + stamp_root)
    return StampedFiles(stamped, plain, both, Trust(stamp_root), end.date().isoformat())


def only(findings: tuple[Finding, ...]) -> Finding:
    """Return the only finding."""
    (finding,) = findings
    return finding


def test_stamped_while_valid_stays_verified(expired: StampedFiles) -> None:
    """What was time-stamped while its signer's certificate was valid stays verified after that."""
    finding = only(read(expired.stamped, expired.trust))

    assert ("verified", 0.99) == (finding.detail["signature"], finding.score)
    assert [] == finding.detail["validation"]
    assert expired.day == finding.detail["signed"][:10]
    assert f"(time stamp of {expired.day})" in finding.text


def test_expired_without_stamp(expired: StampedFiles) -> None:
    """Without a time stamp, an expired certificate is that, whoever issued it."""
    finding = only(read(expired.plain, expired.trust))

    assert ("expired", None) == (finding.detail["signature"], finding.detail["signed"])


def test_stamp_of_unknown_authority_does_not_count(
    expired: StampedFiles, authority: Authority
) -> None:
    """A time stamp proves nothing by itself: its authority has to be on a trust list."""
    finding = only(read(expired.stamped, authority.trust))

    assert ("expired", None) == (finding.detail["signature"], finding.detail["signed"])
    assert "no time stamp of a known authority" in finding.text


def test_known_stamp_makes_no_signer_known(expired: StampedFiles) -> None:
    """A known authority for time stamps does not vouch for the signer."""
    finding = only(read(expired.stamped, expired.stamp_trust))

    assert finding.detail["signature"] in ("untrusted", "expired")


def test_without_lists_a_stamp_cannot_be_checked(expired: StampedFiles) -> None:
    """Without any list, a time-stamped file is told apart from an expired one."""
    assert "no_trust_list" == only(read(expired.stamped, NO_LISTS)).detail["signature"]
    assert "expired" == only(read(expired.plain, NO_LISTS)).detail["signature"]


def test_signer_on_a_list_itself(
    draw: Callable[..., bytes], sign: Callable[..., bytes], authority: Authority
) -> None:
    """A list may have the signer's own certificate, as the interim list does."""
    chain = authority.issue()
    leaf = chain.decode().partition("-----END CERTIFICATE-----\n")
    signed = sign(draw("JPEG"), GENERATED, chain=chain)

    assert "verified" == only(read(signed, Trust("", leaf[0] + leaf[1]))).detail["signature"]
    other = authority.issue().decode().partition("-----END CERTIFICATE-----\n")
    assert "untrusted" == only(read(signed, Trust("", other[0] + other[1]))).detail["signature"]
