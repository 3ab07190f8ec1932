"""Store the fingerprints of collections in Redis, where workers read them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from storage.paths import from_wire, to_wire
from workers.broker import wire
from workers.sources.fingerprint import SAMPLE_FILES, KnownFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.broker.namespace import Namespace


def store_fingerprint(namespace: Namespace, collection: str, files: Sequence[KnownFile]) -> None:
    """Have workers know a collection by these files."""
    body = [
        [to_wire(one.path), one.size_bytes, base64.b64encode(one.digest).decode()] for one in files
    ]
    namespace.client.hset(fingerprints_key(namespace), collection, json.dumps(body))


def fingerprint_of(namespace: Namespace, collection: str) -> tuple[KnownFile, ...]:
    """The sample of a collection; empty where none was left, or none that can be read."""
    raw = namespace.client.hget(fingerprints_key(namespace), collection)
    try:
        return tuple(
            KnownFile(from_wire(path), wire.number(size), wire.digest(digest))
            for path, size, digest in json.loads(raw or b"[]")[:SAMPLE_FILES]
        )
    except wire.TROUBLE:
        return ()


def collections(namespace: Namespace) -> list[str]:
    """The collections that workers can know by a sample."""
    found = namespace.client.hkeys(fingerprints_key(namespace))
    return sorted(raw if isinstance(raw, str) else raw.decode(errors="replace") for raw in found)


def fingerprints_key(namespace: Namespace) -> str:
    """The hash of all samples, by the collection's name."""
    return namespace.key("samples")
