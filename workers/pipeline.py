"""A chunk of images through the stages: fetch, provenance, decode, route, detectors, decide.

What may be wrong with an image is caught around that image and becomes its verdict; what is wrong
with the world (a collection's root that is gone) raises through.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from storage.records import ErrorKind, Finding, ImageError, Outcome, Timings, Verdict
from workers import provenance
from workers.decide import PROVENANCE, RESIZED_FROM, Judge
from workers.decode import decode
from workers.detectors import catalogue
from workers.detectors.card import CardError
from workers.detectors.detector import load
from workers.errors import ImageTrouble
from workers.fetch import RootGone
from workers.plan import PlanError, require_same
from workers.route import Router

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from storage.records import BatchImage
    from workers.decode import Decoded
    from workers.detectors.card import Card, Input
    from workers.detectors.detector import Detector
    from workers.fetch import Fetched
    from workers.plan import Plan

log = logging.getLogger(__name__)

# A chunk is one transaction: so many images,
CHUNK_IMAGES = 64
# or as many as two seconds are enough for; a crash repeats no more than that.
CHUNK_SECONDS = 2.0


class Source(Protocol):
    """Where the bytes of a collection's images come from."""

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """The bytes of one image; FetchError is about it, RootGone about the world."""


@dataclass(slots=True)
class _Look:
    """One image on its way through the stages."""

    image: BatchImage
    findings: list[Finding] = field(default_factory=list)
    digest: bytes | None = None
    pixels: NDArray[np.uint8] | None = None
    detector: str | None = None
    # The picture's own size, where it had to be resized for its detector.
    resized_from: tuple[int, int] | None = None
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
    ) -> None:
        """`shipped` are the cards of all detectors that are here, in the plan or not."""
        self._judge = Judge(plan)
        self._detectors = detectors
        self._inputs = _inputs({name: detector.card for name, detector in detectors.items()})
        self._router = Router(self._inputs, _inputs(shipped or {}))
        self._max_pixels = max_pixels
        self._reads_provenance = PROVENANCE in plan.names()

    def chunk(
        self,
        root: Source,
        images: Sequence[BatchImage],
        begin: Callable[[BatchImage], object] = id,
    ) -> list[Verdict]:
        """Verdicts on the first of the images, as many as make one transaction.

        `begin` is called with each image before it is looked at. RootGone comes through: nothing
        is said then of any image of the chunk.
        """
        looks: list[_Look] = []
        until = monotonic() + CHUNK_SECONDS
        for image in images[:CHUNK_IMAGES]:
            begin(image)
            looks.append(self._look(root, image))
            if monotonic() >= until:
                break
        return self._judged(looks)

    def _look(self, source: Source, image: BatchImage) -> _Look:
        """Fetch, read and decode one image, and choose its detector."""
        look = _Look(image)
        started = fetched_at = perf_counter_ns()
        try:
            fetched = source.fetch(image.path, image.size_bytes)
            look.digest = fetched.digest
            fetched_at = perf_counter_ns()
            if self._reads_provenance and provenance.may_speak(fetched.data):
                look.findings.extend(provenance.read(fetched.data))
            read_at = perf_counter_ns()
            look.infer_us = (read_at - fetched_at) // 1000
            decoded = decode(fetched.data, max_pixels=self._max_pixels)
            look.decode_us = (perf_counter_ns() - read_at) // 1000
            self._choose(look, decoded)
        except RootGone:
            raise
        except ImageTrouble as trouble:
            look.error = ImageError(trouble.kind, trouble.text)
        except Exception as error:
            # The one place that catches everything: no image may stop the others of its batch.
            log.exception("image %d of the store", image.image_id)
            look.error = ImageError(ErrorKind.DAMAGED, f"cannot be read ({type(error).__name__})")
        look.fetch_us = (fetched_at - started) // 1000
        return look

    def _choose(self, look: _Look, decoded: Decoded) -> None:
        chosen = self._router.route(decoded.header)
        if isinstance(chosen, str):
            look.detector = chosen
            look.pixels = fit(decoded.pixels, self._inputs[chosen])
            if look.pixels is not decoded.pixels:
                look.resized_from = decoded.header.width, decoded.header.height
        else:
            look.findings.append(chosen)

    def _judged(self, looks: Sequence[_Look]) -> list[Verdict]:
        """Score what is to be scored, one detector after the other, and decide on each image."""
        for name in {look.detector for look in looks if look.detector is not None}:
            self._score(name, [look for look in looks if look.detector == name])
        return [self._verdict(look) for look in looks]

    def _score(self, name: str, looks: Sequence[_Look]) -> None:
        started = perf_counter_ns()
        scores = self._detectors[name].score(
            [look.pixels for look in looks if look.pixels is not None]
        )
        each_us = (perf_counter_ns() - started) // 1000 // len(looks)
        for look, score in zip(looks, scores.tolist(), strict=True):
            look.findings.append(_scored(name, score, look.resized_from))
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


def _inputs(cards: Mapping[str, Card]) -> dict[str, Input]:
    """What those of the detectors that look at pixels are made for."""
    return {name: card.input for name, card in cards.items() if card.input is not None}


def _scored(detector: str, score: float, resized_from: tuple[int, int] | None) -> Finding:
    if resized_from is None:
        return Finding(detector, "score", score)
    width, height = resized_from
    text = f"resized from {width}x{height}, so it is doubtful at most"
    return Finding(detector, "score", score, text, {RESIZED_FROM: [width, height]})


def make_pipeline(plan: Plan, max_pixels: int) -> Pipeline:
    """The stages for a plan, the shipped detectors loaded; PlanError where they are not here."""
    try:
        cards = catalogue.shipped()
        require_same(plan, cards)
        detectors = {name: load(cards[name]) for name in sorted(plan.names() - {PROVENANCE})}
    except CardError as error:
        raise PlanError(f"{error}: install scanner again") from error
    return Pipeline(plan, detectors, max_pixels, cards)


def fit(pixels: NDArray[np.uint8], wanted: Input) -> NDArray[np.uint8]:
    """The pixels at a detector's input size; as they are where they have it already."""
    if pixels.shape[:2] == (wanted.height, wanted.width):
        return pixels
    resized = Image.fromarray(pixels).resize((wanted.width, wanted.height), Image.Resampling.BOX)
    return np.asarray(resized)
