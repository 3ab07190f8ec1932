"""Measure what an image's trivial properties reveal: the shortcuts that a model might take.

    python benchmarks/shortcuts.py scenes DATA
    python benchmarks/shortcuts.py faces DATA

A random forest gets ten numbers per image and nothing else: bytes per pixel, mean colours,
contrast, saturation, sharpness, noise, and how visible the blocks of a JPEG are. It is trained on
the very squares that the probe learns from, first as in the files, then as in the probe's training:
cropped, resized and saved again, both classes alike. Each image is scored by a forest that saw none
of its owner's. The nearer to 0.5 the second figure, the less a model can gain by anything but the
traces of a generator.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import numpy as np

from workers.training import environment

environment.prepare()

from PIL import Image  # noqa: E402 - after `prepare`
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402
from sklearn.model_selection import GroupKFold  # noqa: E402

from workers.training import linear_probe  # noqa: E402
from workers.training.data.corruptions import corrupted  # noqa: E402
from workers.training.recipes.probes import PROBES  # noqa: E402
from workers.training.runs import Run  # noqa: E402

QUALITY = 90
BLOCK = 8


def main() -> None:
    """Print both areas under the ROC curve."""
    how, data = PROBES[sys.argv[1]], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as out:
        squares = linear_probe.read_squares(how, Run(data, Path(out)))
    draw = np.random.default_rng(1)
    start = (how.kept - how.size) // 2
    middle = slice(start, start + how.size)
    as_is = np.array([trivial(one[middle, middle]) for one in squares.pixels])
    shown = np.array([
        trivial(corrupted(one, how.size, how.changes, draw)) for one in squares.pixels
    ])  # fmt: skip
    print(f"{how.name}: {len(as_is):,} squares of {len(set(squares.owners.tolist()))} owners")
    for name, numbers in (("as they are", as_is), ("as training shows them", shown)):
        auc = left_out(numbers, squares)
        print(f"{name}: ROC AUC {auc:.3f}")


def left_out(numbers: np.ndarray, squares: linear_probe.Squares) -> float:
    """Return how well a forest separates the classes on owners that it has not seen."""
    scores = np.zeros(len(numbers))
    folds = GroupKFold(4, shuffle=True, random_state=1)
    for train, held in folds.split(numbers, groups=squares.owners):
        forest = RandomForestClassifier(300, min_samples_leaf=5, random_state=1, n_jobs=-1)
        forest.fit(numbers[train], squares.labels[train])
        scores[held] = forest.predict_proba(numbers[held])[:, 1]
    return float(roc_auc_score(squares.labels, scores))


def trivial(pixels: np.ndarray) -> list[float]:
    """Return ten numbers of a square that need no understanding of its content."""
    body = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(body, "JPEG", quality=QUALITY)
    values = pixels.astype(np.float64)
    grey = values.mean(axis=2)
    across, down = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1]
    laplacian -= grey[1:-1, :-2] + grey[1:-1, 2:]
    return [
        body.tell() / grey.size,
        *values.mean(axis=(0, 1)),
        float(grey.std()),
        float((values.max(axis=2) - values.min(axis=2)).mean()),
        float(laplacian.var()),
        float(np.median(np.abs(laplacian))),
        float(across.mean() + down.mean()),
        blocks(across) + blocks(down.T),
    ]


def blocks(steps: np.ndarray) -> float:
    """Return how much steeper the steps on an 8-pixel grid are, at its worst offset."""
    columns = steps.mean(axis=0)
    by_place = [columns[place::BLOCK].mean() for place in range(BLOCK)]
    return float(max(by_place) / (np.mean(by_place) + 1e-9))


if __name__ == "__main__":
    main()
