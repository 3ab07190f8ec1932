"""A chunk of images through the stages: fetch, provenance, decode, route, detectors, decide.

What may be wrong with an image is caught around that image and becomes its verdict; what is wrong
with the world (a collection's root that is gone) raises through.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol

from storage.records import (
    PROVENANCE,
    RESIZED_FROM,
    ErrorKind,
    Finding,
    ImageError,
    Outcome,
    PlanError,
    Timings,
    Verdict,
)
from workers import provenance
from workers.detectors import installed
from workers.detectors.card import CardError
from workers.detectors.loading import load
from workers.errors import ImageProblem
from workers.images.decode import decode
from workers.pipeline.decide import Judge
from workers.pipeline.inputs import ImageInputs, InputSelector, face_finder
from workers.pipeline.plan import require_same
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from storage.records import BatchImage, Plan
    from workers.detectors.card import Card
    from workers.detectors.detector import Detector
    from workers.pipeline.crops import Finder
    from workers.pipeline.inputs import DetectorInputs
    from workers.sources.source import Fetched

log = logging.getLogger(__name__)

# A chunk is one transaction: so many images,
CHUNK_IMAGES = 64
# or as many as two seconds are enough for; a crash repeats no more than that.
CHUNK_SECONDS = 2.0


class BytesSource(Protocol):
    """Where the bytes of a collection's images come from."""

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """The bytes of one image; FetchError is about it, SourceUnavailable about the world."""


@dataclass(slots=True)
class _Look:
    """One image on its way through the stages."""

    image: BatchImage
    findings: list[Finding] = field(default_factory=list)
    digest: bytes | None = None
    inputs: ImageInputs = field(default_factory=ImageInputs)
    error: ImageError | None = None
    fetch_us: int = 0
    decode_us: int = 0
    infer_us: int = 0


