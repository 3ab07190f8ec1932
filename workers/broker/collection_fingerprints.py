"""Store the fingerprints of collections in Redis, where workers read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from storage.paths import from_wire, to_wire
from workers.broker.field_types import Digest, Id, MessageError, WirePath, message_errors
from workers.sources.fingerprint import SAMPLE_FILES, KnownFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.broker.namespace import Namespace

# Path, size in bytes and SHA-256 of each file.
_Fingerprint = list[tuple[WirePath, Id, Digest]]


def store_fingerprint(namespace: Namespace, collection: str, files: Sequence[KnownFile]) -> None:
    """Store the files by which workers recognise a collection."""
    body = [(to_wire(file.path), file.size_bytes, file.digest) for file in files]
    namespace.client.hset(_key(namespace), collection, json.encode(body))


def fingerprint_of(namespace: Namespace, collection: str) -> tuple[KnownFile, ...]:
    """Return a collection's fingerprint; empty if there is none or it is invalid."""
    raw = namespace.client.hget(_key(namespace), collection)
    try:
        with message_errors("fingerprint"):
            return tuple(
                KnownFile(from_wire(path), size_bytes, digest)
                for path, size_bytes, digest in json.decode(raw or b"[]", type=_Fingerprint)
            )[:SAMPLE_FILES]
    except MessageError:
        return ()


def collections_with_fingerprint(namespace: Namespace) -> list[str]:
    """Return the names of the collections that have a fingerprint, sorted."""
    names = namespace.client.hkeys(_key(namespace))
    return sorted(raw if isinstance(raw, str) else raw.decode(errors="replace") for raw in names)


def _key(namespace: Namespace) -> str:
    return namespace.key("samples")
