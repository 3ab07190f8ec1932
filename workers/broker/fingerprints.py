"""Store the fingerprints of collections in Redis, where workers read them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from storage.paths import from_wire, to_wire
from workers.broker import wire
from workers.sources.fingerprint import SAMPLE_FILES, SampleFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.broker.namespace import Space


def leave_sample(space: Space, collection: str, files: Sequence[SampleFile]) -> None:
    """Have workers know a collection by these files."""
    body = [
        [to_wire(one.path), one.size_bytes, base64.b64encode(one.digest).decode()] for one in files
    ]
    space.client.hset(samples_key(space), collection, json.dumps(body))


def sample_of(space: Space, collection: str) -> tuple[SampleFile, ...]:
    """The sample of a collection; empty where none was left, or none that can be read."""
    raw = space.client.hget(samples_key(space), collection)
    try:
        return tuple(
            SampleFile(from_wire(path), wire.number(size), wire.digest(digest))
            for path, size, digest in json.loads(raw or b"[]")[:SAMPLE_FILES]
        )
    except wire.TROUBLE:
        return ()


def collections(space: Space) -> list[str]:
    """The collections that workers can know by a sample."""
    found = space.client.hkeys(samples_key(space))
    return sorted(raw if isinstance(raw, str) else raw.decode(errors="replace") for raw in found)


def samples_key(space: Space) -> str:
    """The hash of all samples, by the collection's name."""
    return space.key("samples")
