"""Whether a place has the collection that it is said to have: a few files, by size and digest.

Who enqueues a collection leaves a sample of it in Redis; a worker looks at those files in the place
that it was told before it takes anything there for the collection.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.paths import from_wire, to_wire
from workers.broker import wire
from workers.sources.local import FetchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.broker.namespace import Space
    from workers.sources.places import Source

# Files in a sample; a worker reads them once.
SAMPLE_FILES = 5


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file of a collection as it was when that was enqueued; `digest` is its SHA-256."""

    path: bytes
    size_bytes: int
    digest: bytes


class WrongPlace(Exception):
    """What is there is not the collection; nothing of it may be judged as if it were."""


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


def prove(source: Source, files: Sequence[SampleFile]) -> None:
    """Raise WrongPlace where most of the files are not there, or are others.

    Most: some may have been changed or deleted since. RootGone comes through.
    """
    same = sum(_is_there(source, one) for one in files)
    if files and 2 * same < len(files):
        raise WrongPlace(f"{len(files) - same} of {len(files)} files are not there or are others")


def samples_key(space: Space) -> str:
    """The hash of all samples, by the collection's name."""
    return space.key("samples")


def _is_there(source: Source, one: SampleFile) -> bool:
    try:
        return source.fetch(one.path, one.size_bytes).digest == one.digest
    except FetchError:
        return False
