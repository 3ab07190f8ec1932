"""The files of a built-in detector, made from a trained network: model and card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.detectors.card import Card, DataSet, Input, Model, load_card
from workers.detectors.card_writer import write_card
from workers.training.data.labelled_images import LabelledImages
from workers.training.data.split import SplitImages, read_split
from workers.training.evaluation import detector_figures
from workers.training.export import calibration
from workers.training.export.card_texts import CARD_TEXTS, CardText
from workers.training.export.tflite import (
    REPRESENTATIVE,
    Agreement,
    compare_int8,
    export_int8,
    int8_logits,
)
from workers.training.networks import models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from workers.training.recipes.recipe import ImageSet, Recipe
    from workers.training.runs import Run


@dataclass(frozen=True, slots=True)
class ExportedDetector:
    """The card as it was written, and the comparison of the int8 model with the float model."""

    card: Card
    agreement: Agreement


def export_detector(recipe: Recipe, run: Run, report: Callable[[str], None]) -> ExportedDetector:
    """Write NAME.tflite and NAME.toml into the run's folder.

    The test set is read last, so nothing is chosen by it. Raises ExportError when the int8 model
    deviates from the trained one, DataError when the test set is missing.
    """
    parts = read_split(recipe.data, run.data, run.out)
    model = models.best(recipe, run.out)
    parameters = model.count_params()
    if recipe.mirrored:
        model = models.with_mirrored_view(model)
    path = run.out / f"{recipe.name}.tflite"
    random = np.random.default_rng(recipe.data.split.seed)
    trained = parts.all_training()
    representative = random.permutation(len(trained))[:REPRESENTATIVE]
    export_int8(model, trained.take(representative).images, path)
    agreement = compare_int8(model, path, parts.validation.images)
    report(f"exported, {agreement.called_otherwise:.2%} of {agreement.images} called otherwise")
    card = _card(recipe, parts, path, parameters)
    card = write_measured(card, run.data, recipe.data.test, (), report)
    return ExportedDetector(card, agreement)


def write_measured(
    card: Card,
    data: Path,
    test: Sequence[ImageSet],
    listings: Sequence[str],
    report: Callable[[str], None],
) -> Card:
    """Write the card, measure the detector as written, and write the card with its figures."""
    write_card(card)
    images, on = LabelledImages(data, test, listings), CARD_TEXTS[card.name].test
    write_card(detector_figures.measured(load_card(card.path), images, on, report))
    return load_card(card.path)


def _card(recipe: Recipe, parts: SplitImages, path: Path, parameters: int) -> Card:
    text = CARD_TEXTS[recipe.name]
    # The logits of the int8 model, which is the one that will run.
    calibrated, thresholds = calibration.calibrate(
        int8_logits(path, parts.calibration.images),
        parts.calibration.labels,
        None if parts.unlike is None else int8_logits(path, parts.unlike.images),
    )
    return Card(
        name=recipe.name,
        version=recipe.version,
        summary=text.summary,
        thresholds=thresholds,
        limits=text.limits,
        data=tuple(_data_sets(text, parts)),
        model=Model.of(path, parameters, "LiteRT, full int8"),
        input=Input(recipe.size, recipe.size, "RGB", 0, 255, *text.sides),
        calibration=calibrated,
        path=path.with_suffix(".toml"),
    )


def _data_sets(text: CardText, parts: SplitImages) -> Iterator[DataSet]:
    """Yield what the detector was made from, as its card says it."""
    main, others = (text.data, text.terms), (text.other_data, text.other_terms)
    for (name, terms), use, part in (
        (main, "training", parts.train),
        (others, "training", parts.beside),
        (main, "validation (choosing the epoch)", parts.validation),
        (main, "calibration and thresholds", parts.calibration),
        (others, "thresholds", parts.unlike),
    ):
        if part is not None:
            real, ai = (int(np.sum(part.labels == label)) for label in (0, 1))
            yield DataSet(name, use, real, ai, terms)
