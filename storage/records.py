"""What crosses between the packages: plans, findings, verdicts and the images they are about.

Frozen dataclasses only; nothing here knows of SQL, Celery or pixels.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from storage.errors import ScannerError

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

# The rules by which findings become verdicts (`workers.pipeline.decide` and `route`). Raised when
# they change: a scan with a new plan does not keep the verdicts of older rules.
RULES_VERSION = 3
# As a threshold for `ai`: the detector never returns `ai`.
NEVER = 1.0

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


class PlanError(ScannerError):
    """A plan is malformed, or this machine cannot follow it; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores from `unsure` up are `unsure`, from `ai` up `ai`, unless that one is NEVER."""

    unsure: float
    ai: float

    @property
    def flagged_from(self) -> float:
        """Return the lowest score that flags an image."""
        return self.ai if self.ai < NEVER else self.unsure


@dataclass(frozen=True, slots=True)
class PlannedDetector:
    """A detector of a plan; `sha256` is the checksum of its model, empty where it has none.

    One of the second stage is asked only about images that the others leave `unsure`.
    """

    name: str
    version: str
    sha256: str
    thresholds: Thresholds
    is_second_stage: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the detector as JSON-able types."""
        body = {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "thresholds": {"unsure": self.thresholds.unsure, "ai": self.thresholds.ai},
        }
        # Only where it is true, so that the digests of all other plans stay as they were.
        return body | {"strong": True} if self.is_second_stage else body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> PlannedDetector:
        """Read a detector; KeyError, TypeError or ValueError where it is malformed."""
        thresholds = body["thresholds"]
        return cls(
            _text(body["name"]),
            _text(body["version"]),
            _text(body["sha256"]),
            Thresholds(_probability(thresholds["unsure"]), _probability(thresholds["ai"])),
            body.get("strong") is True,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The detectors of a scan; two plans of the same digest give the same verdicts."""

    detectors: tuple[PlannedDetector, ...]
    rules: int = RULES_VERSION

    def names(self) -> frozenset[str]:
        """Return the names of the detectors."""
        return frozenset(detector.name for detector in self.detectors)

    @property
    def second_stage(self) -> str | None:
        """Return the name of the detector of the second stage, if the plan has one."""
        return next((one.name for one in self.detectors if one.is_second_stage), None)

    def first_stage(self) -> Plan:
        """Return the plan without the detector of the second stage."""
        return Plan(tuple(one for one in self.detectors if not one.is_second_stage), self.rules)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as it is stored and sent."""
        return {
            "rules": self.rules,
            "detectors": [detector.to_json() for detector in self.detectors],
        }

    @classmethod
    def from_json(cls, body: Any) -> Plan:  # noqa: ANN401 - whatever was stored or sent
        """Read a plan, whatever its rules; PlanError where it is malformed."""
        try:
            detectors = tuple(map(PlannedDetector.from_json, body["detectors"]))
            plan = cls(detectors, _version(body["rules"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanError(f"invalid plan: {str(error)[:200]}") from error
        if sum(detector.is_second_stage for detector in plan.detectors) > 1:
            raise PlanError("invalid plan: it has several detectors of the second stage")
        return plan

    def digest(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of the plan's JSON."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _version(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"invalid version of the rules {value!r}: expected a whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"invalid detector {value!r}: expected text")
    return value


def _probability(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"invalid threshold {value!r}: expected a number from 0 to 1")
    return float(value)


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
