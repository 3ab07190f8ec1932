"""Training of a linear probe: fit it, export it, set its thresholds, and measure it once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from storage.records import NEVER
from workers.detectors import installed
from workers.detectors.card import Card, DataSet, Input, Model, Output, Thresholds
from workers.pipeline.inputs import selector_for
from workers.training.data.corruptions import corrupted
from workers.training.data.datasets import DataError
from workers.training.data.labelled_images import read_images, read_owners
from workers.training.evaluation import text_tables
from workers.training.evaluation.metrics import roc_auc_of
from workers.training.export import calibration
from workers.training.export.card_texts import CARD_TEXTS
from workers.training.export.detector_files import write_measured
from workers.training.export.tflite import compare_float16, export_float16
from workers.training.networks import efficientnet_lite0
from workers.training.networks.pretrained_weights import load_weights
from workers.training.runs import claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import keras
    from numpy.typing import NDArray

    from workers.training.recipes.probes import Probe
    from workers.training.runs import Run

BATCH = 32
# Images on which the exported model is compared with the trained one.
COMPARED = 64


@dataclass(frozen=True, slots=True)
class Squares:
    """Squares of training images, (n, side, side, 3), with label, source and owner."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    sources: NDArray[np.str_]
    owners: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class FittedProbe:
    """Weights of the features, and the logits of images by probes that were not fitted to them."""

    slope: NDArray[np.float64]
    intercept: float
    held_out_logits: NDArray[np.float64]


def train_probe(probe: Probe, run: Run, report: Callable[[str], None]) -> Path:
    """Write NAME.tflite and its card NAME.toml into the run's folder; return the card's path.

    Raises DataError for images or weights that are missing, ExportError, RunError.
    """
    claim(probe, run)
    squares = read_squares(probe, run)
    base = efficientnet_lite0.features(probe.size)
    report(load_weights(base, efficientnet_lite0.IMAGENET, run.weights or run.data))
    report(f"{probe.name}: {base.count_params():,} parameters, {len(squares.labels):,} images")
    copies = []
    for copy in range(probe.copies + 1):
        copies.append(_features(probe, run, squares, base, copy))
        report(f"features of copy {copy}")
    fitted = fit(probe, run.seed, squares, copies, report)
    model = efficientnet_lite0.probe(base, fitted.slope, fitted.intercept, probe.name)
    path = run.out / f"{probe.name}.tflite"
    export_float16(model, path)
    compare_float16(model, path, _middle(squares.pixels[:COMPARED], probe.size))
    if probe.view.finder:
        # The card states its checksum, so it has to be beside the card.
        shutil.copyfile(installed.MODELS / probe.view.finder, run.out / probe.view.finder)
    card = _card(probe, squares, fitted, path, model.count_params())
    card = write_measured(card, run.data, probe.test, report)
    if card.measured is not None:
        report(text_tables.all_tables(card.measured, card.sources, card.changes))
    return card.path


def read_squares(probe: Probe, run: Run) -> Squares:
    """Return the inputs of the training images, cached in the run's folder."""
    cache = run.out / "squares.npz"
    if not cache.exists():
        owners = read_owners(run.data / probe.owners) if probe.owners else {}
        rows = list(_each_square(probe, run.data, owners))
        if not rows:
            raise DataError(f"no training image has an input for {probe.name}")
        pixels, labels, sources, names = zip(*rows, strict=True)
        np.savez(
            partial := cache.with_name("partial.npz"),
            pixels=np.stack(pixels),
            labels=np.array(labels, np.uint8),
            sources=np.array(sources),
            owners=np.array(names),
        )
        partial.replace(cache)
    with np.load(cache) as arrays:
        return Squares(arrays["pixels"], arrays["labels"], arrays["sources"], arrays["owners"])


def _each_square(
    probe: Probe, data: Path, owners: dict[str, str]
) -> Iterator[tuple[NDArray[np.uint8], int, str, str]]:
    # A crop is cut from anywhere later; a face is one square from the beginning.
    view = replace(probe.view, crops=1) if probe.view.kind == "crops" else probe.view
    kept = Input(probe.kept, probe.kept, "RGB", 0, 255, *probe.sides)
    unset = Thresholds(NEVER, NEVER)
    selector = selector_for(Card(probe.name, probe.version, "", unset, (), input=kept, view=view))
    for image in read_images(data, probe.train):
        # One square per image, the largest face: no image may be in two folds.
        for inputs in selector.select(image.decoded).of(probe.name)[:1]:
            owner = owners.get(image.name, image.source)
            yield inputs.views[0][0], image.label, image.source, owner


