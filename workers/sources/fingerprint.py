"""Fingerprint of a collection: a few of its files, by size and digest.

`enqueue` takes the fingerprint of a collection, and a worker compares it before reading there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.sources.source import FetchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.sources.source import Source

# Files in a fingerprint; a worker reads them once.
SAMPLE_FILES = 5


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file as it was when its collection was enqueued; `digest` is its SHA-256."""

    path: bytes
    size_bytes: int
    digest: bytes


class WrongCollection(Exception):
    """The source has another collection, whose images must not be judged as this one's."""


def verify_fingerprint(source: Source, files: Sequence[KnownFile]) -> None:
    """Raise WrongCollection where most of the files are missing or different.

    A few may have been changed or deleted since. Raise SourceUnavailable as `source` does.
    """
    matching = sum(_matches(source, file) for file in files)
    if files and 2 * matching < len(files):
        raise WrongCollection(
            f"{len(files) - matching} of {len(files)} files differ or are missing"
        )


def _matches(source: Source, file: KnownFile) -> bool:
    try:
        return source.fetch(file.path, file.size_bytes).digest == file.digest
    except FetchError:
        return False
