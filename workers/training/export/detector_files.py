"""From a trained net to a detector: export, calibrate, write the card, measure it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.detectors.card import (
    Calibration,
    Card,
    DataSet,
    Input,
    Model,
    Thresholds,
    load_card,
)
from workers.detectors.card_writer import to_toml
from workers.detectors.detector import calibrated
from workers.training.data.labelled_images import read_each
from workers.training.data.split import Parts, parts_of
from workers.training.evaluation import detector_figures
from workers.training.export import calibration
from workers.training.export.card_texts import ABOUT
from workers.training.export.int8 import (
    REPRESENTATIVE,
    Agreement,
    compare,
    export,
    quantised_logits,
)
from workers.training.networks import models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.detectors.card import Measured
    from workers.training.data.datasets import Labelled
    from workers.training.recipes.recipe import Recipe
    from workers.training.runs import Run


@dataclass(frozen=True, slots=True)
class Shipped:
    """The card as it was written, its figures, and the int8 net beside the float one."""

    card: Card
    measured: Measured
    agreement: Agreement


def ship(recipe: Recipe, run: Run, tell: Callable[[str], None]) -> Shipped:
    """Make NAME.tflite and NAME.toml in the run's folder.

    Nothing is chosen by the test set: it is read last. Raises ExportError when the quantised net
    is not the trained one, DataError when the test set is missing.
    """
    parts = parts_of(recipe.data, run.data, run.out)
    net = models.best(recipe, run.out)
    path = run.out / f"{recipe.name}.tflite"
    export(net, _representative(parts, recipe), path)
    agreement = compare(net, path, parts.validation.images)
    tell(f"exported, {agreement.called_otherwise:.2%} of {agreement.images} called otherwise")
    card = _card(recipe, parts, path, net.count_params())
    _write(card)
    test = list(read_each(run.data, recipe.data.test))
    card = detector_figures.measured(card, test, ABOUT[recipe.name].test)
    _write(detector_figures.changed(card, test, tell))
    if card.measured is None:
        raise ValueError(f"{card.name} was not measured")
    return Shipped(load_card(card.path), card.measured, agreement)


def _representative(parts: Parts, recipe: Recipe) -> NDArray[np.uint8]:
    draw = np.random.default_rng(recipe.data.split.seed)
    chosen = draw.permutation(len(parts.train))[:REPRESENTATIVE]
    return parts.train.take(chosen).images


def _card(recipe: Recipe, parts: Parts, path: Path, parameters: int) -> Card:
    about = ABOUT[recipe.name]
    calibration, at = _calibrated(parts.calibration, path)
    return Card(
        name=recipe.name,
        version=recipe.version,
        summary=about.summary,
        thresholds=at,
        limits=about.limits,
        data=tuple(
            DataSet(
                about.data,
                use,
                real=int(np.sum(part.labels == 0)),
                ai=int(np.sum(part.labels == 1)),
                terms=about.terms,
            )
            for use, part in (
                ("training", parts.train),
                ("validation (choosing the epoch)", parts.validation),
                ("calibration and thresholds", parts.calibration),
            )
        ),
        model=Model.of(path, parameters, "LiteRT, full int8"),
        input=Input(recipe.size, recipe.size, "RGB", 0, 255, *about.sides),
        calibration=calibration,
        path=path.with_suffix(".toml"),
    )


def _calibrated(held: Labelled, path: Path) -> tuple[Calibration, Thresholds]:
    """Calibrate what will run: the quantised net's logits, not those of the float one."""
    logits = quantised_logits(path, list(held.images))
    fitted = calibration.fit(logits, held.labels)
    scores = calibrated(logits, fitted)
    return fitted, calibration.thresholds(scores, held.labels, calibration.FALSE_ALARM_RATE)


def _write(card: Card) -> None:
    card.path.write_text(to_toml(card), encoding="utf-8")
