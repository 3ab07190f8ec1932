"""What can be wrong with one image; caught around that image, where it becomes its verdict.

    ImageProblem
    ├── FetchError   (workers.sources.source)  its bytes cannot be had
    └── DecodeError  (workers.images.errors)   its bytes cannot be decoded

What is wrong with the world (`workers.sources.source.SourceUnavailable`) is none of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.records import ErrorKind


class ImageProblem(Exception):
    """Why an image cannot be judged: a kind to count by; the message is a phrase for people."""

    def __init__(self, kind: ErrorKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
