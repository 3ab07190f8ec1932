"""Sentences of a report, the same on a terminal and in HTML."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from scanner.language import gettext, ngettext
from scanner.report.figures.certainty import shown_score
from scanner.report.text import labels
from storage.records import Outcome

if TYPE_CHECKING:
    from scanner.report.figures.build import Evaluation, Report
    from scanner.report.figures.compare import Comparison, McNemar
    from storage.reads.breakdown import Copies
    from storage.writes.scans import Scan
    from workers.evaluation.intervals import Interval

# A p-value below this counts as a difference.
SIGNIFICANT = 0.05
SMALLEST_P = 0.0001


def answer(report: Report) -> str:
    """Return the main result of a scan, in a sentence or two."""
    counts = report.counts
    if counts.images == 0:
        text = nothing(report.scan)
        return _sentence(text[:1].upper() + text[1:])
    if counts.error == counts.images:
        return ngettext(
            "The only image could not be judged.",
            "None of the {images} images could be judged.",
            counts.images,
        ).format(images=f"{counts.images:,}")
    parts = [
        ngettext(
            "{ai} of {images} images looks AI-generated",
            "{ai} of {images} images look AI-generated",
            counts.ai,
        ).format(ai=f"{counts.ai:,}", images=f"{counts.images:,}")
    ]
    if counts.unsure:
        unsure = ngettext("{number} is unsure", "{number} are unsure", counts.unsure)
        parts.append(unsure.format(number=f"{counts.unsure:,}"))
    if counts.error:
        parts.append(gettext("{number} could not be read").format(number=f"{counts.error:,}"))
    if counts.pending:
        pending = ngettext(
            "{number} is still to be judged", "{number} are still to be judged", counts.pending
        )
        parts.append(pending.format(number=f"{counts.pending:,}"))
    return _sentence(gettext(", ").join(parts))


def settled(report: Report) -> str | None:
    """Return how many images metadata settled that could not be read; None without any."""
    images = sum(error.images for error in report.settled_errors)
    if not images:
        return None
    kinds = gettext(", ").join(
        f"{labels.error(error.kind)} {error.images:,}" for error in report.settled_errors
    )
    return gettext(
        "Of the AI-generated images, {number} could not be read beyond metadata that settles it: "
        "{kinds}."
    ).format(number=f"{images:,}", kinds=kinds)


def order(report: Report) -> str:
    """Return in which order the most certain findings are; empty where it is that of scores."""
    thresholds = report.scan.plan.thresholds()
    verdicts = [row.verdict for row in report.findings if row.verdict is not None]
    scores = [shown_score(verdict, thresholds) or 0.0 for verdict in verdicts]
    if all(one >= following for one, following in pairwise(scores)):
        return ""
    return gettext(
        "What metadata or marks settle comes first, then what detectors find AI-generated, then "
        "what is unsure; each by score."
    )


def nothing(scan: Scan) -> str:
    """Return why a scan has no images, without capital and full stop."""
    if scan.listed_at is None:
        return gettext("no images were listed yet")
    if raw := scan.skipped.get("raw"):
        return ngettext(
            "nothing to judge but {number} RAW file, which needs --raw",
            "nothing to judge but {number} RAW files, which need --raw",
            raw,
        ).format(number=f"{raw:,}")
    if scan.skipped.get("archive"):
        return gettext("nothing to judge but archives: unpack them")
    return gettext("nothing to judge, no images were found")


def copies(counts: Copies) -> str | None:
    """Return how many files are copies of others; None where none is."""
    if counts.files == counts.different:
        return None
    repeated = labels.percent(counts.files - counts.different, counts.files)
    if counts.one_in > 1:
        return gettext(
            "{share} of the files are copies of another (from 1 in {one_in} digests)."
        ).format(share=repeated, one_in=counts.one_in)
    text = gettext(
        "The {files} readable files have {different} different contents ({share} are copies)."
    ).format(files=f"{counts.files:,}", different=f"{counts.different:,}", share=repeated)
    if counts.ai_files == counts.ai_different:
        return text
    generated = gettext("The {files} AI-generated files have {different}.").format(
        files=f"{counts.ai_files:,}", different=f"{counts.ai_different:,}"
    )
    return f"{text} {generated}"


def false_positive_rate(evaluation: Evaluation) -> str:
    """Return how often the verdict `ai` was wrong on labelled images."""
    called = {label: evaluation.by_verdict.get((label, Outcome.AI), 0) for label in (True, False)}
    real = sum(number for (label, _), number in evaluation.by_verdict.items() if not label)
    total = called[True] + called[False]
    if total == 0:
        return gettext("No labelled image was called AI-generated.")
    text = ngettext(
        "Of {total} called AI-generated, {wrong} was not",
        "Of {total} called AI-generated, {wrong} were not",
        called[False],
    ).format(total=f"{total:,}", wrong=f"{called[False]:,}")
    if not real:
        return _sentence(text)
    share = labels.percent(called[False], real)
    return gettext("{text}: {share} of the REAL ones.").format(text=text, share=share)


def interval(bounds: Interval | None) -> str:
    """Return the bounds of an interval with four digits; empty for None."""
    if bounds is None:
        return ""
    return gettext("{low} to {high}").format(low=f"{bounds.low:.4f}", high=f"{bounds.high:.4f}")


def changed(comparison: Comparison) -> str:
    """Return what changed between two scans."""
    if not comparison.is_of_one_collection:
        return gettext(
            "The scans are of different collections: their figures stand side by side, and no "
            "image is compared."
        )
    if not comparison.both:
        return gettext("No image was judged by both scans.")
    images = labels.count(comparison.both, "image", "images")
    if not comparison.changed:
        return gettext("None of the {images} that both judged has another verdict now.").format(
            images=images
        )
    return ngettext(
        "{number} of the {images} that both judged has another verdict now.",
        "{number} of the {images} that both judged have another verdict now.",
        comparison.changed,
    ).format(number=f"{comparison.changed:,}", images=images)


def mcnemar(test: McNemar) -> str:
    """Return which scan agrees with the labels more often."""
    if test.p_value is None:
        return gettext("Both scans are right about the same labelled images.")
    chance = test.p_value >= SIGNIFICANT
    p_value = f"p = {test.p_value:.4f}" if test.p_value >= SMALLEST_P else f"p < {SMALLEST_P}"
    text = ngettext(
        "{before} labelled image is right only before and {after} only after",
        "{before} labelled images are right only before and {after} only after",
        test.only_before,
    ).format(before=f"{test.only_before:,}", after=f"{test.only_after:,}")
    how = gettext("no more than chance") if chance else gettext("more than chance")
    return f"{text}: {how} (McNemar, {p_value})."


def _sentence(text: str) -> str:
    return gettext("{text}.").format(text=text)


def edited(report: Report) -> str | None:
    """Return how many images are edited versions, and what was found in them; None without any."""
    images = sum(report.edited.values())
    if not images:
        return None
    return ngettext(
        "{images} image is the edited version of another one: {ai} AI-generated, {unsure} unsure.",
        "{images} images are edited versions of others: {ai} AI-generated, {unsure} unsure.",
        images,
    ).format(
        images=f"{images:,}",
        ai=f"{report.edited.get(Outcome.AI, 0):,}",
        unsure=f"{report.edited.get(Outcome.UNSURE, 0):,}",
    )
