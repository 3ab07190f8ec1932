"""One image as one row: what `scanner verdicts` and `scanner check` print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.report.formats.json import milliseconds
from scanner.report.formats.json_parts import share
from storage.paths import fields

if TYPE_CHECKING:
    from storage.reads.queries import VerdictRow
    from storage.records import Finding, Verdict

_TRUTHS = {True: "ai", False: "real", None: None}

# What every row has, in the order of CSV's columns; `path_b64` beside it where `path` is not
# UTF-8.
COLUMNS = (
    "path",
    "verdict",
    "score",
    "detector",
    "findings",
    "error",
    "error_text",
    "truth",
    "host",
    "examined",
    "digest",
    "fetch_ms",
    "decode_ms",
    "infer_ms",
)


def row_json(row: VerdictRow) -> dict[str, Any]:
    """The row of one image of a scan; of a pending one little but its path is known."""
    named = {**fields(row.path)}
    told = {"truth": _TRUTHS[row.truth], "host": row.host}
    if row.verdict is None:
        return named | dict.fromkeys(COLUMNS[1:]) | {"verdict": "pending", "findings": []} | told
    return named | _judged(row.verdict) | told


def check_row(path: bytes, verdict: Verdict) -> dict[str, Any]:
    """The row of a single file that belongs to no scan."""
    return {**fields(path), **_judged(verdict)}


def _judged(verdict: Verdict) -> dict[str, Any]:
    error = verdict.error
    return {
        "verdict": verdict.outcome.value,
        "score": share(verdict.score),
        "detector": verdict.detector,
        "findings": [_finding(said) for said in verdict.findings],
        "error": None if error is None else error.kind.value,
        "error_text": None if error is None else error.text,
        "truth": None,
        "host": None,
        "examined": verdict.examined,
        "digest": None if verdict.digest is None else verdict.digest.hex(),
        "fetch_ms": milliseconds(verdict.timings.fetch_us),
        "decode_ms": milliseconds(verdict.timings.decode_us),
        "infer_ms": milliseconds(verdict.timings.infer_us),
    }


def _finding(said: Finding) -> dict[str, Any]:
    return {
        "detector": said.detector,
        "kind": said.kind,
        "score": share(said.score),
        "text": said.text,
        "detail": dict(said.detail),
    }
