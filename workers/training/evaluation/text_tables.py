"""A detector's figures as text: the classification table, a row per source, a row per change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.detectors.card import ChangeFigures, ClassFigures, Measured, SourceFigures


def all_tables(
    measured: Measured, sources: Sequence[SourceFigures], changes: Sequence[ChangeFigures] = ()
) -> str:
    """Return the classification table, a row per source and a row per change."""
    return table(measured) + source_table(sources) + change_table(changes)


def table(measured: Measured) -> str:
    """Return the classification table: a row per class, FAKE first, then the averages."""
    confusion = measured.confusion
    support = (confusion.tp + confusion.fn, confusion.tn + confusion.fp)
    rows = (measured.ai, measured.real)
    lines = [
        f"{'':14}{'precision':>10}{'recall':>10}{'f1-score':>10}{'support':>10}",
        _row("FAKE", _numbers(rows[0]), support[0]),
        _row("REAL", _numbers(rows[1]), support[1]),
        "",
        f"{'accuracy':14}{'':20}{measured.accuracy:>10.4f}{measured.images:>10}",
        _row("macro avg", _mean(rows, (1, 1)), measured.images),
        _row("weighted avg", _mean(rows, support), measured.images),
        "",
        f"accuracy, 95 % interval: {measured.accuracy_low:.4f} to {measured.accuracy_high:.4f}",
        (
            f"average precision: FAKE {measured.ai.average_precision:.4f}, "
            f"REAL {measured.real.average_precision:.4f}, mean "
            f"{(measured.ai.average_precision + measured.real.average_precision) / 2:.4f}"
        ),
        f"ROC AUC {measured.roc_auc:.4f}, expected calibration error {measured.ece:.4f}",
    ]
    return "\n".join(lines) + "\n"


def source_table(rows: Sequence[SourceFigures]) -> str:
    """Return a row per source with the share of its images that is flagged; "" without names."""
    named = [row for row in rows if row.source]
    if not named:
        return ""
    width = max(len(row.source) for row in named) + 7
    head = f"{'source':{width}}{'images':>8}{'flagged':>9}{'95 % interval':>18}{'ROC AUC':>9}"
    lines = ["", head]
    for row in named:
        name = f"{'FAKE' if row.kind == 'ai' else 'REAL'}/{row.source}"
        bounds = f"{row.low:.3f} to {row.high:.3f}"
        lines.append(
            f"{name:{width}}{row.images:>8}{row.flagged:>9.3f}{bounds:>18}{row.roc_auc:>9.3f}"
        )
    return "\n".join(lines) + "\n"


def change_table(rows: Sequence[ChangeFigures]) -> str:
    """Return a row per change of the images, with the figures after it; "" without rows."""
    if not rows:
        return ""
    width = max(len(row.change) for row in rows) + 2
    lines = ["", f"{'after':{width}}{'ROC AUC':>9}{'found':>8}{'false positives':>17}"]
    lines += [
        f"{row.change:{width}}{row.roc_auc:>9.3f}{row.recall:>8.3f}{row.false_alarms:>17.3f}"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _numbers(figures: ClassFigures) -> tuple[float, float, float]:
    return figures.precision, figures.recall, figures.f1


def _mean(rows: Sequence[ClassFigures], weights: Sequence[int]) -> tuple[float, float, float]:
    precision, recall, f1 = np.average([_numbers(row) for row in rows], axis=0, weights=weights)
    return float(precision), float(recall), float(f1)


def _row(name: str, numbers: tuple[float, float, float], support: int) -> str:
    return f"{name:14}" + "".join(f"{number:>10.4f}" for number in numbers) + f"{support:>10}"
