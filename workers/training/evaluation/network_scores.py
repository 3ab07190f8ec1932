"""Scores by the network of a run, as it was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workers.training.evaluation.metrics import ScoredImages
from workers.training.networks import models

if TYPE_CHECKING:
    from pathlib import Path

    from workers.training.data.datasets import LabelledArrays
    from workers.training.recipes.recipe import Recipe


def score(recipe: Recipe, run: Path, images: LabelledArrays, on: str) -> ScoredImages:
    """Score images, prepared as the recipe's, by the best network of a run; uncalibrated."""
    logits = models.logits(models.best(recipe, run), images.images)
    return ScoredImages(on, 1.0 / (1.0 + np.exp(-logits)), images.labels, images.sources)
