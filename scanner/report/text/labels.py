"""The words for people: what verdicts, evidence and figures are called in reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import NEVER, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

# By verdict: its name, and what it means. Nothing here ever says that a picture is real.
VERDICTS = {
    Outcome.AI: ("AI-made", "at or above their detector's threshold for AI"),
    Outcome.UNSURE: ("doubtful", "between the two thresholds: look at them"),
    Outcome.NO_EVIDENCE: ("no evidence", "looked at; this does not make them real"),
    Outcome.ERROR: ("error", "could not be read; see below"),
    None: ("pending", "still to do"),
}
NOT_EXAMINED = ("not examined", "no detector for their pixels, only metadata")

# By kind of finding. What is not here is shown by its own name.
EVIDENCE = {
    "c2pa_generated": "C2PA: made by AI",
    "c2pa_edited": "C2PA: edited with AI",
    "c2pa_other": "C2PA: claims no AI",
    "c2pa_remote": "C2PA: on a server, not fetched",
    "c2pa_unreadable": "C2PA: cannot be read",
    "iptc_generated": "IPTC/XMP: made by AI",
    "iptc_edited": "IPTC/XMP: edited with AI",
    "generator_tag": "a generator's own tag",
    "no_detector": "no detector for this size yet",
    "too_small": "smaller than any detector is made for",
    "not_planned": "its detector is not in the scan's plan",
    "too_large": "too large to be looked at at its own size",
    "degraded": "worn pixels, doubtful at most",
}

# What a walk passes by, by kind. What is not here is called as it is.
SKIPPED = {
    "none": "without a suffix",
    "other": "other kinds",
    "other_image": "images of formats that are not read",
    "raw": "RAW",
}


def skipped(kinds: Mapping[str, int]) -> str:
    """What was passed by and how often, the most frequent kind first."""
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    names = ((SKIPPED.get(kind, kind).replace("_", " "), number) for kind, number in ordered)
    return ", ".join(f"{name} {number:,}" for name, number in names if number)


def program(generator: str) -> str:
    """The name of a generator that gives itself as `Name_of_it/1.2.3 library/4.5`."""
    return generator.partition("/")[0].replace("_", " ")


def count(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def percent(part: int, whole: int) -> str:
    """A share with one digit, never rounded to none or to all where it is not."""
    if whole == 0:
        return "-"
    share = 100 * part / whole
    if 0 < share < 0.05:  # noqa: PLR2004 - half of the last digit shown
        return "<0.1 %"
    if 99.95 <= share < 100:  # noqa: PLR2004
        return ">99.9 %"
    return f"{share:.1f} %"


def ai_from(threshold: float) -> str:
    """From which score on a detector calls AI-made; if it ever does."""
    return figure(threshold) if threshold < NEVER else "never"


def figure(value: float | None) -> str:
    """A figure in [0, 1] with four digits, `-` where it is not defined."""
    return "-" if value is None else f"{value:.4f}"


def duration(seconds: float) -> str:
    """A time span in the units that fit it."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def milliseconds(us: int) -> str:
    """Microseconds as milliseconds, with as many digits as mean something."""
    ms = us / 1000
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"  # noqa: PLR2004
