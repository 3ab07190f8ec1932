"""What crosses between the packages: findings, verdicts and the images they are about.

Frozen dataclasses only; nothing here knows of SQL, Celery or pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


# Words in findings that verdicts are decided by, and counted by in reports: the two that speak
# beside the nets,
PROVENANCE = "provenance"
ROUTER = "router"
# The kind of finding that says that the pixels are too degraded to show how they were made.
DEGRADED = "degraded"
# and what the detail of a finding on a resized picture has: its own size.
RESIZED_FROM = "resized_from"

# What folders and classes are called, in any case, by people who know what is in them.
AI_NAMES = ("fake", "ai", "generated")
REAL_NAMES = ("real", "photo")

# Where scores are compared with labels, a score of at least this counts as AI.
SCORE_THRESHOLD = 0.5


class Outcome(StrEnum):
    """What the findings come to for one image; an image without one is pending."""

    AI = "ai"
    UNSURE = "unsure"
    NO_EVIDENCE = "no_evidence"
    ERROR = "error"


class ErrorKind(StrEnum):
    """Why an image could not be judged."""

    UNREADABLE = "unreadable"  # the file system would not give its bytes
    EMPTY = "empty"  # no bytes at all
    NOT_AN_IMAGE = "not_an_image"  # the content is of no image format we know
    UNSUPPORTED = "unsupported"  # an image format, or a variant of one, that we do not decode
    TRUNCATED = "truncated"  # the file ends before the picture does
    DAMAGED = "damaged"  # the content contradicts its own format
    INTERNAL = "internal"  # a mistake of ours came to light with it
    TOO_LARGE = "too_large"  # over the pixel or the byte budget
    CHANGED = "changed"  # not the file that was listed, or altered while it was read
    OUTSIDE = "outside"  # its path leaves the collection's root
    CRASHED = "crashed"  # it twice killed the process that decoded it
    TIMEOUT = "timeout"  # it twice overran its time


@dataclass(frozen=True, slots=True)
class Finding:
    """What one detector says of one image, or of one region in it.

    `score` is the probability that the image is AI-made, in [0, 1], or None where the finding is
    no evidence either way (`kind` "no_detector", say). `kind` is a short stable word to count by,
    `text` one plain sentence for people (empty where the score says it all), `detail` what
    programs may want beside it, JSON-able.
    """

    detector: str
    kind: str
    score: float | None = None
    text: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageError:
    """Why there is no verdict on an image: a kind to count by and a sentence for people."""

    kind: ErrorKind
    text: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Microseconds that one image spent in each stage."""

    fetch_us: int = 0
    decode_us: int = 0
    infer_us: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that is known of one image after its detectors have run.

    `score` and `detector` are those of the finding that decided; `examined` says whether any
    detector but provenance looked at the pixels; `digest` is the SHA-256 of the bytes as fetched.
    """

    image_id: int
    outcome: Outcome
    score: float | None
    detector: str | None
    examined: bool
    findings: tuple[Finding, ...]
    error: ImageError | None
    digest: bytes | None
    timings: Timings


@dataclass(frozen=True, slots=True)
class ListedImage:
    """A candidate as the walk found it; `truth` is what a label says of it (True: AI-made)."""

    path: bytes
    size_bytes: int
    mtime_ns: int
    truth: bool | None = None


@dataclass(frozen=True, slots=True)
class BatchImage:
    """One image that a batch asks for."""

    image_id: int
    path: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of one scan that are to be judged together; `attempt` counts from 1."""

    batch_id: int
    attempt: int
    images: tuple[BatchImage, ...]
