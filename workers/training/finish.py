"""What follows training: export, calibrate, write the card, and measure, once, on the test set."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from workers.detectors.card import (
    Calibration,
    Card,
    DataSet,
    Input,
    Measured,
    Model,
    Thresholds,
    load_card,
)
from workers.detectors.detector import calibrated
from workers.detectors.runtimes import LiteRT
from workers.training import calibrate, classification, curves, evaluate, nets
from workers.training.about import ABOUT, About
from workers.training.cards import to_toml
from workers.training.data import Parts, parts_of, read
from workers.training.export import REPRESENTATIVE, Agreement, compare, export
from workers.training.train import BEST, Epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from workers.training.recipes import Recipe
    from workers.training.train import Run

# The share of held-out real images that may be called AI.
FALSE_ALARM_RATE = 0.01


@dataclass(frozen=True, slots=True)
class Finished:
    """What came out: the card as it was written, and the int8 net beside the float one."""

    card: Card
    agreement: Agreement
    float_validation_accuracy: float


def finish(
    recipe: Recipe, run: Run, history: Sequence[Epoch], tell: Callable[[str], None]
) -> Finished:
    """Make NAME.tflite and NAME.toml, and the curves, in the run's folder.

    Nothing is chosen by the test set: it is read last. Raises ExportError when the quantised net
    is not the trained one, DataError when the test set is missing.
    """
    parts = parts_of(recipe, run.data, run.out)
    # In 32 bits throughout, whatever it was trained in: that is what the converter takes.
    net = nets.build(recipe)
    net.set_weights(keras.models.load_model(run.out / BEST, compile=False).get_weights())
    path = run.out / f"{recipe.name}.tflite"
    export(net, _representative(parts, recipe), path)
    agreement = compare(net, path, parts.validation.images)
    tell(f"exported, {agreement.called_otherwise:.2%} of {agreement.images} called otherwise")
    card = _card(recipe, parts, path, net.count_params())
    _write(card)
    test = evaluate.score(card, read(run.data / recipe.test_zip, recipe.size), _about(recipe).test)
    measured = evaluate.measure(test, card.thresholds.ai)
    card = replace(card, measured=measured)
    _write(card)
    _record(run.out, history, agreement, measured)
    title = f"{recipe.name} version {recipe.version}, {net.count_params():,} parameters"
    curves.draw(title, history, measured, run.out / "curves.png")
    tell(classification.table(measured))
    best = max(each.validation_accuracy for each in history)
    return Finished(load_card(card.path), agreement, best)


def _representative(
    parts: Parts, recipe: Recipe
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    draw = np.random.default_rng(recipe.split.seed)
    return parts.train.images[draw.permutation(len(parts.train))[:REPRESENTATIVE]]


def _card(recipe: Recipe, parts: Parts, path: Path, parameters: int) -> Card:
    about = _about(recipe)
    calibration, at = _calibrated(parts, path)
    body = path.read_bytes()
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
        model=Model(
            file=path.name,
            sha256=hashlib.sha256(body).hexdigest(),
            bytes=len(body),
            parameters=parameters,
            runtime="LiteRT, full int8",
        ),
        input=Input(recipe.size, recipe.size, "RGB", 0, 255, *about.sides),
        calibration=calibration,
        path=path.with_suffix(".toml"),
    )


def _calibrated(parts: Parts, path: Path) -> tuple[Calibration, Thresholds]:
    """Calibrate what will run: the quantised net's logits, not those of the float one."""
    session = LiteRT(path)
    logits = session.levels()[session.run(list(parts.calibration.images))]
    fitted = calibrate.fit(logits, parts.calibration.labels)
    scores = calibrated(logits, fitted)
    return fitted, calibrate.thresholds(scores, parts.calibration.labels, FALSE_ALARM_RATE)


def _write(card: Card) -> None:
    card.path.write_text(to_toml(card), encoding="utf-8")


def _record(out: Path, history: Sequence[Epoch], agreement: Agreement, measured: Measured) -> None:
    figures = {
        "history": [asdict(each) for each in history],
        "agreement": asdict(agreement),
        "test": asdict(measured),
    }
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (out / "classification.txt").write_text(classification.table(measured), encoding="utf-8")


def _about(recipe: Recipe) -> About:
    return ABOUT[recipe.name]
