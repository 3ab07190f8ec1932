"""Fit a probe, export it, set its thresholds, and measure it once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from storage.records import NEVER
from workers.detectors import installed
from workers.detectors.card import (
    Card,
    DataSet,
    Input,
    Model,
    Output,
    Thresholds,
    load_card,
)
from workers.detectors.card_writer import to_toml
from workers.detectors.detector import calibrated
from workers.pipeline.inputs import selector_for
from workers.training.data.corruptions import changed
from workers.training.data.datasets import DataError
from workers.training.data.labelled_images import owners, read_each
from workers.training.evaluation import detector_figures, text_tables
from workers.training.export import calibration
from workers.training.export.card_texts import ABOUT
from workers.training.export.float16 import compare_floats, export_floats
from workers.training.networks import efficientnet_lite0
from workers.training.networks.pretrained_weights import pour
from workers.training.runs import claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import keras
    from numpy.typing import NDArray

    from workers.training.recipes.probes import Probe
    from workers.training.runs import Run

BATCH = 32
# Pictures that the exported net is compared with the trained one on.
COMPARED = 64


@dataclass(frozen=True, slots=True)
class Squares:
    """Training pictures as squares, with label, source and owner."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    sources: NDArray[np.str_]
    owners: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights of the features as they come, and the logits of pictures that were left out."""

    slope: NDArray[np.float64]
    intercept: float
    left_out: NDArray[np.float64]


def run_probe(probe: Probe, run: Run, tell: Callable[[str], None]) -> Path:
    """Make NAME.tflite and its card NAME.toml in the run's folder; give the card's path.

    Raises DataError for pictures or weights that are missing, ExportError, RunError.
    """
    claim(probe, run)
    squares = _squares(probe, run)
    base = efficientnet_lite0.features(probe.size)
    tell(pour(base, efficientnet_lite0.IMAGENET, run.weights or run.data))
    tell(f"{probe.name}: {base.count_params():,} parameters, {len(squares.labels):,} pictures")
    copies = []
    for copy in range(probe.copies + 1):
        copies.append(_features(probe, run, squares, base, copy))
        tell(f"features of copy {copy}")
    fitted = fit(probe, run.seed, squares, copies, tell)
    net = efficientnet_lite0.probe(base, fitted.slope, fitted.intercept, probe.name)
    path = run.out / f"{probe.name}.tflite"
    export_floats(net, path)
    compare_floats(net, path, _middle(squares.pixels[:COMPARED], probe.size))
    card = _card(probe, squares, fitted, path, net.count_params())
    path.with_suffix(".toml").write_text(to_toml(card), encoding="utf-8")
    test = list(read_each(run.data, probe.test))
    if probe.view.finder:
        # The card vouches for it, so it lies beside the card here as well.
        shutil.copyfile(installed.MODELS / probe.view.finder, run.out / probe.view.finder)
    card = detector_figures.measured(load_card(card.path), test, ABOUT[probe.name].test)
    card = detector_figures.changed(card, test, tell)
    card.path.write_text(to_toml(card), encoding="utf-8")
    if card.measured is not None:
        tell(text_tables.whole(card.measured, card.sources, card.changes))
    return card.path


def _squares(probe: Probe, run: Run) -> Squares:
    """Read the training pictures as they are seen; kept in the run's folder for the next time."""
    cache = run.out / "squares.npz"
    if not cache.exists():
        whose = owners(run.data / probe.owners) if probe.owners else {}
        found = list(_each_square(probe, run.data, whose))
        pixels, labels, sources, names = zip(*found, strict=True)
        np.savez(
            partial := cache.with_name("partial.npz"),
            pixels=np.stack(pixels),
            labels=np.array(labels, np.uint8),
            sources=np.array(sources),
            owners=np.array(names),
        )
        partial.replace(cache)
    with np.load(cache) as kept:
        return Squares(kept["pixels"], kept["labels"], kept["sources"], kept["owners"])


def _each_square(
    probe: Probe, data: Path, whose: dict[str, str]
) -> Iterator[tuple[NDArray[np.uint8], int, str, str]]:
    # A crop is cut from anywhere later; a face is one square from the beginning.
    view = replace(probe.view, crops=1) if probe.view.kind == "crops" else probe.view
    model_input = Input(probe.kept, probe.kept, "RGB", 0, 255, *probe.sides)
    nothing = Thresholds(NEVER, NEVER)
    card = Card(probe.name, probe.version, "", nothing, (), input=model_input, view=view)
    selector = selector_for(card)
    some = False
    for picture in read_each(data, probe.train):
        # One square per image, the largest face: no image may lie in two folds.
        for inputs in selector.select(picture.decoded).of(probe.name)[:1]:
            some = True
            (pixels,) = inputs.arrays
            yield pixels, picture.label, picture.source, whose.get(picture.name, picture.source)
    if not some:
        raise DataError(f"no training picture has anything for {probe.name} in it")


