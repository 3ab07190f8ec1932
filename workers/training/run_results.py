"""The results of a training run: a detector for workers, or figures alone, and plots."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from workers.training.data.datasets import read_arrays
from workers.training.evaluation import metrics, network_scores, plots, text_tables
from workers.training.export.detector_files import export_detector
from workers.training.runs import WEIGHTS, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from workers.detectors.card import Measured, SourceFigures
    from workers.training.recipes.recipe import Recipe
    from workers.training.runs import Epoch, Run

FIGURES = "figures.json"


def write_results(
    recipe: Recipe, run: Run, history: Sequence[Epoch], report: Callable[[str], None]
) -> Path:
    """Export the network if it is for workers, measure it, and write figures and plots.

    Returns the path of the card, or of the figures of a network that is only measured. Raises
    ExportError and DataError.
    """
    figures: dict[str, object] = {"history": [asdict(each) for each in history]}
    path = run.out / FIGURES
    sources: Sequence[SourceFigures]
    if recipe.ships:
        exported = export_detector(recipe, run, report)
        card, path = exported.card, exported.card.path
        if card.measured is None:
            raise ValueError(f"{card.name} was not measured")
        measured, sources = card.measured, card.sources
        figures["agreement"] = asdict(exported.agreement)
    else:
        measured, sources = _network_figures(recipe, run)
    figures["weights"] = json.loads((run.out / WEIGHTS).read_text())
    figures |= {"test": asdict(measured), "sources": [asdict(each) for each in sources]}
    write_json(run.out / FIGURES, figures)
    table = text_tables.all_tables(measured, sources)
    (run.out / "classification.txt").write_text(table, encoding="utf-8")
    title = f"{recipe.name} version {recipe.version}"
    plots.draw(title, history, measured, run.out / "curves.png")
    report(table)
    return path


def _network_figures(recipe: Recipe, run: Run) -> tuple[Measured, list[SourceFigures]]:
    test = read_arrays(run.data, recipe.data.test, recipe.data.pixels)
    scored = network_scores.score(recipe, run.out, test, recipe.data.test[0].file)
    thresholds = metrics.DEFAULT_THRESHOLDS
    return metrics.measure(scored, thresholds), metrics.source_figures(scored, thresholds)
