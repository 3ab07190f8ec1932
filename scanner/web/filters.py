"""Filters of the page templates: values as text."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from scanner.language import gettext, marked
from scanner.report.text import labels
from scanner.report.text.host_details import health
from scanner.report.text.tables import safe
from scanner.report.text.why import reason, score_reason, why
from storage.asset_paths import shown_image
from storage.paths import shown
from storage.writes.reviews import Agreed

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.writes.reviews import Answer


_IN_BACKTICKS = re.compile(r"`([^`]+)`")
ANSWERS = {
    Agreed.AI: marked("AI"),
    Agreed.NOT_AI: marked("not AI"),
    Agreed.CANT_TELL: marked("can't tell"),
    Agreed.CONTRADICTING: marked("contradicting"),
}
# Result of checking a C2PA manifest's signature.
SIGNATURES = {
    "verified": marked("verified: a known signer, and the file is unchanged since"),
    "no_trust_list": marked("intact; no trust list installed to look up the signer"),
    "untrusted": marked("intact, by a signer on no installed trust list"),
    "expired": marked("intact, by an expired certificate without a known time stamp"),
    "unchecked": marked("could not be checked"),
    "revoked": marked("its certificate was revoked"),
    "invalid": marked("invalid: changed after signing"),
}
# Details of a finding that are shown, in this order; the others are for programs.
DETAILS = {
    "generator": marked("generator"),
    "signer": marked("signed by"),
    "signed": marked("signed on"),
    "signature": marked("signature"),
    "digital_source_type": marked("source type"),
    "credit": marked("credit"),
    "where": marked("found in"),
    "excerpt": marked("excerpt"),
    "also": marked("also in"),
    "url": marked("URL"),
    "why": marked("reason"),
}


def plain(text: object) -> str:
    """Return text from a file or another machine as one line without control characters."""
    return safe(str(text))


def evidence(kind: str) -> str:
    """Return the name of a kind of finding."""
    return labels.evidence(kind, plain(kind))


def answer(value: Answer | Agreed) -> str:
    """Return the name of an answer, or of what reviewers agree on."""
    return gettext(ANSWERS[Agreed(value)])


def percent(share: float) -> str:
    """Return a share with one digit."""
    return f"{100 * share:.1f} %"


def hundredths(score: float) -> str:
    """Return a score in hundredths, none of them rounded up to certainty."""
    return f"{min(int(100 * score), 99):02}"


def rate(value: float | None) -> str:
    """Return images per second, with about two digits."""
    if value is None:
        return "-"
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.1f}/s"  # noqa: PLR2004


def taken(seconds: float) -> str:
    """Return a time by a camera's clock, which has no zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def place(latitude: float, longitude: float) -> str:
    """Return a place in degrees."""
    sides = "S" if latitude < 0 else "N", "W" if longitude < 0 else "E"
    return f"{abs(latitude):.5f}° {sides[0]}, {abs(longitude):.5f}° {sides[1]}"


def month(seconds: float) -> str:
    """Return the month of a time by a camera's clock."""
    return taken(seconds)[:7]


def size(number: int) -> str:
    """Return a number of bytes in a unit that fits it."""
    if number < 1000:  # noqa: PLR2004 - the prefix of units
        return f"{number} B"
    amount, unit = number / 1e3, "kB"
    for larger in ("MB", "GB"):
        if amount >= 1000:  # noqa: PLR2004
            amount, unit = amount / 1e3, larger
    return f"{amount:,.1f} {unit}"


def details(detail: dict[str, object]) -> list[tuple[str, str]]:
    """Return a finding's details for people, as (name, text)."""
    rows = []
    for name, label in DETAILS.items():
        value = detail.get(name)
        if value in (None, "", []):
            continue
        if name == "signature":
            value = gettext(SIGNATURES.get(str(value), str(value)))
        elif isinstance(value, list):
            value = gettext(", ").join(map(str, value))
        rows.append((gettext(label), plain(value)))
    return rows


def commands(text: str) -> Markup:
    """Return a message with what is in backticks as code."""
    # What is not code is escaped before.
    return Markup(_IN_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704


def name_parts(path: bytes) -> tuple[str, str]:
    """Return the folder of an image, with a slash at its end, and its name."""
    folder, slash, name = shown_image(path).rpartition("/")
    return folder + slash, name


FILTERS: dict[str, Callable[..., object]] = {
    "plain": plain,
    "commands": commands,
    "skipped": labels.skipped,
    "name_parts": name_parts,
    "health": health,
    "path": shown,
    "image_path": shown_image,
    "verdict": labels.verdict,
    "state": labels.state,
    "evidence": evidence,
    "error": labels.error,
    "answer": answer,
    "score": labels.score,
    "percent": percent,
    "hundredths": hundredths,
    "rate": rate,
    "when": labels.moment,
    "taken": taken,
    "month": month,
    "place": place,
    "bytes": size,
    "why": why,
    "reason": reason,
    "score_reason": score_reason,
    "details": details,
    "duration": labels.duration,
    "milliseconds": labels.milliseconds,
}
