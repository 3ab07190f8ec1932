"""Compare the student report's systems with the built-in detectors, from their runs' folders.

    python benchmarks/report_systems.py --data FOLDER RUN...

FOLDER holds cifake-test.zip and faces.zip; each RUN was written by `scanner train`. The second
table shows each model on images of the kind that it was not trained on, and where the router sends
those; the third runs each model on TensorFlow and on LiteRT.
"""

# ruff: noqa: E402 - TensorFlow reads what `prepare` sets when it is imported

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workers.training import environment

environment.prepare()

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from workers.detectors import installed
from workers.detectors.runtimes import LiteRT
from workers.images.decode import decode
from workers.images.faces import FaceFinder
from workers.pipeline.inputs import InputSelector
from workers.training.data.datasets import read_arrays
from workers.training.evaluation import metrics
from workers.training.evaluation.network_scores import score
from workers.training.export.tflite import export_int8
from workers.training.networks import models
from workers.training.recipes.builtin import RECIPES
from workers.training.recipes.recipe import ImageSet, Pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.detectors.card import Measured
    from workers.training.recipes.recipe import Recipe

OBJECTS, FACES = ImageSet("cifake-test.zip"), ImageSet("faces.zip", "test/")
# What the report states: accuracy, F1 (macro average), average precision, images a second.
REPORT = {
    "cifake-vgg16": ("0.9408", "0.94", "0.9886", "-"),
    "cifake-vgg16-tuned": ("0.9408", "0.94", "0.9886", "-"),
    "faces-mobilenet-224": ("0.70", "0.70", "-", f"{10_905 / 116.56:.0f}"),
    "faces-mobilenet-32": ("-", "0.76", "-", f"{10_905 / 10.52:.0f}"),
}
TIMED = 512  # images whose scoring is timed
ROUNDS = 3  # the best of so many, as other programs share the machine
SAMPLE = 200  # images that go through both runtimes


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description="The student report's systems beside ours.")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    given = parser.parse_args()
    runs = {recipe.name: (recipe, run) for recipe, run in map(opened, given.runs)}
    print("| system | | accuracy | F1, macro | AP of FAKE | AP of REAL | images/s |")
    print("|---|---|---|---|---|---|---|")
    rates = {}
    for name, (recipe, run) in runs.items():
        accuracy, f1, average, speed = REPORT[name]
        print(f"| {name} | report | {accuracy} | {f1} | | {average} | {speed} |")
        rates[name] = speed_of(recipe, run, given.data)
        figures = json.loads((run / "figures.json").read_text())
        print(f"| | ours | {row(figures['test'])} | {rates[name]:.0f} |")
    if {"faces-mobilenet-224", "faces-mobilenet-32"} <= set(rates):
        ratio = rates["faces-mobilenet-32"] / rates["faces-mobilenet-224"]
        print(
            f"\nThe model at 32 pixels is {ratio:.1f} times as fast as at 224 (report: 11 times)."
        )
    print("\n| model | images | accuracy | F1, macro | AP of FAKE | AP of REAL | the router |")
    print("|---|---|---|---|---|---|---|")
    for name, (recipe, run) in runs.items():
        other = FACES if name.startswith("cifake") else OBJECTS
        found = on(recipe, run, given.data, other)
        print(f"| {name} | {found.on} | {row(asdict(found))} | {routed(given.data, other)} |")
    print("\n| model | runtime | same class as on TensorFlow | largest difference of P(AI) |")
    print("|---|---|---|---|")
    for name, (recipe, run) in runs.items():
        for runtime, same, apart in runtimes(recipe, run, given.data):
            print(f"| {name} | {runtime} | {same:.4f} | {apart:.2g} |")


def opened(run: Path) -> tuple[Recipe, Path]:
    """Return the recipe of a run."""
    return RECIPES[json.loads((run / "recipe.json").read_text())["recipe"]["name"]], run


def row(of: dict[str, object]) -> str:
    """Return the figures of a test as cells."""
    f1 = (of["ai"]["f1"] + of["real"]["f1"]) / 2
    averages = " | ".join(f"{of[one]['average_precision']:.4f}" for one in ("ai", "real"))
    return f"{of['accuracy']:.4f} | {f1:.4f} | {averages}"


def pictures(recipe: Recipe, data: Path) -> np.ndarray:
    """Return the images of the recipe's test set, as its model takes them."""
    return read_arrays(data, recipe.data.test, recipe.data.pixels).images


def speed_of(recipe: Recipe, run: Path, data: Path) -> float:
    """Return how many images a second the model scores on TensorFlow, without decoding."""
    net, images = models.best(recipe, run), pictures(recipe, data)[:TIMED]
    models.logits(net, images)
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        models.logits(net, images)
        seconds.append(time.perf_counter() - started)
    return len(images) / min(seconds)


def on(recipe: Recipe, run: Path, data: Path, which: ImageSet) -> Measured:
    """Measure a model on images of another kind, resized to its input."""
    labelled = read_arrays(data, (which,), Pixels(recipe.size, "resized"))
    name = f"{which.file}/{which.below}".rstrip("/")
    return metrics.measure(score(recipe, run, labelled, name), metrics.DEFAULT_THRESHOLDS)


def routed(data: Path, which: ImageSet) -> str:
    """Return which detectors a scan would use for these images, and for how many."""
    cards = {name: installed.installed()[name] for name in installed.NAMES}
    looking = {name: card for name, card in cards.items() if card.input is not None}
    selector, counts = InputSelector(looking, cards, FaceFinder()), Counter[str]()
    with zipfile.ZipFile(data / which.file) as archive:
        for name in archive.namelist():
            if name.startswith(which.below) and name.endswith((".jpg", ".png")):
                inputs = selector.select(decode(archive.read(name), native=True))
                asked = {one.detector for one in (*inputs.full_size, *inputs.whole)}
                counts[" and ".join(sorted(asked)) or "none"] += 1
    return ", ".join(f"{asked}: {count}" for asked, count in counts.most_common())


def runtimes(recipe: Recipe, run: Path, data: Path) -> Iterator[tuple[str, float, float]]:
    """Give for LiteRT in float and in int8: the share called as TensorFlow does, and how far off.

    The images are `SAMPLE` ones spread over the whole test set.
    """
    net, images = models.single_logit(models.best(recipe, run)), pictures(recipe, data)
    images = images[np.linspace(0, len(images) - 1, SAMPLE).astype(int)]
    trained = models.logits(net, images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.tflite"
        path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(net).convert())
        yield "LiteRT, float", *agreement(trained, floats(path, images))
        export_int8(
            net, read_arrays(data, recipe.data.train, recipe.data.pixels).images[::50], path
        )
        session = LiteRT(path)
        yield "LiteRT, int8", *agreement(trained, session.levels()[session.run(list(images))])


def floats(path: Path, images: np.ndarray) -> np.ndarray:
    """Run a float model on single images; return (n,) logits."""
    interpreter = Interpreter(model_path=str(path))
    (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], (1, *images.shape[1:]))
    interpreter.allocate_tensors()
    logits = np.empty(len(images))
    for place, image in enumerate(images):
        interpreter.set_tensor(given["index"], image[None].astype(np.float32))
        interpreter.invoke()
        logits[place] = interpreter.get_tensor(got["index"]).item()
    return logits


def agreement(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the share of equal classes and the largest difference of the probabilities."""
    first, second = (1 / (1 + np.exp(-logits)) for logits in (one, other))
    return float(np.mean((one >= 0) == (other >= 0))), float(np.max(np.abs(first - second)))


if __name__ == "__main__":
    main()
