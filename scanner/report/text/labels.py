"""Names and number formats of reports and pages: verdicts, evidence, shares, durations."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from scanner.language import gettext, marked, ngettext
from scanner.report.figures.phase import Phase
from storage.records import NEVER, ErrorKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
# By verdict: its name, and its meaning. No text here ever says that an image is real.
VERDICTS = {
    Outcome.AI: (marked("AI-generated"), marked("at or above a detector's “ai” threshold")),
    Outcome.UNSURE: (marked("unsure"), marked("between a detector's two thresholds: review them")),
    Outcome.NO_EVIDENCE: (marked("no evidence"), marked("examined; this does not make them real")),
    Outcome.ERROR: (marked("error"), marked("could not be read")),
    None: (marked("pending"), marked("not judged yet")),
}
NOT_EXAMINED = (
    marked("not examined"),
    marked("only metadata and marks were read, for the reasons below"),
)

# By kind of finding; other kinds are shown by their own name.
EVIDENCE = {
    "c2pa_generated": marked("C2PA: AI-generated"),
    "c2pa_edited": marked("C2PA: edited with AI"),
    "c2pa_other": marked("C2PA: no AI claimed"),
    "c2pa_remote": marked("C2PA: on a server, not fetched"),
    "c2pa_unreadable": marked("C2PA: cannot be read"),
    "iptc_generated": marked("IPTC/XMP: AI-generated"),
    "iptc_edited": marked("IPTC/XMP: edited with AI"),
    "xmp_unreadable": marked("XMP: cannot be read"),
    "aigc_generated": marked("AIGC label: AI-generated"),
    "aigc_possible": marked("AIGC label: possibly AI-generated"),
    "aigc_suspected": marked("AIGC label: suspected AI-generated"),
    "generator_tag": marked("generator tag"),
    "file_name": marked("name that a generator gives"),
    "generator_edit": marked("generator, from another image"),
    "sidecar_unreadable": marked("sidecar: cannot be read"),
    "hidden_settings": marked("generator settings in the pixels"),
    "invisible_mark": marked("invisible watermark"),
    "visible_mark": marked("visible mark"),
    "out_of_domain": marked("looks like a drawing, icon, page or other graphic, not a photograph"),
    "no_detector": marked("too small for a detector of photographs, and without a face"),
    "too_small": marked("too small for every detector"),
    "camera": marked("a camera's metadata"),
    "camera_in_part": marked("a part of a camera's metadata"),
    "generator_file": marked("size and format of a generator"),
    "generator_size": marked("size of a generator"),
    "not_planned": marked("its detector is not in the scan's plan"),
    "too_large": marked("too large to be examined at full resolution"),
    "degraded": marked("degraded image: at most “unsure”"),
    "preview": marked("preview in a RAW file: at most “unsure”"),
}

ERRORS = {
    ErrorKind.UNREADABLE: marked("unreadable"),
    ErrorKind.EMPTY: marked("empty"),
    ErrorKind.NOT_AN_IMAGE: marked("not an image"),
    ErrorKind.UNSUPPORTED: marked("unsupported"),
    ErrorKind.TRUNCATED: marked("truncated"),
    ErrorKind.DAMAGED: marked("damaged"),
    ErrorKind.INTERNAL: marked("internal"),
    ErrorKind.TOO_LARGE: marked("too large"),
    ErrorKind.CHANGED: marked("changed"),
    ErrorKind.OUTSIDE: marked("outside"),
    ErrorKind.MOVED: marked("moved"),
    ErrorKind.CRASHED: marked("crashed"),
    ErrorKind.TIMEOUT: marked("timeout"),
}

STATES = {
    Phase.RUNNING: marked("running"),
    Phase.WAITING: marked("waiting for workers"),
    Phase.PAUSED: marked("paused"),
    Phase.INTERRUPTED: marked("interrupted"),
    Phase.FINISHED: marked("finished"),
    Phase.CANCELLED: marked("cancelled"),
    Phase.UNFINISHED: marked("unfinished"),
}

# The stages of an image's processing, as columns.
STAGES = {"fetch": marked("fetch"), "decode": marked("decode"), "infer": marked("infer")}

# Files that listing skips, by kind; other kinds are shown by their own name.
SKIPPED = {
    "archive": marked("archive"),
    "audio": marked("audio"),
    "copy": marked("copies of images that are listed"),
    "document": marked("document"),
    "excluded": marked("excluded"),
    "hidden": marked("hidden"),
    "none": marked("without an extension"),
    "other": marked("other types"),
    "other_image": marked("unsupported image formats"),
    "outside": marked("outside"),
    "raw": marked("RAW"),
    "repeated": marked("repeated"),
    "sidecar": marked("sidecar"),
    "special": marked("special"),
    "symlink": marked("symlink"),
    "trash": marked("folders of deleted images"),
    "video": marked("video"),
}


def skipped(found: Mapping[str, int], most: int | None = None) -> str:
    """Return what was skipped and how often, see `kinds`."""
    named = {
        gettext(SKIPPED.get(kind, kind.replace("_", " "))): number for kind, number in found.items()
    }
    return kinds(named, most)


def kinds(found: Mapping[str, int], most: int | None = None) -> str:
    """Return kinds and their numbers, the most frequent first, `most` of them by name."""
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{kind} {number:,}" for kind, number in ordered[:most] if number]
    if rest := sum(number for _, number in ordered[len(ordered) if most is None else most :]):
        named.append(gettext("others {number}").format(number=f"{rest:,}"))
    return gettext(", ").join(named)


def verdict(outcome: Outcome | None) -> str:
    """Return a verdict's name."""
    return gettext(VERDICTS[outcome][0])


