"""Measure what an image's trivial properties reveal: the shortcuts that a model might take.

    python benchmarks/shortcuts.py scenes DATA
    python benchmarks/shortcuts.py faces DATA

A random forest gets ten numbers per image and nothing else: bytes per pixel, mean colours,
contrast, saturation, sharpness, noise, and how visible the blocks of a JPEG are. It is trained on
the first square that the probe gets of each image, as in the files, and then of a changed copy as
in the probe's training: cropped, resized and saved again, both classes alike. Each image is scored
by a forest that saw none of its owner's. The nearer to 0.5 the second figure, the less a model can
gain by anything but the traces of a generator.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np

from workers.training import environment

environment.prepare()

from PIL import Image  # noqa: E402 - after `prepare`
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402
from sklearn.model_selection import GroupKFold  # noqa: E402

from storage.records import NEVER  # noqa: E402
from workers.detectors.card import Card, Input, Thresholds  # noqa: E402
from workers.images.rgb import to_rgb  # noqa: E402
from workers.pipeline.inputs import selector_for  # noqa: E402
from workers.training.data.corruptions import corrupted  # noqa: E402
from workers.training.data.labelled_images import (  # noqa: E402
    LabelledImages,
    decoded_file,
    decoded_from,
)
from workers.training.recipes.probes import PROBES  # noqa: E402

QUALITY = 90
BLOCK = 8


def main() -> None:
    """Print both areas under the ROC curve."""
    probe, data = PROBES[sys.argv[1]], Path(sys.argv[2])
    images = LabelledImages(data, probe.train, probe.listings)
    square = Input(probe.size, probe.size, "RGB", 0, 255, *probe.sides)
    unset = Thresholds(NEVER, NEVER)
    card = Card(probe.name, probe.version, "", unset, (), input=square, view=probe.view)
    selector, draw = selector_for(card), np.random.default_rng(1)
    as_is, shown, labels, owners = [], [], [], []
    for file in images.files:
        decoded = decoded_file(file)
        inputs = selector.select(decoded).of(probe.name)
        if not inputs or decoded.native is None:
            continue
        copy = corrupted(to_rgb(decoded.native), probe.changes, draw)
        of_copy = selector.select(decoded_from(copy, decoded.orientation)).of(probe.name)
        as_is.append(trivial(inputs[0].views[0][0]))
        shown.append(trivial((of_copy or inputs)[0].views[0][0]))
        labels.append(file.label)
        owners.append(images.origins.owner(file))
    print(f"{probe.name}: {len(as_is):,} squares of {len(set(owners)):,} owners")
    for name, numbers in (("as they are", as_is), ("as training shows them", shown)):
        auc = left_out(np.array(numbers), np.array(labels), owners)
        print(f"{name}: ROC AUC {auc:.3f}")


def left_out(numbers: np.ndarray, labels: np.ndarray, owners: list[str]) -> float:
    """Return how well a forest separates the classes on owners that it has not seen."""
    scores = np.zeros(len(numbers))
    folds = GroupKFold(4, shuffle=True, random_state=1)
    for train, held in folds.split(numbers, groups=owners):
        forest = RandomForestClassifier(300, min_samples_leaf=5, random_state=1, n_jobs=-1)
        forest.fit(numbers[train], labels[train])
        scores[held] = forest.predict_proba(numbers[held])[:, 1]
    return float(roc_auc_score(labels, scores))


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
