"""Compare the built-in models on one processor with another: how far scores differ.

    python benchmarks/runtimes.py score --data FOLDER > NAME.json
    python benchmarks/runtimes.py compare NAME.json OTHER.json...

FOLDER holds cifake-test.zip, faces.zip and scenes.zip. `score` runs wherever a worker does, with
the packages of a worker, for example on a Raspberry Pi. `compare` prints a table of the first file
compared with each of the others.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from storage.records import SCORE_THRESHOLD
from workers.detectors import installed
from workers.detectors.loading import load
from workers.pipeline.inputs import selector_for
from workers.training.data.labelled_images import read_images
from workers.training.recipes.recipe import ImageSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.training.data.labelled_images import LabelledImage

# What each detector examines: every n-th image of its test set.
SHOWN = {
    "objects-32": (ImageSet("cifake-test.zip"), 10),
    "faces": (ImageSet("faces.zip", "test/"), 4),
    "scenes": (ImageSet("scenes.zip", "test/"), 5),
}


def main() -> None:
    """Score images, or compare scores."""
    parser = argparse.ArgumentParser(description="The same models on several processors.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    score = verbs.add_parser("score")
    score.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    score.add_argument("--detectors", default=",".join(SHOWN))
    compare = verbs.add_parser("compare")
    compare.add_argument("files", type=Path, nargs="+")
    given = parser.parse_args()
    if given.verb == "score":
        names = given.detectors.split(",")
        found = {name: dict(scored(name, given.data)) for name in names}
        on = f"LiteRT, {platform.machine()}"
        json.dump({"on": on, "scores": found}, sys.stdout)
    else:
        first, *others = (json.loads(file.read_text()) for file in given.files)
        print_table(first, others)


def scored(name: str, data: Path) -> Iterator[tuple[str, tuple[int, float]]]:
    """Yield each image's name, its label (1 for AI), and the detector's score."""
    card = installed.installed()[name]
    detector, selector, (which, step) = load(card), selector_for(card), SHOWN[name]
    shown: Iterator[LabelledImage] = islice(read_images(data, [which]), 0, None, step)
    for image in shown:
        score = selector.select(image.decoded).highest_score(name, detector)
        if score is not None:
            yield image.name, (image.label, score)


def print_table(first: dict[str, Any], others: list[dict[str, Any]]) -> None:
    """Print accuracy at 0.5, equal classes, and the largest difference, by detector."""
    print("| detector | images | on | accuracy | same class | largest difference |")
    print("|---|---|---|---|---|---|")
    for name, ours in first["scores"].items():
        labels, base = (np.array(each) for each in zip(*ours.values(), strict=True))
        right = np.mean((base >= SCORE_THRESHOLD) == labels)
        print(f"| {name} | {len(ours)} | {first['on']} | {right:.4f} | | |")
        for other in others:
            if name not in other["scores"]:
                continue
            theirs = other["scores"][name]
            scores = np.array([theirs[image][1] for image in ours])
            calls = scores >= SCORE_THRESHOLD
            cells = np.mean(calls == labels), np.mean(calls == (base >= SCORE_THRESHOLD))
            shares = " | ".join(f"{cell:.4f}" for cell in cells)
            print(f"| | | {other['on']} | {shares} | {np.max(np.abs(scores - base)):.2g} |")


if __name__ == "__main__":
    main()
