"""A detector's figures as Markdown tables, compared with the student report's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.training.evaluation.metrics import recall_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.detectors.card import Card, Measured
    from workers.training.evaluation.detector_figures import Examined

FALSE_POSITIVE_RATE = 0.01
NONE = "-"


@dataclass(frozen=True, slots=True)
class Reported:
    """Figures that the student report states for one of its systems, on its own images."""

    system: str
    on: str
    accuracy: str
    balanced: str
    f1: str
    real_precision: str
    ms: str
    bytes: str


# The report's sizes are those of its networks' 32-bit parameters, its times were taken on a laptop.
REPORTED = {
    "objects-32": Reported(
        "VGG16 at 32x32", "20,000 of CIFAKE", "0.9408", "0.9408", "0.94", "0.9886", NONE,
        f"{4 * 14_879_041:,}",
    ),
    "faces": Reported(
        "MobileNet at 224x224", "10,905 faces of its own", "0.70", f"{(0.57 + 0.83) / 2:.2f}",
        "0.70", NONE, f"{116_560 / 10_905:.1f}", f"{4 * 54_912_178:,}",
    ),
}  # fmt: skip


def markdown(card: Card, examined: Examined) -> str:
    """Return the tables of all images and by source, under a heading; the card has the figures."""
    measured = card.measured
    if measured is None:
        raise ValueError(f"{card.name} was not measured")
    reported = REPORTED.get(card.name)
    column = "the student report" if reported is None else f"the report's {reported.system}"
    lines = [f"## {card.name}", "", f"| | {card.name} | {column} |", "|---|---|---|"]
    for label, figure, field in _rows(card, measured, examined):
        theirs = NONE if reported is None or not field else getattr(reported, field)
        lines.append(f"| {label} | {figure} | {theirs} |")
    named = [row for row in card.sources if row.source]
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


def _rows(card: Card, measured: Measured, examined: Examined) -> Iterator[tuple[str, str, str]]:
    """Yield the label, the detector's figure, and the field of `Reported` or ""."""
    matrix = measured.confusion
    recalls = matrix.tp / (matrix.tp + matrix.fn), matrix.tn / (matrix.tn + matrix.fp)
    bounds = f"{measured.accuracy_low:.4f} to {measured.accuracy_high:.4f}"
    recall = recall_at(examined.scored, FALSE_POSITIVE_RATE)
    yield "measured on", f"{measured.on}: {measured.images:,} images", "on"
    yield "accuracy at 0.5", f"{measured.accuracy:.4f} ({bounds})", "accuracy"
    yield "balanced accuracy", f"{sum(recalls) / 2:.4f}", "balanced"
    yield "F1, macro", f"{(measured.ai.f1 + measured.real.f1) / 2:.4f}", "f1"
    yield "average precision of AI", f"{measured.ai.average_precision:.4f}", ""
    yield "average precision of REAL", f"{measured.real.average_precision:.4f}", "real_precision"
    yield "ROC AUC", f"{measured.roc_auc:.4f}", ""
    yield "found at 1 % false positives", f"{recall:.3f}", ""
    yield "called `ai`", f"{measured.recall_at_ai:.3f}", ""
    yield "called `ai` falsely", f"{measured.false_alarms_at_ai:.4f}", ""
    yield "expected calibration error", f"{measured.ece:.4f}", ""
    yield "milliseconds per image, one core", f"{examined.ms_per_image:.2f}", "ms"
    if card.model is not None:
        yield "bytes", f"{card.model.bytes:,}", "bytes"
