"""The stages of a chunk of images: fetch, provenance, decode, select inputs, score, decide.

An error of one image is caught around it and becomes its verdict, unless what was read before
already settles the image: then the error is kept beside that. Errors of the environment, such as an
unavailable source, are raised.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol

from storage.records import (
    CONTEXT,
    FILE_NAMES,
    MARKS,
    PROVENANCE,
    RESIZED_FROM,
    STATED,
    ErrorKind,
    Finding,
    ImageError,
    Outcome,
    Photograph,
    PlanError,
    Timings,
    Verdict,
)
from workers import marks, provenance
from workers.detectors import installed
from workers.detectors.card import CardError
from workers.detectors.loading import load
from workers.errors import ImageProblem
from workers.images.decode import decode
from workers.images.photograph import read_photograph
from workers.images.raw_name import raw_name
from workers.pipeline.decide import DecisionRule
from workers.pipeline.inputs import ImageInputs, InputSelector, face_finder
from workers.pipeline.plan import require_same
from workers.pipeline.route import preview_finding
from workers.provenance import context, file_names, sidecars, trust_lists
from workers.provenance.trust_lists import NO_LISTS
from workers.sources.source import SourceUnavailable, require_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from storage.records import BatchImage, Plan, Sidecar
    from workers.detectors.card import Card
    from workers.detectors.detector import Detector
    from workers.images.decode import Decoded
    from workers.pipeline.crops import Finder
    from workers.pipeline.inputs import DetectorInputs
    from workers.sources.source import Fetched

log = logging.getLogger(__name__)

# A chunk is one transaction: it ends after this number of images,
CHUNK_IMAGES = 64
# or after this time in seconds; a crash repeats no more than that.
CHUNK_SECONDS = 2.0


class BytesSource(Protocol):
    """A source of images."""

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Return one image; FetchError for that image, SourceUnavailable for all of them."""

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:
        """Return a sidecar of an image; raise the same."""


@dataclass(slots=True)
class _ImageState:
    """Results of the stages for one image so far."""

    image: BatchImage
    findings: list[Finding] = field(default_factory=list)
    digest: bytes | None = None
    # The pixels of an image whose inputs are selected together with those of the others.
    decoded: Decoded | None = None
    inputs: ImageInputs = field(default_factory=ImageInputs)
    error: ImageError | None = None
    photograph: Photograph = field(default_factory=Photograph)
    fetch_us: int = 0
    decode_us: int = 0
    infer_us: int = 0


