"""Signatures of messages: they prove who wrote one, as anyone may write to a broker.

Batches are signed with the key of the store, results with the key of the machine that sends them.
The signatures are Ed25519 (RFC 8032), so that a machine can check batches without being able to
sign any, and no private key leaves its machine. A signature covers the exact text of the body, and
what the body is for: its kind, its store and its signer.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from workers.broker.field_types import MessageError

# Bytes of a private and of a public key.
KEY_BYTES = 32
# The signer of everything that has the store's key.
STORE = "store"

Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
# A machine's id (`workers.host.identity`), or STORE.
Owner = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,128}\Z")]
PublicKey = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]


class SignedBody(Struct, frozen=True):
    """The text of a body, as JSON, who signed it and the signature."""

    body: str
    by: Owner
    signature: Signature


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a signed body is for: `batch`, `result` or `join`, and the store's id."""

    kind: str
    store_id: str

    def signed_bytes(self, by: str, body: str) -> bytes:
        """Return the bytes that a signature is made of."""
        # No name or id contains a NUL, so that no two purposes give the same bytes.
        return f"scanner\0{self.kind}\0{self.store_id}\0{by}\0{body}".encode()


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key of 32 bytes and the name of its owner."""

    name: str
    private_key: bytes

    def sign(self, purpose: Purpose, body: str) -> SignedBody:
        """Return a body with its signature."""
        key = Ed25519PrivateKey.from_private_bytes(self.private_key)
        signature = key.sign(purpose.signed_bytes(self.name, body))
        return SignedBody(body, self.name, signature)

    @property
    def public_key(self) -> bytes:
        """Return the key with which others check the signatures."""
        key = Ed25519PrivateKey.from_private_bytes(self.private_key)
        return key.public_key().public_bytes_raw()


def verify(purpose: Purpose, signed: SignedBody, public_key: bytes) -> None:
    """Raise MessageError where the body was not signed with that key, or for another purpose."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    try:
        key.verify(signed.signature, purpose.signed_bytes(signed.by, signed.body))
    except (InvalidSignature, UnicodeEncodeError):
        raise MessageError(f"the signature of the {purpose.kind} is wrong") from None


def batch_ticket(private_key: bytes, scan_id: int, batch_id: int, attempt: int) -> bytes:
    """Return what only those know who received this attempt at a batch; results quote it.

    It is an HMAC-SHA256 with the store's private key, which nobody without the store can make.
    """
    text = f"ticket\0{scan_id}\0{batch_id}\0{attempt}"
    return hmac.new(private_key, text.encode(), hashlib.sha256).digest()
