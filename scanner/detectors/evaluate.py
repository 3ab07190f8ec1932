"""Measuring a detector, or the model of a training run, on labelled images (extra `train`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scanner.detectors.plan import sound_models
from storage.errors import InvalidInput, ScannerError
from workers.detectors import installed
from workers.training.data.datasets import DataError, locate, read_arrays
from workers.training.data.labelled_images import LabelledImages
from workers.training.evaluation import detector_figures, markdown_tables, metrics
from workers.training.recipes.builtin import RECIPES
from workers.training.recipes.probes import PROBES
from workers.training.recipes.recipe import Pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from workers.detectors.card import Card, ChangeFigures, Measured, SourceFigures
    from workers.training.recipes.recipe import ImageSet, Recipe


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured (`head`), and the figures; `table` is the detector's as Markdown."""

    head: dict[str, Any]
    measured: Measured
    sources: Sequence[SourceFigures]
    changes: Sequence[ChangeFigures] = ()
    table: str = ""


def evaluate_run(run: Path, data: Path) -> Evaluation:
    """Score labelled images of any size by the model of a training run, as it was trained.

    Raise ScannerError; ModuleNotFoundError without the extra `train`.
    """
    recipe = _recipe_of(run)  # first, because it needs no TensorFlow
    from workers.training import environment  # noqa: PLC0415 - for runs only

    environment.prepare()
    # TensorFlow reads what `prepare` sets when it is imported.
    from workers.training.evaluation.network_scores import score  # noqa: PLC0415

    folder, images = locate(data)
    try:
        labelled = read_arrays(folder, (images,), Pixels(recipe.size, "resized"))
        scored = score(recipe, run, labelled, f"{images.file}/{images.below}".rstrip("/"))
        measured = metrics.measure(scored, metrics.DEFAULT_THRESHOLDS)
    except (DataError, OSError, ValueError) as error:
        raise ScannerError(str(error)) from error
    head = {"name": recipe.name, "version": recipe.version}
    return Evaluation(head, measured, metrics.source_figures(scored, metrics.DEFAULT_THRESHOLDS))


def _recipe_of(run: Path) -> Recipe:
    try:
        return RECIPES[json.loads((run / "recipe.json").read_text())["recipe"]["name"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ScannerError(f"{run} is not the folder of a `scanner train` run") from error


def evaluate_detector(
    name: str, data: Path, say: Callable[[str], None], *, changes: bool
) -> Evaluation:
    """Score labelled images by an installed detector, as workers run it.

    With `changes` also after saving, resizing and the like. Raise ScannerError.
    """
    card = _card(name)
    folder, sets, listings = _test_images(card, data)
    images = LabelledImages(folder, sets, listings)
    on = ", ".join(f"{each.file} {each.below}".strip() for each in sets)
    examined = detector_figures.examine(card, images, on)
    card = detector_figures.with_figures(card, examined)
    if changes:
        card = detector_figures.with_changes(card, images, say)
    if card.measured is None:
        raise ScannerError(f"{card.name} was not measured")
    head = {"name": card.name, "version": card.version, "sha256": card.sha256}
    table = markdown_tables.markdown(card, examined)
    return Evaluation(head, card.measured, card.sources, card.changes, table)


def _card(name: str) -> Card:
    with sound_models():
        cards = {name: card for name, card in installed.installed().items() if card.model}
    if name not in cards:
        raise InvalidInput(f"unknown detector {name!r}: expected one of {', '.join(cards)}")
    return cards[name]


def _test_images(card: Card, data: Path) -> tuple[Path, Sequence[ImageSet], Sequence[str]]:
    """Return the detector's test sets and listings that `data` has, else all its images."""
    recipe, probe = RECIPES.get(card.name), PROBES.get(card.name)
    tests = probe.test if probe else recipe.data.test if recipe else ()
    present = [each for each in tests if (data / each.file).exists()]
    if present:
        listings = [each for each in (probe.listings if probe else ()) if (data / each).exists()]
        return data, present, listings
    folder, images = locate(data)
    return folder, (images,), ()