class Pipeline:
    """The stages for one plan; one per process, since detectors cannot be shared across forks."""

    def __init__(
        self,
        plan: Plan,
        detectors: Mapping[str, Detector],
        max_pixels: int,
        present: Mapping[str, Card] | None = None,
        finder: Finder | None = None,
    ) -> None:
        """Take the loaded detectors of a plan, and the cards of all that are `present`."""
        self._rule = DecisionRule(plan)
        self._detectors = detectors
        cards = {name: loaded.card for name, loaded in detectors.items()}
        self._selector = InputSelector(cards, present or {}, finder)
        self._max_pixels = max_pixels
        # Marks are read at full resolution, as most models need it.
        self._native = self._selector.native or MARKS in plan.names()
        self._reads_provenance = PROVENANCE in plan.names()
        self._reads_names = FILE_NAMES in plan.names()
        # Kept, so that a list that is taken over meanwhile counts for plans made with it.
        self._trust = trust_lists.load() if self._reads_provenance else NO_LISTS
        self._reads_marks = MARKS in plan.names()
        card = (present or {}).get(CONTEXT) if CONTEXT in plan.names() else None
        self._likelihood_ratios = (
            {ratio.kind: ratio.likelihood_ratio for ratio in card.ratios} if card else {}
        )

    def chunk(
        self,
        root: BytesSource,
        images: Sequence[BatchImage],
        begin: Callable[[BatchImage], object] | None = None,
    ) -> list[Verdict]:
        """Judge the first of the images, as many as one transaction has.

        `begin` is called with each image before it is fetched. Raises SourceUnavailable, and then
        returns no verdict at all.
        """
        states: list[_ImageState] = []
        until = monotonic() + CHUNK_SECONDS
        for image in images[:CHUNK_IMAGES]:
            if begin is not None:
                begin(image)
            states.append(self._examine(root, image))
            if monotonic() >= until:
                break
        self._select_together(states)
        self._score_whole(states)
        return [self._verdict(state) for state in states]

    def by_metadata(self, source: BytesSource, image: BatchImage, error: ImageError) -> Verdict:
        """Judge an image by its metadata alone, as its pixels cannot be decoded for this `error`.

        Raises SourceUnavailable.
        """
        state = self._examine(source, image, error)
        state.error = error
        return self._verdict(state)

    def _examine(
        self, source: BytesSource, image: BatchImage, error: ImageError | None = None
    ) -> _ImageState:
        """Run the stages of one image, up to the scores of its faces and crops.

        With an `error` that is known, its pixels are not decoded.
        """
        state = _ImageState(image)
        with _image_errors([state]):
            data = self._read(state, source)
            if error is None:
                self._look(state, data)
        # Outside of it: an error of a detector is not an error of the image.
        self._score_full_size(state)
        return state

    def _read(self, state: _ImageState, source: BytesSource) -> bytes:
        """Fetch an image and read its metadata; return its bytes."""
        started = perf_counter_ns()
        fetched = source.fetch(state.image.path, state.image.size_bytes)
        require_time(fetched.mtime_s, state.image.mtime_s)
        state.fetch_us = _microseconds_since(started)
        state.digest = fetched.digest
        started = perf_counter_ns()
        if self._reads_names and (named := file_names.finding(state.image.path)) is not None:
            state.findings.append(named)
        if self._reads_provenance:
            state.findings.extend(provenance.read(fetched.data, self._trust))
            state.findings.extend(_sidecar_findings(source, state.image))
        state.infer_us = _microseconds_since(started)
        return fetched.data

    def _look(self, state: _ImageState, data: bytes) -> None:
        """Decode an image, read its marks, and select the inputs of detectors."""
        started = perf_counter_ns()
        decoded = decode(data, max_pixels=self._max_pixels, native=self._native)
        state.decode_us = _microseconds_since(started)
        started = perf_counter_ns()
        state.photograph = read_photograph(data, decoded.pixels)
        if decoded.is_preview:
            state.findings.append(preview_finding(decoded.header, raw_name(data)))
        elif self._reads_marks:
            state.findings.extend(marks.read(decoded))
        if self._selector.is_scored_whole(decoded.header):
            state.decoded = decoded
        else:
            state.inputs = self._selector.select(decoded)
        if self._likelihood_ratios and state.inputs.full_size and not decoded.is_preview:
            surroundings = context.finding(data, decoded, self._likelihood_ratios)
            if surroundings is not None:
                state.findings.append(surroundings)
        state.infer_us += _microseconds_since(started)

    def _score_full_size(self, state: _ImageState) -> None:
        """Score faces and crops at once: they take long, and a chunk has a time limit."""
        state.findings.extend(state.inputs.findings)
        if not state.inputs.full_size:
            return
        started = perf_counter_ns()
        for inputs in state.inputs.full_size:
            score = inputs.score(self._detectors[inputs.detector])
            state.findings.append(Finding(inputs.detector, "score", score, detail=inputs.detail))
        state.infer_us += _microseconds_since(started)

    def _select_together(self, states: Sequence[_ImageState]) -> None:
        """Select the inputs of tiny images together: one by one takes as long as all the rest."""
        waiting = [state for state in states if state.decoded is not None]
        if not waiting:
            return
        started = perf_counter_ns()
        with _image_errors(waiting):
            images = [state.decoded for state in waiting if state.decoded is not None]
            for state, inputs in zip(waiting, self._selector.select_each(images), strict=True):
                state.inputs, state.decoded = inputs, None
                state.findings.extend(inputs.findings)
        each_us = _microseconds_since(started) // len(waiting)
        for state in waiting:
            state.infer_us += each_us

    def _score_whole(self, states: Sequence[_ImageState]) -> None:
        """Score whole images, all images of a chunk by one detector after the other."""
        waiting: dict[str, list[tuple[_ImageState, DetectorInputs]]] = defaultdict(list)
        for state in states:
            for inputs in state.inputs.whole:
                waiting[inputs.detector].append((state, inputs))
        for name, pairs in waiting.items():
            started = perf_counter_ns()
            scores = self._detectors[name].score([inputs.views[0][0] for _, inputs in pairs])
            each_us = _microseconds_since(started) // len(pairs)
            for (state, inputs), score in zip(pairs, scores.tolist(), strict=True):
                state.findings.append(_score_finding(name, score, inputs.detail))
                state.infer_us += each_us

    def _verdict(self, state: _ImageState) -> Verdict:
        decision = self._rule.decide(state.findings)
        # What the file says of itself settles it, whether or not its pixels can be decoded.
        is_settled = state.error is None or decision.outcome is Outcome.AI
        return Verdict(
            image_id=state.image.image_id,
            outcome=decision.outcome if is_settled else Outcome.ERROR,
            score=decision.score,
            detector=decision.detector,
            examined=decision.examined,
            findings=tuple(state.findings),
            error=state.error,
            digest=state.digest,
            timings=Timings(state.fetch_us, state.decode_us, state.infer_us),
            photograph=state.photograph,
        )


