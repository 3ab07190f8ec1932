"""One image as one row, as `scanner verdicts` and `scanner check` print it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.report.formats.json_parts import share
from storage.paths import fields

if TYPE_CHECKING:
    from storage.reads.verdicts import VerdictRow
    from storage.records import Finding, Verdict

_LABELS = {True: "ai", False: "real", None: None}

# Keys of every row, in the order of CSV's columns; `path_b64` comes after `path` where that is not
# UTF-8. `label` was called `truth`: both are there.
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
    "label",
    "edited",
)


def row_json(row: VerdictRow) -> dict[str, Any]:
    """Return the row of one image of a scan; a pending one has little but its path."""
    path = {**fields(row.path)}
    label = _LABELS[row.label]
    known = {"truth": label, "host": row.host, "label": label, "edited": row.edited}
    if row.verdict is None:
        return path | dict.fromkeys(COLUMNS[1:]) | {"verdict": "pending", "findings": []} | known
    return path | _judged(row.verdict) | known


def check_row(path: bytes, verdict: Verdict) -> dict[str, Any]:
    """Return the row of a single file that belongs to no scan."""
    return {**fields(path), **_judged(verdict)}


def _judged(verdict: Verdict) -> dict[str, Any]:
    error = verdict.error
    return {
        "verdict": verdict.outcome.value,
        "score": share(verdict.score),
        "detector": verdict.detector,
        "findings": [_finding(finding) for finding in verdict.findings],
        "error": None if error is None else error.kind.value,
        "error_text": None if error is None else error.text,
        "truth": None,
        "host": None,
        "examined": verdict.examined,
        "digest": None if verdict.digest is None else verdict.digest.hex(),
        "fetch_ms": verdict.timings.fetch_us / 1000,
        "decode_ms": verdict.timings.decode_us / 1000,
        "infer_ms": verdict.timings.infer_us / 1000,
        "label": None,
        "edited": None,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "detector": finding.detector,
        "kind": finding.kind,
        "score": share(finding.score),
        "text": finding.text,
        "detail": dict(finding.detail),
    }
