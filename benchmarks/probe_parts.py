"""Measure what each part of a probe's features adds, on images of owners that were left out.

    python benchmarks/probe_parts.py scenes DATA RUNDIR [CACHE]

RUNDIR is one that `scanner train scenes --out RUNDIR` wrote, and CACHE the folder of embeddings if
it had one of its own. A row is a part of the features, or one of the views, with the changed copies
of the images and without; the figure is the area under the ROC curve over all images, every image
scored by a fit that saw none of its owner's. The test images are not used.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from workers.training import environment

environment.prepare()

from sklearn.metrics import roc_auc_score  # noqa: E402 - after `prepare`

from workers.training import linear_probe  # noqa: E402
from workers.training.networks import efficientnet_lite0  # noqa: E402
from workers.training.recipes.probes import PROBES  # noqa: E402
from workers.training.runs import Run  # noqa: E402

WIDTHS = [efficientnet_lite0.STEM, *(stage.width for stage in efficientnet_lite0.STAGES)]


def columns() -> dict[str, np.ndarray]:
    """Return the columns of the features by the part of the model that they come from."""
    start, means, spreads = 0, [], []
    for width in WIDTHS:
        means.append(np.arange(start, start + width))
        spreads.append(np.arange(start + width, start + 2 * width))
        start += 2 * width
    head = np.arange(start, start + efficientnet_lite0.HEAD)
    stages = [np.concatenate(pair) for pair in zip(means, spreads, strict=True)]
    return {
        "all of it": np.arange(start + efficientnet_lite0.HEAD),
        "the head alone, as classifiers use it": head,
        "stem and stages 1 to 3": np.concatenate(stages[:4]),
        "stages 3 to 5": np.concatenate(stages[3:6]),
        "stages 6 and 7": np.concatenate(stages[6:]),
        "stem and stages 1 to 5 (0.7 million parameters)": np.concatenate(stages[:6]),
        "means alone, of all stages": np.concatenate(means),
        "spreads alone, of all stages": np.concatenate(spreads),
    }


VIEWS = {"scenes": ("crops", "crops at a megapixel", "all of the image")}


def main() -> None:
    """Print the table."""
    probe, (data, out, *cache) = PROBES[sys.argv[1]], map(Path, sys.argv[2:])
    run = Run(data, out, resume=True, cache=cache[0] if cache else None)
    embeddings = linear_probe.embeddings_of(probe, run, print)
    probe = replace(probe, strengths=(1e-3, 3e-3))
    everything = np.arange(efficientnet_lite0.NUMBERS)
    views = list(range(probe.view.count))
    parts = [(name, places, views) for name, places in columns().items()]
    parts += [
        (f"one view: {name}", everything, [view])
        for view, name in enumerate(VIEWS.get(probe.name, ()))
    ]
    print(f"{'part':50}{'features':>9}{'as it is':>10}{'changed too':>13}")
    for name, places, used in parts:
        row = []
        for copies in (1, probe.copies + 1):
            values = embeddings.values[:, :copies][:, :, used][..., places]
            part = replace(embeddings, values=np.ascontiguousarray(values))
            fitted = linear_probe.fit(probe, 1, part, lambda _: None)
            row.append(roc_auc_score(part.labels, fitted.held_out_logits))
        print(f"{name:50}{len(places):>9}{row[0]:>10.4f}{row[1]:>13.4f}", flush=True)


if __name__ == "__main__":
    main()
