"""Measure what `scanner learn` gains from a hundred answers.

    python benchmarks/learn.py FOLDER... [--answers 100] [--rounds 20] [--detector scenes]

Each FOLDER has folders REAL and FAKE of one folder per owner, whose images were not trained on. In
each round half of the owners of each class play the collection: that many of their images are
answered, as many of each class as possible, and the head is fitted to them as `scanner learn` does.
Printed are ROC AUC and the share of AI-generated images that is found at a false-positive rate of
1 %, before and after, on the collection's other images and on those of the other owners: medians
over the rounds, and the 10 % and 90 % quantiles of the change.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workers.detectors import installed, refit
from workers.detectors.detector import EmbeddingDetector
from workers.detectors.loading import load
from workers.evaluation import metrics
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.pipeline.inputs import selector_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workers.detectors.head import Head

# (ROC AUC before, after), (found before, after)
Figures = tuple[tuple[float, float], tuple[float, float]]

SEED = 20_263
RATE = 0.01


@dataclass(frozen=True, slots=True)
class Images:
    """Embeddings, (n, views, numbers), labels and owners, (n,)."""

    answers: refit.Answers
    owners: NDArray[np.str_]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--detector", default="scenes")
    options = parser.parse_args()
    detector = load(installed.built_in()[options.detector])
    if not isinstance(detector, EmbeddingDetector) or detector.card.calibration is None:
        parser.error(f"{options.detector} has no head to fit")
    images = read(options.folders, detector)
    prior = refit.Prior(detector.head, detector.card.calibration)
    random = np.random.default_rng(SEED)
    rows = [one_round(images, prior, options.answers, random) for _ in range(options.rounds)]
    owners = len(set(images.owners.tolist()))
    print(f"{len(images.owners):,} images of {owners} owners, {options.rounds} rounds")
    print("images                      figure         before   after   change (10 % to 90 %)")
    for number, name in enumerate(("of the same collection", "of other owners")):
        for figure, title in enumerate(("ROC AUC", "found at 1 %")):
            values = np.array([row[number][figure] for row in rows])
            change = np.quantile(values[:, 1] - values[:, 0], (0.1, 0.9))
            before, after = np.median(values, axis=0)
            print(
                f"{name:26}  {title:12}  {before:7.3f} {after:7.3f}   "
                f"{change[0]:+.3f} to {change[1]:+.3f}"
            )


def read(folders: Sequence[Path], detector: EmbeddingDetector) -> Images:
    """Return the embeddings of all images that the detector examines."""
    selector = selector_for(detector.card)
    embeddings, labels, owners = [], [], []
    for path in sorted(path for folder in folders for path in folder.glob("*/*/*")):
        try:
            decoded = decode(path.read_bytes(), native=True)
        except DecodeError:
            continue
        inputs = selector.select(decoded)
        if not inputs.findings and (chosen := inputs.of(detector.card.name)):
            embeddings.append(detector.embedding(chosen[0].views))
            labels.append(path.parent.parent.name == "FAKE")
            owners.append(path.parent.name)
    groups = np.unique(np.array(owners), return_inverse=True)[1].ravel()
    return Images(
        refit.Answers(np.stack(embeddings), np.array(labels, np.uint8), groups), np.array(owners)
    )


def one_round(
    images: Images, prior: refit.Prior, count: int, random: np.random.Generator
) -> list[Figures]:
    """Return the figures of the collection's other images, and of those of the other owners."""
    labels = images.answers.labels
    inside = np.zeros(len(labels), bool)
    for label in (0, 1):
        owners = np.unique(images.owners[labels == label])
        chosen = random.permutation(owners)[: (len(owners) + 1) // 2]
        inside |= (labels == label) & np.isin(images.owners, chosen)
    answered = np.concatenate(
        [
            random.permutation(np.flatnonzero(inside & (labels == label)))[: count // 2]
            for label in (0, 1)
        ]
    )
    answers = images.answers.take(answered)
    fitted = prior.fitted(answers, refit.cross_validate(prior, answers).firmness)
    rest = inside.copy()
    rest[answered] = False
    lots = [images.answers.take(np.flatnonzero(lot)) for lot in (rest, ~inside)]
    return [figures(lot, prior, fitted) for lot in lots]


def figures(images: refit.Answers, prior: refit.Prior, fitted: Head) -> Figures:
    """Return the figures of the shipped and of the fitted head."""
    before = prior.logits(images)
    after = np.array([fitted.logit(each) for each in images.embeddings])
    return (
        (auc(before, images.labels), auc(after, images.labels)),
        (found_at(before, images.labels), found_at(after, images.labels)),
    )


def auc(scores: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    """Return the area under the ROC curve."""
    return metrics.roc_auc(metrics.score_counts(scores.tolist(), (labels == 1).tolist())) or 0.0


def found_at(scores: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    """Return the share of AI-generated images above all but RATE of the others."""
    threshold = np.quantile(scores[labels == 0], 1 - RATE)
    return float(np.mean(scores[labels == 1] > threshold))


if __name__ == "__main__":
    main()
