"""What travels through the queue: batches on their way out, verdicts on their way back.

JSON of plain types, relative paths only. Whatever comes off the queue is checked for shape and
bounds before it is used: anyone who can write to the broker can write anything.
"""

from __future__ import annotations

import base64
import json
import math
import reprlib
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
from workers.plan import Plan, PlanError, plan_from

if TYPE_CHECKING:
    from collections.abc import Mapping

# Messages of another version are refused, not guessed at.
VERSION = 1
# More images than any producer puts into one batch.
MAX_IMAGES = 100_000
# Larger than any id that a store gives out.
MAX_ID = 2**63 - 1
# What their columns in the store hold (`storage.schema`).
MAX_ATTEMPT = 2**15 - 1
MAX_MICROSECONDS = 2**31 - 1
# Of a SHA-256.
DIGEST_BYTES = 32

# What a message of another shape makes Python raise.
_TROUBLE = (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError)


class MessageError(ValueError):
    """This is not a message of ours; nothing of it is used."""


@dataclass(frozen=True, slots=True)
class BatchMessage:
    """A batch and the images of it that are asked for, with all that a worker needs to know."""

    scan_id: int
    batch_id: int
    attempt: int
    collection: str
    plan: Plan
    images: tuple[BatchImage, ...]


def encode(message: BatchMessage) -> dict[str, Any]:
    """As JSON-able types."""
    return {
        "v": VERSION,
        "scan": message.scan_id,
        "batch": message.batch_id,
        "attempt": message.attempt,
        "collection": message.collection,
        "plan": message.plan.body(),
        "images": [
            [image.image_id, to_wire(image.path), image.size_bytes] for image in message.images
        ],
    }


def decode(raw: object) -> BatchMessage:
    """A batch message from what came off the queue; MessageError says what is wrong with it."""
    try:
        if not isinstance(raw, dict) or _number(raw["v"]) != VERSION:
            raise MessageError(f"This is no batch message of version {VERSION}")
        images = raw["images"]
        if not isinstance(images, list) or len(images) > MAX_IMAGES:
            raise MessageError(f"A batch is a list of at most {MAX_IMAGES} images")
        return BatchMessage(
            scan_id=_number(raw["scan"]),
            batch_id=_number(raw["batch"]),
            attempt=_number(raw["attempt"], MAX_ATTEMPT),
            collection=_text(raw["collection"]),
            plan=plan_from(raw["plan"]),
            images=tuple(
                BatchImage(_number(image_id), from_wire(path), _number(size))
                for image_id, path, size in images
            ),
        )
    except (*_TROUBLE, PlanError) as error:
        raise _message_error("batch message", error) from error


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON-able types."""
    error, timings = verdict.error, verdict.timings
    return {
        "image": verdict.image_id,
        "outcome": verdict.outcome.value,
        "score": verdict.score,
        "detector": verdict.detector,
        "examined": verdict.examined,
        "findings": [
            [said.detector, said.kind, said.score, said.text, dict(said.detail)]
            for said in verdict.findings
        ],
        "error": None if error is None else [error.kind.value, error.text],
        "digest": None if verdict.digest is None else base64.b64encode(verdict.digest).decode(),
        "us": [timings.fetch_us, timings.decode_us, timings.infer_us],
    }


def verdict_from_json(raw: Mapping[str, Any]) -> Verdict:
    """A verdict from its JSON; MessageError where that is none."""
    try:
        error = raw["error"]
        return Verdict(
            image_id=_number(raw["image"]),
            outcome=Outcome(raw["outcome"]),
            score=_score(raw["score"]),
            detector=None if raw["detector"] is None else _text(raw["detector"]),
            examined=_flag(raw["examined"]),
            findings=tuple(
                Finding(_text(detector), _text(kind), _score(score), _text(text), _detail(detail))
                for detector, kind, score, text, detail in raw["findings"]
            ),
            error=None if error is None else ImageError(ErrorKind(error[0]), _text(error[1])),
            digest=None if raw["digest"] is None else _digest(raw["digest"]),
            timings=Timings(*(_number(us, MAX_MICROSECONDS) for us in raw["us"])),
        )
    except _TROUBLE as error:
        raise _message_error("verdict", error) from error


def _message_error(what: str, error: Exception) -> MessageError:
    """In few words, however much of the message is in the error's own."""
    if isinstance(error, MessageError):
        return error
    return MessageError(f"This is no {what}: {type(error).__name__}: {str(error)[:200]}")


def _number(raw: object, largest: int = MAX_ID) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= largest:
        raise MessageError(f"{reprlib.repr(raw)} is not a number of ours")
    return raw


def _flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise MessageError(f"{reprlib.repr(raw)} is neither true nor false")
    return raw


def _text(raw: object) -> str:
    """Text that every store takes: none takes half of a surrogate pair, Postgres no NUL."""
    if not isinstance(raw, str) or "\0" in raw:
        raise MessageError(f"{reprlib.repr(raw)} is not text")
    raw.encode()
    return raw


def _detail(raw: object) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise MessageError(f"{reprlib.repr(raw)} is no detail of a finding")
    # NaN is no JSON to Postgres.
    json.dumps(raw, allow_nan=False)
    return raw


def _digest(raw: object) -> bytes:
    digest = base64.b64decode(_text(raw), validate=True)
    if len(digest) != DIGEST_BYTES:
        raise MessageError(f"A digest has {DIGEST_BYTES} bytes, not {len(digest)}")
    return digest


def _score(raw: object) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise MessageError(f"{reprlib.repr(raw)} is not a score")
    if not math.isfinite(raw) or not 0 <= raw <= 1:
        raise MessageError(f"{reprlib.repr(raw)} is not a score")
    return float(raw)
