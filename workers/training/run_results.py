"""What follows training: a detector for workers, or figures alone; and the run's report."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from workers.training.data.datasets import read
from workers.training.evaluation import metrics, plots, text_tables
from workers.training.evaluation.network_scores import judge
from workers.training.export.detector_files import ship
from workers.training.runs import WEIGHTS, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from workers.training.recipes.recipe import Recipe
    from workers.training.runs import Epoch, Run

FIGURES = "figures.json"


def finish(recipe: Recipe, run: Run, history: Sequence[Epoch], tell: Callable[[str], None]) -> Path:
    """Export the net if it ships, measure it, and write the run's report into its folder.

    Gives the path of the card, or of the figures where nothing ships. Raises what `ship` raises.
    """
    figures: dict[str, object] = {"history": [asdict(each) for each in history]}
    if recipe.ships:
        shipped = ship(recipe, run, tell)
        measured, sources, made = shipped.measured, shipped.card.sources, shipped.card.path
        figures["agreement"] = asdict(shipped.agreement)
    else:
        test = read(run.data, recipe.data.test, recipe.data.pixels)
        scored = judge(recipe, run.out, test, recipe.data.test[0].file)
        measured, made = metrics.measure(scored, metrics.EVEN), run.out / FIGURES
        sources = tuple(metrics.by_source(scored, metrics.EVEN.flagged_from))
    figures["weights"] = json.loads((run.out / WEIGHTS).read_text())
    figures |= {"test": asdict(measured), "sources": [asdict(each) for each in sources]}
    write_json(run.out / FIGURES, figures)
    table = text_tables.whole(measured, sources)
    (run.out / "text_tables.txt").write_text(table, encoding="utf-8")
    title = f"{recipe.name} version {recipe.version}"
    plots.draw(title, history, measured, run.out / "plots.png")
    tell(table)
    return made
