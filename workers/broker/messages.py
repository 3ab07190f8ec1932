"""What travels through the queue: batches on their way out, verdicts on their way back.

JSON of plain types, relative paths only. Whatever comes off the queue is checked for shape and
bounds before it is used: anyone who can write to the broker can write anything.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.paths import from_wire, to_wire
from storage.records import (
    BatchImage,
    ErrorKind,
    Finding,
    ImageError,
    Outcome,
    Timings,
    Verdict,
)
from storage.text import clean, clean_json
from workers.broker import wire
from workers.broker.parts import MAX_PART
from workers.broker.wire import MessageError
from workers.pipeline.plan import NewerRules, Plan, PlanError, plan_from

if TYPE_CHECKING:
    from collections.abc import Mapping

# Messages of another version are refused, not guessed at.
VERSION = 2
# More images than any producer puts into one batch.
MAX_IMAGES = 100_000
# What their columns in the store hold (`storage.database.schema`).
MAX_ATTEMPT = 2**15 - 1
MAX_MICROSECONDS = 2**31 - 1


class NewerMessage(Exception):
    """It is for a later version of scanner, which other machines may have."""


@dataclass(frozen=True, slots=True)
class BatchMessage:
    """A batch and the images of it that are asked for, with all that a worker needs to know.

    `part` tells what was split off a batch from the batch (`workers.broker.parts`): 0 is the batch.
    A plan with a strong detector asks for a second opinion; the first look's message has none
    in it.
    """

    scan_id: int
    batch_id: int
    attempt: int
    collection: str
    plan: Plan
    images: tuple[BatchImage, ...]
    part: int = 0

    @property
    def is_second_look(self) -> bool:
        """Whether a strong detector is asked."""
        return self.plan.strong is not None


def encode(message: BatchMessage) -> dict[str, Any]:
    """As JSON-able types."""
    return {
        "v": VERSION,
        "scan": message.scan_id,
        "batch": message.batch_id,
        "part": message.part,
        "attempt": message.attempt,
        "collection": message.collection,
        "plan": message.plan.body(),
        "images": [
            [image.image_id, to_wire(image.path), image.size_bytes] for image in message.images
        ],
    }


def decode(raw: object) -> BatchMessage:
    """A batch message from what came off the queue; MessageError says what is wrong with it.

    NewerMessage where nothing is wrong with it but that this machine is too old for it.
    """
    try:
        if not isinstance(raw, dict) or (version := wire.number(raw["v"])) < VERSION:
            raise MessageError(f"This is no batch message of version {VERSION}")
        if version > VERSION:
            raise NewerMessage(f"It is a message of version {version}, here they are of {VERSION}")
        images = raw["images"]
        if not isinstance(images, list) or len(images) > MAX_IMAGES:
            raise MessageError(f"A batch is a list of at most {MAX_IMAGES} images")
        return BatchMessage(
            scan_id=wire.number(raw["scan"]),
            batch_id=wire.number(raw["batch"]),
            attempt=wire.number(raw["attempt"], MAX_ATTEMPT),
            part=wire.number(raw["part"], MAX_PART),
            collection=wire.text(raw["collection"]),
            plan=plan_from(raw["plan"]),
            images=tuple(
                BatchImage(wire.number(image_id), from_wire(path), wire.number(size))
                for image_id, path, size in images
            ),
        )
    except NewerRules as error:
        raise NewerMessage(str(error)[:200]) from error
    except (*wire.TROUBLE, PlanError) as error:
        raise wire.message_error("batch message", error) from error


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON-able types, its texts as every store takes them."""
    error, timings = verdict.error, verdict.timings
    return {
        "image": verdict.image_id,
        "outcome": verdict.outcome.value,
        "score": verdict.score,
        "detector": verdict.detector,
        "examined": verdict.examined,
        "findings": [
            [said.detector, said.kind, said.score, clean(said.text), clean_json(dict(said.detail))]
            for said in verdict.findings
        ],
        "error": None if error is None else [error.kind.value, clean(error.text)],
        "digest": None if verdict.digest is None else base64.b64encode(verdict.digest).decode(),
        "us": [timings.fetch_us, timings.decode_us, timings.infer_us],
    }


def verdict_from_json(raw: Mapping[str, Any]) -> Verdict:
    """A verdict from its JSON; MessageError where that is none."""
    try:
        error, outcome = raw["error"], Outcome(raw["outcome"])
        if (error is None) is (outcome is Outcome.ERROR):
            raise MessageError("an error says why, and nothing else does")
        return Verdict(
            image_id=wire.number(raw["image"]),
            outcome=outcome,
            score=wire.score(raw["score"]),
            detector=None if raw["detector"] is None else wire.text(raw["detector"]),
            examined=wire.flag(raw["examined"]),
            findings=tuple(
                Finding(
                    wire.text(detector),
                    wire.text(kind),
                    wire.score(score),
                    wire.text(text),
                    wire.detail(detail),
                )
                for detector, kind, score, text, detail in raw["findings"]
            ),
            error=None if error is None else ImageError(ErrorKind(error[0]), wire.text(error[1])),
            digest=None if raw["digest"] is None else wire.digest(raw["digest"]),
            timings=Timings(*(wire.number(us, MAX_MICROSECONDS) for us in raw["us"])),
        )
    except wire.TROUBLE as error:
        raise wire.message_error("verdict", error) from error
