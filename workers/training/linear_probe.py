"""Training of a linear probe: fit it, export it, set its thresholds, and measure it once."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from storage.records import NEVER
from workers.detectors import installed
from workers.detectors.card import (
    Calibration,
    Card,
    DataSet,
    Input,
    Model,
    Output,
    Thresholds,
    sha256_of,
)
from workers.detectors.custom_model import EmbeddingModel, load_custom
from workers.detectors.detector import probabilities
from workers.detectors.head import Head
from workers.training.data.datasets import DataError
from workers.training.data.labelled_images import LabelledImages
from workers.training.embeddings import Embedder, Embeddings
from workers.training.evaluation import text_tables
from workers.training.evaluation.metrics import roc_auc_of
from workers.training.export import calibration, owner_thresholds
from workers.training.export.card_texts import CARD_TEXTS
from workers.training.export.detector_files import write_measured
from workers.training.export.tflite import compare_float16, export_float16
from workers.training.networks import efficientnet_lite0
from workers.training.networks.pretrained_weights import load_weights
from workers.training.runs import claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.training.recipes.probes import Probe
    from workers.training.runs import Run

RUNTIME = "LiteRT, floats, weights of 16 bits"
# Embeddings of a folder of images, in a run's folder unless another is named.
CACHE = "embeddings"


@dataclass(frozen=True, slots=True)
class FittedProbe:
    """A head, and the logits of images by heads that saw no image of their owners."""

    head: Head
    held_out_logits: NDArray[np.float64]


def train_probe(probe: Probe, run: Run, report: Callable[[str], None]) -> Path:
    """Write the model, its head and the card NAME.toml into the run's folder; return the card.

    Raises DataError for images or weights that are missing, ExportError, RunError.
    """
    claim(probe, run)
    embeddings = embeddings_of(probe, run, report)
    fitted = fit(probe, run.seed, embeddings, report)
    card = _with_head(_unfitted_card(probe, run), probe, embeddings, fitted)
    card = write_measured(card, run.data, probe.test, probe.listings, report)
    if card.measured is not None:
        report(text_tables.all_tables(card.measured, card.sources, card.changes))
    return card.path


def embeddings_of(probe: Probe, run: Run, report: Callable[[str], None]) -> Embeddings:
    """Return the embeddings of the training images; DataError, ExportError."""
    path = _model_file(probe, run)
    if not path.exists():
        base = efficientnet_lite0.features(probe.size)
        report(load_weights(base, efficientnet_lite0.IMAGENET, run.weights or run.data))
        partial = path.with_suffix(".partial.tflite")
        export_float16(base, partial)
        compare_float16(base, partial)
        partial.replace(path)
    if probe.view.finder:
        # The card states its checksum, so it has to be beside the card.
        shutil.copyfile(installed.MODELS / probe.view.finder, run.out / probe.view.finder)
    model = load_custom(_unfitted_card(probe, run))
    if not isinstance(model, EmbeddingModel):
        raise TypeError(f"{probe.name} returns no embedding")
    images = LabelledImages(run.data, probe.train, probe.listings)
    embedder = Embedder(probe, model, run.cache or run.out / CACHE, run.seed)
    return embedder.embeddings(images, report)


def _model_file(probe: Probe, run: Run) -> Path:
    return run.out / f"{efficientnet_lite0.NAME}-{probe.size}.tflite"


def _unfitted_card(probe: Probe, run: Run) -> Card:
    """Return a card with a head of zeros, by which a scan's own code computes embeddings."""
    text = CARD_TEXTS[probe.name]
    card = Card(
        name=probe.name,
        version=probe.version,
        summary=text.summary,
        thresholds=Thresholds(NEVER, NEVER),
        limits=text.limits,
        model=Model.of(_model_file(probe, run), efficientnet_lite0.PARAMETERS, RUNTIME),
        input=Input(probe.size, probe.size, "RGB", 0, 255, *probe.sides),
        view=probe.view,
        calibration=Calibration("none", 1.0, 0.0, 0),
        path=run.out / f"{probe.name}.toml",
    )
    zeros = np.zeros((probe.view.count, efficientnet_lite0.NUMBERS))
    return _write(card, Head(zeros, 0.0, zeros, unit_length=False))


def _write(card: Card, head: Head) -> Card:
    """Write a head beside its card; return the card that names it."""
    path = card.path.with_name(f"{card.name}.head.json")
    head.write(path)
    output = Output("embedding", head.weights.shape[1], 1, "", path.name, sha256_of(path))
    return replace(card, output=output)