def evidence(kind: str, otherwise: str) -> str:
    """Return the name of a kind of finding, `otherwise` of one without a name here."""
    return gettext(EVIDENCE[kind]) if kind in EVIDENCE else otherwise


def state(phase: Phase) -> str:
    """Return the state of a scan in words."""
    return gettext(STATES[phase])


def stage(name: str) -> str:
    """Return the name of a stage of processing."""
    return gettext(STAGES[name])


def error(kind: ErrorKind) -> str:
    """Return a kind of error in words."""
    return gettext(ERRORS[kind])


def program(generator: str) -> str:
    """Return the name of a generator that calls itself `Its_name/1.2.3 library/4.5`."""
    return generator.partition("/")[0].replace("_", " ")


def count(number: int, singular: str, plural: str) -> str:
    """Return a number with its noun, whose forms are in the catalogue."""
    return f"{number:,} {ngettext(singular, plural, number)}"


def percent(part: int, whole: int) -> str:
    """Return a share with one digit, never rounded to none or to all where it is not."""
    if whole == 0:
        return "-"
    share = 100 * part / whole
    if 0 < share < 0.05:  # noqa: PLR2004 - half of the last digit shown
        return "<0.1 %"
    if 99.95 <= share < 100:  # noqa: PLR2004
        return ">99.9 %"
    return f"{share:.1f} %"


def score(value: float | None) -> str:
    """Return a score with three digits, none of them rounded up to certainty."""
    if value is None:
        return "-"
    if 0.9995 <= value < 1:  # noqa: PLR2004 - half of the last digit shown
        return ">0.999"
    return f"{value:.3f}"


def threshold(score: float) -> str:
    """Return the score from which a detector says something, or `never`."""
    return figure(score) if score < NEVER else gettext("never")


def figure(value: float | None) -> str:
    """Return a figure in [0, 1] with four digits, `-` where it is not defined."""
    return "-" if value is None else f"{value:.4f}"


def duration(seconds: float) -> str:
    """Return a time span in units that fit it."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(seconds: float) -> str:
    """Return a time by this machine's clock, with the zone."""
    here = datetime.fromtimestamp(seconds).astimezone()
    return f"{here:%Y-%m-%d %H:%M:%S} {timezone(here.utcoffset() or timedelta())}"


def milliseconds(us: int) -> str:
    """Return microseconds as milliseconds, with about three digits."""
    ms = us / 1000
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"  # noqa: PLR2004