def _features(
    probe: Probe, run: Run, squares: Squares, base: keras.Model, copy: int
) -> NDArray[np.float32]:
    """Give the features of all pictures as they are (copy 0) or changed; kept for the next time."""
    cache = run.out / f"features-{copy}.npy"
    if not cache.exists():
        draw = np.random.default_rng((run.seed, copy))
        found = []
        for start in range(0, len(squares.labels), BATCH):
            part = squares.pixels[start : start + BATCH]
            if copy:
                part = np.stack([changed(each, probe.size, probe.changes, draw) for each in part])
            else:
                part = _middle(part, probe.size)
            found.append(np.asarray(base.predict_on_batch(part.astype(np.float32))))
        partial = cache.with_name("partial.npy")
        np.save(partial, np.concatenate(found).astype(np.float16))
        partial.replace(cache)
    features: NDArray[np.float32] = np.load(cache).astype(np.float32)
    return features


def _middle(squares: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    start = (squares.shape[1] - size) // 2
    return squares[:, start : start + size, start : start + size]


def fit(
    probe: Probe,
    seed: int,
    squares: Squares,
    copies: list[NDArray[np.float32]],
    tell: Callable[[str], None],
) -> Fitted:
    """Choose how strongly the weights are held down by pictures left out, then fit to all."""
    scaler = StandardScaler().fit(np.concatenate(copies))
    features = np.concatenate([scaler.transform(copy) for copy in copies])
    weights = _weights(squares)
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for strength in probe.strengths:
        left_out = np.zeros(len(squares.labels))
        for train, held in _folds(probe, seed, squares):
            rows = np.concatenate([train + n * len(squares.labels) for n in range(len(copies))])
            fitted = _regression(strength, features, squares, weights, rows)
            left_out[held] = fitted.decision_function(features[held])
        auc = float(roc_auc_score(squares.labels, left_out))
        tell(f"strength {strength:g}: ROC AUC {auc:.4f} on pictures left out")
        if best is None or auc > best[0]:
            best = auc, strength, left_out
    if best is None:
        raise DataError(f"{probe.name} has no strength to choose from")
    fitted = _regression(best[1], features, squares, weights, np.arange(len(features)))
    slope = fitted.coef_[0] / scaler.scale_
    return Fitted(slope, float(fitted.intercept_[0] - slope @ scaler.mean_), best[2])


def _regression(
    strength: float,
    features: NDArray[np.float32],
    squares: Squares,
    weights: NDArray[np.float64],
    rows: NDArray[np.intp],
) -> LogisticRegression:
    of = rows % len(squares.labels)
    regression = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
    return regression.fit(features[rows], squares.labels[of], sample_weight=weights[of])


def _weights(squares: Squares) -> NDArray[np.float64]:
    """A source counts by the root of its size, so that none drowns the others; classes alike."""
    weights = np.zeros(len(squares.labels))
    for label in (0, 1):
        of_it = squares.labels == label
        if not of_it.any():
            raise DataError("the training pictures are of one class only")
        _, places, counts = np.unique(
            squares.sources[of_it], return_inverse=True, return_counts=True
        )
        each = 1 / np.sqrt(counts[places])
        weights[of_it] = each / each.sum() * len(weights)
    return weights


def _folds(
    probe: Probe, seed: int, squares: Squares
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    if probe.one_by_one:
        folds = StratifiedKFold(probe.folds, shuffle=True, random_state=seed)
        return folds.split(squares.labels, squares.labels)  # type: ignore[no-any-return]
    folds = GroupKFold(probe.folds, shuffle=True, random_state=seed)
    return folds.split(squares.labels, groups=squares.owners)  # type: ignore[no-any-return]


def _card(probe: Probe, squares: Squares, fitted: Fitted, path: Path, parameters: int) -> Card:
    about = ABOUT[probe.name]
    platt = calibration.fit(fitted.left_out, squares.labels)
    scores = calibrated(fitted.left_out, platt)
    counts = np.bincount(squares.labels, minlength=2).tolist()
    return Card(
        name=probe.name,
        version=probe.version,
        summary=about.summary,
        thresholds=calibration.thresholds(scores, squares.labels, calibration.FALSE_ALARM_RATE),
        limits=about.limits,
        data=(
            DataSet(about.data, "training, and, left out in parts, all that was chosen",
                    real=counts[0], ai=counts[1], terms=about.terms),
        ),
        model=Model.of(path, parameters, "LiteRT, floats, weights of 16 bits"),
        input=Input(probe.size, probe.size, "RGB", 0, 255, *probe.sides),
        output=Output("logits", 1, ai=1),
        view=probe.view,
        calibration=platt,
        path=path.with_suffix(".toml"),
    )  # fmt: skip
