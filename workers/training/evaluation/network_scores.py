"""Score pictures by the net of a run, as it was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workers.training.evaluation.metrics import Scored
from workers.training.networks import models

if TYPE_CHECKING:
    from pathlib import Path

    from workers.training.data.datasets import Labelled
    from workers.training.recipes.recipe import Recipe


def judge(recipe: Recipe, run: Path, labelled: Labelled, on: str) -> Scored:
    """Score pictures, kept as the recipe's data are, by the best net of a run; uncalibrated."""
    logits = models.logits(models.best(recipe, run), labelled.images)
    return Scored(on, 1.0 / (1.0 + np.exp(-logits)), labelled.labels, labelled.sources)
