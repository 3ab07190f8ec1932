"""Records that the packages exchange: plans, images, batches, findings and verdicts.

Frozen dataclasses without any knowledge of SQL, Celery or pixels.
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


# The authors of findings other than the models.
PROVENANCE = "provenance"
MARKS = "marks"
CONTEXT = "context"
FILE_NAMES = "file_names"
ROUTER = "router"
# The detectors whose findings can settle an image, whatever a model says.
SETTLING = (PROVENANCE, MARKS)
# Those without a model, whose scores are stated: no context moves their thresholds, and no degraded
# or resized pixels limit what they say.
STATED = frozenset({*SETTLING, FILE_NAMES})
# The kind of a finding on pixels too degraded to show whether the image is generated.
DEGRADED = "degraded"
# The key in the detail of a finding of CONTEXT for its likelihood ratio.
LIKELIHOOD_RATIO = "likelihood_ratio"
# The kind of a finding on a camera's RAW file, of which only the preview was examined.
PREVIEW = "preview"
# The kind of a finding on an image that is no photograph: detectors do not get its pixels.
OUT_OF_DOMAIN = "out_of_domain"
# The key in a finding's detail for the original size of an image that was resized.
RESIZED_FROM = "resized_from"

# The rules by which findings become verdicts (`workers.pipeline.decide` and `route`). Raised when
# they change: a scan with a new plan does not keep the verdicts of older rules.
RULES_VERSION = 5
# As a threshold for `ai`: the detector never returns `ai`.
NEVER = 1.0

# Sidecars of one image that are read, and bytes of each.
MAX_SIDECARS = 8
MAX_SIDECAR_BYTES = 2**20

# Names of folders and classes, in any case, that give the ground truth of their images.
AI_NAMES = ("fake", "ai", "generated")
REAL_NAMES = ("real", "photo")

# Where scores are compared with labels, a score of at least this counts as AI.
SCORE_THRESHOLD = 0.5


class Outcome(StrEnum):
    """The verdict on one image; an image without one is pending."""

    AI = "ai"
    UNSURE = "unsure"
    NO_EVIDENCE = "no_evidence"
    ERROR = "error"


class ErrorKind(StrEnum):
    """Why an image could not be judged."""

    UNREADABLE = "unreadable"  # the file system returned an error
    EMPTY = "empty"  # the file has no bytes
    NOT_AN_IMAGE = "not_an_image"  # the content has no known image format
    UNSUPPORTED = "unsupported"  # an image format, or a variant of one, without a decoder here
    TRUNCATED = "truncated"  # the file ends before the image does
    DAMAGED = "damaged"  # the content contradicts its own format
    INTERNAL = "internal"  # a bug in scanner
    TOO_LARGE = "too_large"  # over the limit of pixels or bytes
    CHANGED = "changed"  # it differs from the listed file, or changed while it was read
    OUTSIDE = "outside"  # its path leaves the root folder of the collection
    MOVED = "moved"  # its collection's folder had other files for too long
    CRASHED = "crashed"  # it killed the process that decoded it, twice
    TIMEOUT = "timeout"  # it exceeded its time limit, twice


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

    def moved(self, likelihood_ratio: float) -> Thresholds:
        """Return the thresholds by which prior odds times `likelihood_ratio` have the same meaning.

        Bayes' rule: the odds of a threshold are divided by the ratio. NEVER stays.
        """
        return Thresholds(_moved(self.unsure, likelihood_ratio), _moved(self.ai, likelihood_ratio))


def _moved(threshold: float, likelihood_ratio: float) -> float:
    return threshold / (threshold + (1 - threshold) * likelihood_ratio)


@dataclass(frozen=True, slots=True)
class PlannedDetector:
    """A detector of a plan; `sha256` is the checksum of its model, empty where it has none."""

    name: str
    version: str
    sha256: str
    thresholds: Thresholds

    def to_json(self) -> dict[str, Any]:
        """Return the detector as JSON-able types."""
        return {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "thresholds": {"unsure": self.thresholds.unsure, "ai": self.thresholds.ai},
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> PlannedDetector:
        """Read a detector; KeyError, TypeError or ValueError where it is malformed."""
        # Of earlier versions. As any other detector it would give other verdicts.
        if "strong" in body:
            raise ValueError("a second stage, which scanner no longer has: start a new scan")
        thresholds = body["thresholds"]
        return cls(
            _text(body["name"]),
            _text(body["version"]),
            _text(body["sha256"]),
            Thresholds(_probability(thresholds["unsure"]), _probability(thresholds["ai"])),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The detectors of a scan; two plans of the same digest give the same verdicts."""

    detectors: tuple[PlannedDetector, ...]
    rules: int = RULES_VERSION

    def names(self) -> frozenset[str]:
        """Return the names of the detectors."""
        return frozenset(detector.name for detector in self.detectors)

    def thresholds(self) -> dict[str, Thresholds]:
        """Return the thresholds of the detectors by name."""
        return {detector.name: detector.thresholds for detector in self.detectors}

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
            return cls(detectors, _version(body["rules"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanError(f"invalid plan: {str(error)[:200]}") from error

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
    """The result of one detector for one image, or for one region of it.

    `score` is the probability in [0, 1] that the image is AI-generated; None for a finding that is
    no evidence (of kind "no_detector", say). `kind` is a short stable word to group by, `text` a
    sentence for people (empty where the score is enough), `detail` JSON for programs.
    """

    detector: str
    kind: str
    score: float | None = None
    text: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageError:
    """Why an image could not be judged: a kind to group by and a sentence for people."""

    kind: ErrorKind
    text: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Microseconds that one image took in each stage."""

    fetch_us: int = 0
    decode_us: int = 0
    infer_us: int = 0


@dataclass(frozen=True, slots=True)
class Photograph:
    """By what an image is found among others; None for what is not known.

    `taken_at` is the camera's clock, as seconds since the epoch as if it were UTC; `camera` its
    make and model; `look` a signed hash of 64 bits, of which similar images share most.
    """

    taken_at: float | None = None
    camera: str | None = None
    look: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for one image after its detectors have run.

    `score` and `detector` are those of the finding that decided; `examined` is true where a
    detector with a model examined the pixels; `digest` is the SHA-256 of the file.
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
    photograph: Photograph = Photograph()

    @classmethod
    def of_error(cls, image_id: int, error: ImageError) -> Verdict:
        """Return the verdict on an image of which nothing was read but why."""
        return cls(
            image_id=image_id,
            outcome=Outcome.ERROR,
            score=None,
            detector=None,
            examined=False,
            findings=(),
            error=error,
            digest=None,
            timings=Timings(),
        )


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A file with metadata about an image, by its name in the image's own folder."""

    name: bytes
    size_bytes: int
    mtime_ns: int

    def path(self, image: bytes) -> bytes:
        """Return the sidecar's path next to the path of its image."""
        return beside(image, self.name)


def beside(path: bytes, name: bytes) -> bytes:
    """Return the path of a name in the folder of another path."""
    folder, slash, _ = path.rpartition(b"/")
    return folder + slash + name


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image as the walk found it; `label` is its ground truth (True: AI-generated).

    `digest` is the SHA-256 of the file, empty if it cannot be read, None if it was not asked for.
    `edited` is true of the edited version of another image.
    """

    path: bytes
    size_bytes: int
    mtime_ns: int
    label: bool | None = None
    sidecars: tuple[Sidecar, ...] = ()
    digest: bytes | None = None
    edited: bool = False


@dataclass(frozen=True, slots=True)
class BatchImage:
    """One image of a batch.

    `mtime_s` is when its file was written, in whole seconds, as it was listed; None where that is
    not to be compared.
    """

    image_id: int
    path: bytes
    size_bytes: int
    sidecars: tuple[Sidecar, ...] = ()
    mtime_s: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of one scan that are judged together; `attempt` counts from 1."""

    batch_id: int
    attempt: int
    images: tuple[BatchImage, ...]