class Pipeline:
    """The stages for one plan; one per process, since detectors are not shared between forks."""

    def __init__(
        self,
        plan: Plan,
        detectors: Mapping[str, Detector],
        max_pixels: int,
        shipped: Mapping[str, Card] | None = None,
        finder: Finder | None = None,
    ) -> None:
        """`shipped` are the cards of all detectors that are here, in the plan or not."""
        self._judge = Judge(plan)
        self._detectors = detectors
        routed = plan.first_stage().names()
        cards = {name: one.card for name, one in detectors.items() if name in routed}
        self._selector = InputSelector(cards, shipped or {}, finder)
        # By itself: it is asked as well as the one that suits, never in its stead.
        strong = {name: one.card for name, one in detectors.items() if name not in routed}
        self._strong = InputSelector(strong, {}, finder) if strong else None
        self._native = self._selector.native or (self._strong is not None and self._strong.native)
        self._max_pixels = max_pixels
        self._reads_provenance = PROVENANCE in plan.names()

    def chunk(
        self,
        root: BytesSource,
        images: Sequence[BatchImage],
        begin: Callable[[BatchImage], object] | None = None,
    ) -> list[Verdict]:
        """Verdicts on the first of the images, as many as make one transaction.

        `begin`, if any, is called with each image before it is looked at. SourceUnavailable comes
        through: nothing is said then of any image of the chunk.
        """
        looks: list[_Look] = []
        until = monotonic() + CHUNK_SECONDS
        for image in images[:CHUNK_IMAGES]:
            if begin is not None:
                begin(image)
            looks.append(self._look(root, image))
            if monotonic() >= until:
                break
        return self._judged(looks)

    def _look(self, source: BytesSource, image: BatchImage) -> _Look:
        """Fetch, read and decode one image, and show it to the detectors that suit it."""
        look = _Look(image)
        started = fetched_at = perf_counter_ns()
        try:
            fetched = source.fetch(image.path, image.size_bytes)
            look.digest = fetched.digest
            fetched_at = perf_counter_ns()
            if self._reads_provenance and provenance.has_metadata(fetched.data):
                look.findings.extend(provenance.read(fetched.data))
            read_at = perf_counter_ns()
            look.infer_us = (read_at - fetched_at) // 1000
            decoded = decode(fetched.data, max_pixels=self._max_pixels, native=self._native)
            decoded_at = perf_counter_ns()
            look.decode_us = (decoded_at - read_at) // 1000
            look.inputs = self._selector.select(decoded)
            if self._strong is not None:
                look.inputs.add_inputs(self._strong.select(decoded))
            look.infer_us += (perf_counter_ns() - decoded_at) // 1000
        except SourceUnavailable:
            raise
        except ImageProblem as trouble:
            look.error = ImageError(trouble.kind, trouble.text)
        except MemoryError:
            look.error = ImageError(ErrorKind.TOO_LARGE, "takes more memory than there is")
        except Exception as error:
            # Whatever it is: no image may stop the others of its batch.
            log.exception("image %d of the store", image.image_id)
            text = f"could not be looked at: {type(error).__name__}, a mistake in scanner"
            look.error = ImageError(ErrorKind.INTERNAL, text)
        look.fetch_us = (fetched_at - started) // 1000
        # Not in there: a detector that fails is no trouble of the image's.
        self._ask_pieces(look)
        return look

    def _ask_pieces(self, look: _Look) -> None:
        """Ask at once what takes long, so that a chunk lasts about as long as it is to."""
        look.findings.extend(look.inputs.findings)
        if not look.inputs.full_size:
            return
        started = perf_counter_ns()
        for asked in look.inputs.full_size:
            score = asked.score(self._detectors[asked.detector])
            look.findings.append(Finding(asked.detector, "score", score, detail=asked.detail))
        look.infer_us += (perf_counter_ns() - started) // 1000

    def _judged(self, looks: Sequence[_Look]) -> list[Verdict]:
        """Score whole pictures, one detector after the other, and decide on each image."""
        waiting: dict[str, list[tuple[_Look, DetectorInputs]]] = defaultdict(list)
        for look in looks:
            for asked in look.inputs.whole:
                waiting[asked.detector].append((look, asked))
        for name, questions in waiting.items():
            self._ask_whole(name, questions)
        return [self._verdict(look) for look in looks]

    def _ask_whole(self, name: str, questions: Sequence[tuple[_Look, DetectorInputs]]) -> None:
        started = perf_counter_ns()
        scores = self._detectors[name].score([asked.arrays[0] for _, asked in questions])
        each_us = (perf_counter_ns() - started) // 1000 // len(questions)
        for (look, asked), score in zip(questions, scores.tolist(), strict=True):
            look.findings.append(_scored(name, score, asked.detail))
            look.infer_us += each_us

    def _verdict(self, look: _Look) -> Verdict:
        decision = self._judge.decide(look.findings)
        return Verdict(
            image_id=look.image.image_id,
            outcome=decision.outcome if look.error is None else Outcome.ERROR,
            score=decision.score,
            detector=decision.detector,
            examined=decision.examined,
            findings=tuple(look.findings),
            error=look.error,
            digest=look.digest,
            timings=Timings(look.fetch_us, look.decode_us, look.infer_us),
        )


def _scored(detector: str, score: float, detail: dict[str, Any]) -> Finding:
    if RESIZED_FROM not in detail:
        return Finding(detector, "score", score)
    width, height = detail[RESIZED_FROM]
    text = f"resized from {width}x{height}, so it is doubtful at most"
    return Finding(detector, "score", score, text, detail)


def make_pipeline(plan: Plan, max_pixels: int) -> Pipeline:
    """The stages for a plan, its detectors loaded; PlanError where they are not here."""
    try:
        cards = installed.installed()
        require_same(plan, cards)
        detectors = {name: load(cards[name]) for name in sorted(plan.names() - {PROVENANCE})}
    except CardError as error:
        raise PlanError(f"{error}: install scanner again") from error
    finder = face_finder(cards[name] for name in plan.names())
    return Pipeline(plan, detectors, max_pixels, cards, finder)