def fit(
    probe: Probe, seed: int, embeddings: Embeddings, report: Callable[[str], None]
) -> FittedProbe:
    """Choose the regularisation by cross-validation, then fit to all images."""
    features = _Features.of(embeddings)
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for strength in probe.strengths:
        logits = np.zeros(len(embeddings.labels))
        for train, held_out in _folds(probe, seed, embeddings):
            fitted = features.regression(strength, train)
            logits[held_out] = fitted.decision_function(features.values[0, held_out])
        auc = roc_auc_of(logits, embeddings.labels)
        report(f"strength {strength:g}: ROC AUC {auc:.4f} on images of owners left out")
        if best is None or auc > best[0]:
            best = auc, strength, logits
    if best is None:
        raise DataError(f"{probe.name} has no strength to choose from")
    _, strength, logits = best
    everything = np.arange(len(embeddings.labels))
    fitted = features.regression(strength, everything)
    return FittedProbe(features.head(strength, fitted), logits)


@dataclass(frozen=True, slots=True)
class _Features:
    """Embeddings of unit variance, (copies, images, numbers), with weights of the images."""

    values: NDArray[np.float32]
    labels: NDArray[np.uint8]
    weights: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    views: int

    @classmethod
    def of(cls, embeddings: Embeddings) -> _Features:
        images, copies, views, numbers = embeddings.values.shape
        values = np.empty((copies, images, views * numbers), np.float32)
        for copy in range(copies):
            values[copy] = embeddings.values[:, copy].reshape(images, -1)
        rows = values.reshape(copies * images, -1)
        mean, scale = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        scale[scale == 0] = 1.0
        rows -= mean.astype(np.float32)
        rows /= scale.astype(np.float32)
        return cls(values, embeddings.labels, weights_of(embeddings), mean, scale, views)

    def regression(self, strength: float, images: NDArray[np.intp]) -> LogisticRegression:
        """Fit to images and their copies, which share an image's weight."""
        copies = len(self.values)
        rows = self.values[:, images].reshape(copies * len(images), -1)
        labels = np.tile(self.labels[images], copies)
        weights = np.tile(self.weights[images] / copies, copies)
        regression = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
        return regression.fit(rows, labels, sample_weight=weights)

    def head(self, strength: float, fitted: LogisticRegression) -> Head:
        """Return the head for embeddings as they are, with the precision of its weights."""
        copies = len(self.values)
        precision = np.full(len(self.mean), 1 / strength)
        for copy in range(copies):
            p = fitted.predict_proba(self.values[copy])[:, 1]
            each = (self.weights / copies * p * (1 - p)).astype(np.float32)
            precision += each @ np.square(self.values[copy])
        shape = (self.views, -1)
        return Head(
            weights=(fitted.coef_[0] / self.scale).reshape(shape),
            bias=float(fitted.intercept_[0]),
            mean=self.mean.reshape(shape),
            precision=(precision * self.scale**2).reshape(shape),
            unit_length=False,
        )


def weights_of(embeddings: Embeddings) -> NDArray[np.float64]:
    """Weigh owners by the root of their images, so that none dominates, and both classes alike."""
    weights = np.zeros(len(embeddings.labels))
    for label in (0, 1):
        of_class = embeddings.labels == label
        if not of_class.any():
            raise DataError("the training images are of one class only")
        _, indices, counts = np.unique(
            embeddings.owners[of_class], return_inverse=True, return_counts=True
        )
        each = 1 / np.sqrt(counts[indices])
        weights[of_class] = each / each.sum() * len(weights) / 2
    return weights


def _folds(
    probe: Probe, seed: int, embeddings: Embeddings
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    folds = GroupKFold(probe.folds, shuffle=True, random_state=seed)
    return folds.split(embeddings.labels, groups=embeddings.owners)  # type: ignore[no-any-return]


def _with_head(card: Card, probe: Probe, embeddings: Embeddings, fitted: FittedProbe) -> Card:
    """Return the card with the fitted head, its calibration and its thresholds."""
    labels = embeddings.labels
    calibrated = calibration.fit(fitted.held_out_logits, labels)
    # As if both classes were equally frequent, as 0.5 means elsewhere.
    real, ai = np.bincount(labels, minlength=2).tolist()
    calibrated = replace(calibrated, intercept=calibrated.intercept + math.log(real / ai))
    scores = probabilities(fitted.held_out_logits, calibrated)
    held_out = owner_thresholds.HeldOut(scores, labels, embeddings.owners)
    thresholds = owner_thresholds.thresholds(held_out)
    # What is AI-generated differs by generator more than by who published it.
    by_source = replace(held_out, owners=np.where(labels == 1, embeddings.sources, held_out.owners))
    text = CARD_TEXTS[probe.name]
    owners = len(set(embeddings.owners.tolist()))
    use = f"training; settings and thresholds by cross-validation over {owners} owners"
    return replace(
        _write(card, fitted.head),
        thresholds=thresholds,
        held_out=owner_thresholds.by_owner(by_source, thresholds.flagged_from),
        data=(DataSet(text.data, use, real=real, ai=ai, terms=text.terms),),
        calibration=calibrated,
    )