@contextmanager
def _image_errors(states: Sequence[_ImageState]) -> Iterator[None]:
    """Keep an error as that of the images; let pass that the source is unavailable."""
    try:
        yield
    except SourceUnavailable:
        raise
    except ImageProblem as problem:
        error = ImageError(problem.kind, problem.text)
    except MemoryError:
        error = ImageError(ErrorKind.TOO_LARGE, "not enough memory")
    except Exception as bug:
        # No image may stop the others of its batch.
        log.exception("image %d of the store", states[0].image.image_id)
        error = ImageError(
            ErrorKind.INTERNAL, f"internal error ({type(bug).__name__}); please report it"
        )
    else:
        return
    for state in states:
        state.error = error


def _sidecar_findings(source: BytesSource, image: BatchImage) -> Iterator[Finding]:
    """Yield what the sidecars of an image declare, and which of them cannot be read."""
    for sidecar in image.sidecars:
        try:
            data = source.fetch_sidecar(image.path, sidecar)
        except ImageProblem as error:
            yield sidecars.unreadable(sidecar.name, error.text)
        else:
            yield from sidecars.read(data, sidecar.name, image.path)


def _microseconds_since(started: int) -> int:
    return (perf_counter_ns() - started) // 1000


def _score_finding(detector: str, score: float, detail: dict[str, Any]) -> Finding:
    if RESIZED_FROM not in detail:
        return Finding(detector, "score", score)
    width, height = detail[RESIZED_FROM]
    text = f"resized from {width}x{height}: at most unsure"
    return Finding(detector, "score", score, text, detail)


def make_pipeline(plan: Plan, max_pixels: int) -> Pipeline:
    """Load the detectors of a plan; PlanError where they are not installed."""
    try:
        cards = installed.installed()
        require_same(plan, cards)
        detectors = {name: load(cards[name]) for name in sorted(plan.names() - {CONTEXT} - STATED)}
    except CardError as error:
        raise PlanError(f"{error}: install scanner again") from error
    finder = face_finder(cards[name] for name in plan.names())
    return Pipeline(plan, detectors, max_pixels, cards, finder)
