"""Errors of single images, which become the verdicts on those images.

    ImageProblem
    ├── FetchError   (workers.sources.source)  the file cannot be read
    └── DecodeError  (workers.images.errors)   the content cannot be decoded

An unavailable source (`workers.sources.source.SourceUnavailable`) is not an image's error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.records import ErrorKind


class ImageProblem(Exception):
    """The reason why an image cannot be judged: a kind to count by, and a phrase for people."""

    def __init__(self, kind: ErrorKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
