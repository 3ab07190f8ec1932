"""How the pages' templates say things."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scanner.report.text import labels
from scanner.report.text.machine import health
from storage.paths import shown
from storage.writes.reviews import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.records import ErrorKind, Outcome

ANSWERS = {Answer.AI: "AI", Answer.NOT_AI: "not AI", Answer.CANT_TELL: "can't tell"}
# What became of the check of a C2PA manifest's signature.
SIGNATURES = {
    "verified": "verified: a known signer, and the file is as it was signed",
    "untrusted": "intact, by a signer who is not known",
    "expired": "intact, by a certificate that has run out",
    "unchecked": "could not be checked",
    "revoked": "its certificate was withdrawn",
    "invalid": "does not hold: changed after it was signed",
}
# What a finding's detail says, in the order in which it is shown.
DETAILS = {
    "generator": "made with",
    "signer": "signed by",
    "signature": "signature",
    "digital_source_type": "source type",
    "credit": "credit",
    "where": "found in",
    "excerpt": "excerpt",
    "also": "also in",
    "url": "lies at",
    "why": "why",
}


def plain(text: object) -> str:
    """A text from a file or another machine as one line without characters that do harm."""
    return shown(str(text).encode(errors="replace"))


def verdict(outcome: Outcome | None) -> str:
    """A verdict's name."""
    return labels.VERDICTS[outcome][0]


def evidence(kind: str) -> str:
    """A kind of finding, in words."""
    return labels.EVIDENCE.get(kind, plain(kind))


def error(kind: ErrorKind) -> str:
    """A kind of error, in words."""
    return kind.value.replace("_", " ")


def answer(given: Answer) -> str:
    """An answer's name."""
    return ANSWERS[given]


def score(value: float | None) -> str:
    """A score with three digits, none of them rounded up to certainty."""
    if value is None:
        return "-"
    if 0.9995 <= value < 1:  # noqa: PLR2004 - half of the last digit shown
        return ">0.999"
    return f"{value:.3f}"


def percent(share: float) -> str:
    """A share with one digit."""
    return f"{100 * share:.1f} %"


def rate(value: float | None) -> str:
    """Images a second, with as many digits as mean something."""
    if value is None:
        return "-"
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.1f}/s"  # noqa: PLR2004


def when(at: float) -> str:
    """A time on this machine's clock."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def details(detail: dict[str, object]) -> list[tuple[str, str]]:
    """What a finding's detail says to people; the rest is for programs."""
    said = []
    for name, label in DETAILS.items():
        value = detail.get(name)
        if value in (None, "", []):
            continue
        if name == "signature":
            value = SIGNATURES.get(str(value), value)
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        said.append((label, plain(value)))
    return said


FILTERS: dict[str, Callable[..., str]] = {
    "plain": plain,
    "health": health,
    "path": shown,
    "verdict": verdict,
    "evidence": evidence,
    "error": error,
    "answer": answer,
    "score": score,
    "percent": percent,
    "rate": rate,
    "when": when,
    "duration": labels.duration,
    "milliseconds": labels.milliseconds,
}
