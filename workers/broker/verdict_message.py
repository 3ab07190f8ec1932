"""Verdicts as JSON: within results on the queue, and between a worker and its sandbox."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from storage.paths import shown
from storage.records import ErrorKind, Finding, ImageError, Outcome, Photograph, Timings, Verdict
from storage.text import clean, clean_json
from workers.broker.field_types import (
    Digest,
    Id,
    Microseconds,
    Name,
    Probability,
    Text,
    require_printable,
)

# The numbers of an image's findings have to fit their column (`storage.database.schema`).
MAX_FINDINGS = 1000
# The outcomes of images whose pixels were decoded.
_WITHOUT_ERROR = (Outcome.AI, Outcome.UNSURE, Outcome.NO_EVIDENCE)


# More of an error's text is not kept; those of scanner's own are a sentence.
MAX_ERROR_CHARACTERS = 2000
# Seconds since the epoch, either way: a scanned film may be older.
_Clock = Annotated[float, Meta(ge=-(2**40), le=2**40)]
_Hash = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# In the order of the fields of Finding; its detector and kind are also passed to require_printable.
_FindingBody = tuple[Name, Name, Probability | None, Text, dict[str, Any]]


class VerdictBody(Struct, omit_defaults=True):
    """A verdict as it is sent; `us` has the microseconds to fetch, decode and infer."""

    image: Id
    outcome: Outcome
    score: Probability | None
    detector: Name | None
    examined: bool
    findings: Annotated[list[_FindingBody], Meta(max_length=MAX_FINDINGS)]
    error: tuple[ErrorKind, Text] | None
    digest: Digest | None
    us: tuple[Microseconds, Microseconds, Microseconds]
    # The fields of Photograph, which workers of earlier versions do not send.
    photograph: tuple[_Clock | None, Name | None, _Hash | None] | None = None


def verdict_to_body(verdict: Verdict) -> VerdictBody:
    """Return a verdict as it is sent, its texts cleaned of what stores do not accept."""
    error, timings, known = verdict.error, verdict.timings, verdict.photograph
    return VerdictBody(
        image=verdict.image_id,
        outcome=verdict.outcome,
        score=verdict.score,
        detector=verdict.detector,
        examined=verdict.examined,
        findings=[
            (
                finding.detector,
                finding.kind,
                finding.score,
                clean(finding.text),
                clean_json(dict(finding.detail)),
            )
            for finding in verdict.findings
        ],
        error=None if error is None else (error.kind, clean(error.text)),
        digest=verdict.digest,
        us=(timings.fetch_us, timings.decode_us, timings.infer_us),
        photograph=None if known == Photograph() else (known.taken_at, known.camera, known.look),
    )


def _one_line(text: str) -> str:
    return shown(text.encode(errors="replace"))[:MAX_ERROR_CHARACTERS]


def body_to_verdict(body: VerdictBody) -> Verdict:
    """Return the verdict that was sent. Raises ValueError if its fields contradict each other."""
    if body.outcome not in ((Outcome.ERROR, Outcome.AI) if body.error else _WITHOUT_ERROR):
        raise ValueError("expected `error` if the outcome is an error, and else beside `ai` only")
    findings = tuple(Finding(*finding) for finding in body.findings)
    # They are printed as they are; texts of findings are escaped where they are printed.
    photograph = Photograph(*(body.photograph or ()))
    require_printable(body.detector, photograph.camera)
    require_printable(*(name for finding in findings for name in (finding.detector, finding.kind)))
    if any(clean_json(finding.detail) != finding.detail for finding in findings):
        # NaN, for one, is not valid JSON in Postgres.
        raise ValueError("a detail has a text or a number that stores do not accept")
    return Verdict(
        image_id=body.image,
        outcome=body.outcome,
        score=body.score,
        detector=body.detector,
        examined=body.examined,
        findings=findings,
        error=None if body.error is None else ImageError(body.error[0], _one_line(body.error[1])),
        digest=body.digest,
        timings=Timings(*body.us),
        photograph=photograph,
    )
