"""Images with metadata, made from the documentation of the tools that write it."""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import pack
from typing import TYPE_CHECKING

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from workers.provenance.trust_lists import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
OTHER_KEY_USAGES = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "encipher_only",
    "decipher_only",
)


@pytest.fixture(scope="session")
def draw() -> Callable[..., bytes]:
    """Return a function that saves a small image in one of Pillow's formats."""

    def make(form: str, **options: object) -> bytes:
        target = io.BytesIO()
        image = Image.linear_gradient("L").convert("RGB").resize((48, 32))
        image.save(target, form, **options)
        return target.getvalue()

    return make


@pytest.fixture(scope="session")
def packet() -> Callable[..., bytes]:
    """Return a function that makes an XMP packet of attributes and elements."""

    def make(attributes: str = "", elements: str = "") -> bytes:
        return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
            <x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">
            <rdf:Description rdf:about=""
             xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
             xmlns:dc="http://purl.org/dc/elements/1.1/"
             xmlns:dcterms="http://purl.org/dc/terms/"
             xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
             xmlns:xmp="http://ns.adobe.com/xap/1.0/"
             xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" {attributes}>{elements}
            </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()

    return make


@pytest.fixture(scope="session")
def chunks(draw: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return a function that makes a PNG with these chunks, each (type, payload)."""

    def make(*chunks: tuple[bytes, bytes]) -> bytes:
        plain = draw("PNG")
        parts = [
            pack(">I", len(payload)) + name + payload + pack(">I", zlib.crc32(name + payload))
            for name, payload in chunks
        ]
        return plain[:33] + b"".join(parts) + plain[33:]  # 33: signature and header

    return make


@dataclass(frozen=True)
class Authority:
    """A certificate authority, and a signer with a certificate from it."""

    root_pem: str
    root_key: ec.EllipticCurvePrivateKey
    chain_pem: bytes
    key: ec.EllipticCurvePrivateKey

    @property
    def trust(self) -> Trust:
        """Return the trust in what this authority issues."""
        return Trust(self.root_pem)

    def issue(
        self,
        end: datetime | None = None,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ) -> bytes:
        """Return a chain (PEM) with a certificate of the signer, with this end and purpose."""
        public = self.key.public_key()
        leaf = certificate("Test Signer", public, self.root_key, end=end, purpose=purpose)
        return leaf + self.root_pem.encode()


@pytest.fixture(scope="session")
def sign(authority: Authority) -> Callable[..., bytes]:
    """Return a function that signs an image with actions and (relationship, JPEG) ingredients.

    `source_type` is that of the ingredients, `chain` has other certificates than the authority's
    signer, `stamps` is the address of an authority for time stamps, `more` are further assertions.
    The result is not validated: some programs break the rules, and so do these files.
    """

    def make(  # noqa: PLR0913 - what a manifest may have
        image: bytes,
        actions: Sequence[dict[str, str]] = (),
        ingredients: Sequence[tuple[str, bytes]] = (),
        *,
        source_type: str = "",
        mime: str = "image/jpeg",
        chain: bytes = b"",
        stamps: str | None = None,
        more: Sequence[dict[str, object]] = (),
    ) -> bytes:
        assertions = [{"label": "c2pa.actions", "data": {"actions": list(actions)}}]
        manifest = {
            "claim_generator_info": [{"name": "Test Camera"}],
            "assertions": [*(assertions if actions else []), *more],
        }
        url = stamps.encode() if stamps else None
        key_pem = private_pem(authority.key)
        info = c2pa.C2paSignerInfo(b"es256", chain or authority.chain_pem, key_pem, url)
        context = c2pa.Context.from_dict(
            {
                "verify": {"verify_after_sign": False},
                "trust": {"trust_config": "1.3.6.1.4.1.62558.2.1\n1.3.6.1.5.5.7.3.4"},
            }
        )
        target = io.BytesIO()
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest, context) as builder:
            for relationship, data in ingredients:
                described = {"title": "part", "relationship": relationship}
                if source_type:
                    described["digital_source_type"] = source_type
                builder.add_ingredient(json.dumps(described), "image/jpeg", io.BytesIO(data))
            builder.sign(signer, mime, io.BytesIO(image), target)
        return target.getvalue()

    return make


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Return an unknown authority and its signer, both valid for two days."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("Test Root", root_key.public_key(), root_key)
    chain = certificate("Test Signer", key.public_key(), root_key) + root
    return Authority(root.decode(), root_key, chain, key)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def certificate(
    name: str,
    public: ec.EllipticCurvePublicKey,
    root_key: ec.EllipticCurvePrivateKey,
    *,
    end: datetime | None = None,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
) -> bytes:
    """Return a certificate (PEM) that follows the rules of C2PA."""
    ca = name == "Test Root"
    start = datetime.now(UTC) - timedelta(days=1)
    others = dict.fromkeys(OTHER_KEY_USAGES, False)
    usage = x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **others)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("Test Root"))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end or start + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(issuer, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if not ca:
        # That of time stamps has to be critical (RFC 3161, 2.3).
        is_critical = purpose == ExtendedKeyUsageOID.TIME_STAMPING
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=is_critical)
    return builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def named(common: str) -> x509.Name:
    """Return a certificate name with this common name."""
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Works")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common)])