def _features(
    probe: Probe, run: Run, squares: Squares, base: keras.Model, copy: int
) -> NDArray[np.float32]:
    """Return the features of all images as they are (copy 0) or corrupted, cached in the folder."""
    cache = run.out / f"features-{copy}.npy"
    if not cache.exists():
        random = np.random.default_rng((run.seed, copy))
        features = []
        for start in range(0, len(squares.labels), BATCH):
            part = squares.pixels[start : start + BATCH]
            if copy:
                part = np.stack(
                    [corrupted(each, probe.size, probe.changes, random) for each in part]
                )
            else:
                part = _middle(part, probe.size)
            features.append(np.asarray(base.predict_on_batch(part.astype(np.float32))))
        partial = cache.with_name("partial.npy")
        np.save(partial, np.concatenate(features).astype(np.float16))
        partial.replace(cache)
    return np.load(cache).astype(np.float32)  # type: ignore[no-any-return]


def _middle(squares: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    start = (squares.shape[1] - size) // 2
    return squares[:, start : start + size, start : start + size]


def fit(
    probe: Probe,
    seed: int,
    squares: Squares,
    copies: list[NDArray[np.float32]],
    report: Callable[[str], None],
) -> FittedProbe:
    """Choose the regularisation by cross-validation, then fit to all images."""
    scaler = StandardScaler().fit(np.concatenate(copies))
    features = np.concatenate([scaler.transform(copy) for copy in copies])
    weights = _weights(squares)
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for strength in probe.strengths:
        held_out_logits = np.zeros(len(squares.labels))
        for train, held_out in _folds(probe, seed, squares):
            rows = np.concatenate([train + n * len(squares.labels) for n in range(len(copies))])
            fitted = _regression(strength, features, squares, weights, rows)
            held_out_logits[held_out] = fitted.decision_function(features[held_out])
        auc = roc_auc_of(held_out_logits, squares.labels)
        report(f"strength {strength:g}: ROC AUC {auc:.4f} on held-out images")
        if best is None or auc > best[0]:
            best = auc, strength, held_out_logits
    if best is None:
        raise DataError(f"{probe.name} has no strength to choose from")
    fitted = _regression(best[1], features, squares, weights, np.arange(len(features)))
    slope = fitted.coef_[0] / scaler.scale_
    return FittedProbe(slope, float(fitted.intercept_[0] - slope @ scaler.mean_), best[2])


def _regression(
    strength: float,
    features: NDArray[np.float32],
    squares: Squares,
    weights: NDArray[np.float64],
    rows: NDArray[np.intp],
) -> LogisticRegression:
    images = rows % len(squares.labels)
    regression = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
    return regression.fit(features[rows], squares.labels[images], sample_weight=weights[images])


def _weights(squares: Squares) -> NDArray[np.float64]:
    """Weigh sources by the root of their size, so that none dominates, and both classes alike."""
    weights = np.zeros(len(squares.labels))
    for label in (0, 1):
        of_class = squares.labels == label
        if not of_class.any():
            raise DataError("the training images are of one class only")
        _, indices, counts = np.unique(
            squares.sources[of_class], return_inverse=True, return_counts=True
        )
        each = 1 / np.sqrt(counts[indices])
        weights[of_class] = each / each.sum() * len(weights)
    return weights


def _folds(
    probe: Probe, seed: int, squares: Squares
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    if probe.one_by_one:
        folds = StratifiedKFold(probe.folds, shuffle=True, random_state=seed)
        return folds.split(squares.labels, squares.labels)  # type: ignore[no-any-return]
    folds = GroupKFold(probe.folds, shuffle=True, random_state=seed)
    return folds.split(squares.labels, groups=squares.owners)  # type: ignore[no-any-return]


def _card(probe: Probe, squares: Squares, fitted: FittedProbe, path: Path, parameters: int) -> Card:
    text = CARD_TEXTS[probe.name]
    calibrated, thresholds = calibration.calibrate(fitted.held_out_logits, squares.labels)
    real, ai = np.bincount(squares.labels, minlength=2).tolist()
    use = "training; settings and thresholds were chosen by cross-validation"
    return Card(
        name=probe.name,
        version=probe.version,
        summary=text.summary,
        thresholds=thresholds,
        limits=text.limits,
        data=(DataSet(text.data, use, real=real, ai=ai, terms=text.terms),),
        model=Model.of(path, parameters, "LiteRT, floats, weights of 16 bits"),
        input=Input(probe.size, probe.size, "RGB", 0, 255, *probe.sides),
        output=Output("logits", 1, ai=1),
        view=probe.view,
        calibration=calibrated,
        path=path.with_suffix(".toml"),
    )
