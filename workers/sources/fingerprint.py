"""Check that a place holds the collection it is said to hold: a few files, by size and digest.

`enqueue` takes the fingerprint of a collection and a worker compares it before it reads there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.sources.local import FetchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.sources.places import Source

# Files in a sample; a worker reads them once.
SAMPLE_FILES = 5


@dataclass(frozen=True, slots=True)
class KnownFile:
    """One file of a collection as it was when that was enqueued; `digest` is its SHA-256."""

    path: bytes
    size_bytes: int
    digest: bytes


class WrongCollection(Exception):
    """What is there is not the collection; nothing of it may be judged as if it were."""


def verify_fingerprint(source: Source, files: Sequence[KnownFile]) -> None:
    """Raise WrongCollection where most of the files are not there, or are others.

    Most: some may have been changed or deleted since. SourceUnavailable comes through.
    """
    same = sum(_is_there(source, one) for one in files)
    if files and 2 * same < len(files):
        raise WrongCollection(
            f"{len(files) - same} of {len(files)} files are not there or are others"
        )


def _is_there(source: Source, one: KnownFile) -> bool:
    try:
        return source.fetch(one.path, one.size_bytes).digest == one.digest
    except FetchError:
        return False
