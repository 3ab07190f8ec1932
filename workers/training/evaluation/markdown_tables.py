"""A detector's figures as a table in Markdown, the student report's beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.training.evaluation.metrics import recall_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workers.detectors.card import Card, Measured, OfSource
    from workers.training.evaluation.detector_figures import Seen

RATE = 0.01
NONE = "-"


@dataclass(frozen=True, slots=True)
class Reported:
    """What the student report states of a system of its own, on pictures of its own."""

    system: str
    on: str
    accuracy: str
    balanced: str
    f1: str
    real_precision: str
    ms: str
    bytes: str


# Its nets are measured by their parameters, 32-bit floats; its milliseconds are a laptop's.
REPORTED = {
    "objects-32": Reported(
        "VGG16 at 32x32", "20,000 of CIFAKE", "0.9408", "0.9408", "0.94", "0.9886", NONE,
        f"{4 * 14_879_041:,}",
    ),
    "faces": Reported(
        "MobileNet at 224x224", "10,905 faces of its own", "0.70", f"{(0.57 + 0.83) / 2:.2f}",
        "0.70", NONE, f"{116_560 / 10_905:.1f}", f"{4 * 54_912_178:,}",
    ),
    "faces-96": Reported(
        "MobileNet at 32x32", "10,905 faces of its own", "0.76 or 0.924",
        f"{(0.84 + 0.68) / 2:.2f}", "0.76", NONE, f"{10_520 / 10_905:.2f}", NONE,
    ),
}  # fmt: skip


def markdown(card: Card, seen: Seen, measured: Measured, sources: Sequence[OfSource]) -> str:
    """Give both tables, of all pictures and by source, under a heading."""
    reported = REPORTED.get(card.name)
    beside = "the student report" if reported is None else f"the report's {reported.system}"
    lines = [f"## {card.name}", "", f"| | {card.name} | {beside} |", "|---|---|---|"]
    for what, ours, theirs in _rows(card, seen, measured):
        there = NONE if reported is None or not theirs else getattr(reported, theirs)
        lines.append(f"| {what} | {ours} | {there} |")
    named = [row for row in sources if row.source]
    if named:
        lines += [
            "",
            "| source | images | flagged | 95 % interval | ROC AUC |",
            "|---|---|---|---|---|",
        ]
    lines += [
        f"| {row.kind}, {row.source} | {row.images} | {row.flagged:.3f} | "
        f"{row.low:.3f} to {row.high:.3f} | {row.roc_auc:.3f} |"
        for row in named
    ]
    return "\n".join(lines) + "\n"


def _rows(card: Card, seen: Seen, found: Measured) -> Iterator[tuple[str, str, str]]:
    """What, our figure, and the name of the report's."""
    at, ends = found.confusion, f"{found.accuracy_low:.4f} to {found.accuracy_high:.4f}"
    balanced = (at.tp / (at.tp + at.fn) + at.tn / (at.tn + at.fp)) / 2
    yield "measured on", f"{found.on}: {found.images:,} images", "on"
    yield "accuracy at 0.5", f"{found.accuracy:.4f} ({ends})", "accuracy"
    yield "balanced accuracy", f"{balanced:.4f}", "balanced"
    yield "F1, macro", f"{(found.ai.f1 + found.real.f1) / 2:.4f}", "f1"
    yield "average precision of AI", f"{found.ai.average_precision:.4f}", ""
    yield "average precision of REAL", f"{found.real.average_precision:.4f}", "real_precision"
    yield "ROC AUC", f"{found.roc_auc:.4f}", ""
    yield "found at 1 % false alarms", f"{recall_at(seen.scored, RATE):.3f}", ""
    yield "called `ai`", f"{found.recall_at_ai:.3f}", ""
    yield "called `ai` falsely", f"{found.false_alarms_at_ai:.4f}", ""
    yield "expected calibration error", f"{found.ece:.4f}", ""
    yield "milliseconds an image, one core", f"{seen.ms_per_image:.2f}", "ms"
    if card.model is not None:
        yield "bytes", f"{card.model.bytes:,}", "bytes"
