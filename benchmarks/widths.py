"""Measure what a wider `objects-32` would gain and cost: accuracy, milliseconds, bytes.

    python benchmarks/widths.py --data FOLDER --out RUNS [--widths 0.25,0.5,1] [--epochs N]

FOLDER holds cifake-train.zip. Each width is the recipe's model with its channels multiplied by it,
trained as in the recipe's first phase, on CIFAKE alone, for fewer epochs if `--epochs` is given; an
interrupted run is resumed.
Accuracy is that of the quantised model on the recipe's validation images: the test set is not used.
The last row is the student report's VGG16, for its speed alone. On two cores the recipe's own width
takes three minutes per epoch.
"""

# ruff: noqa: E402 - TensorFlow reads what `prepare` sets when it is imported

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workers.training import environment

environment.prepare()

import numpy as np
from PIL import Image

from workers.host.benchmark import measure, subject_of_file
from workers.training.data.split import read_split
from workers.training.epochs import train
from workers.training.export.tflite import REPRESENTATIVE, export_int8, int8_logits
from workers.training.networks import models
from workers.training.recipes.builtin import CIFAKE, CIFAKE_VGG16, OBJECTS_32
from workers.training.recipes.recipe import Recipe, Residual
from workers.training.runs import Run

if TYPE_CHECKING:
    import keras

    from workers.host.benchmark import Speed

SECONDS = 5.0  # how long each model's speed is measured
RANGES = 4  # noise images that set the ranges of a model whose output does not matter


def main() -> None:
    """Train the missing runs, and print the table."""
    parser = argparse.ArgumentParser(description="objects-32 by width.")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="RUNS")
    parser.add_argument("--widths", default="0.25,0.5,1", help="times the recipe's own")
    parser.add_argument("--epochs", type=int, default=OBJECTS_32.phases[0].epochs)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        vgg16 = speed_of_vgg16(Path(folder))
    print(f"| model, {given.epochs} epochs | parameters | bytes | accuracy | ms | times VGG16 |")
    print("|---|---|---|---|---|---|")
    for times in map(float, given.widths.split(",")):
        recipe = of_width(times, given.epochs)
        out = given.out / f"width-{times:g}-{given.epochs}"
        run = Run(given.data, out, resume=out.exists())
        train(recipe, run, report=lambda line: print(line, file=sys.stderr))
        path, parameters, accuracy = exported(recipe, run)
        cells = (f"{parameters:,}", f"{path.stat().st_size:,}", f"{accuracy:.4f}")
        speed = speed_of(path)
        name = f"objects-32, {times:g} of its width"
        print(f"| {name} | {' | '.join(cells)} | {row(speed, vgg16)} |", flush=True)
    parameters = models.build(CIFAKE_VGG16).count_params()
    print(f"| VGG16 | {parameters:,} | {vgg16.size_mb * 1e6:,.0f} | - | {row(vgg16, vgg16)} |")


def of_width(times: float, epochs: int) -> Recipe:
    """Return the recipe with its model's channels multiplied."""
    network = OBJECTS_32.net
    if not isinstance(network, Residual):
        raise TypeError("the model of objects-32 is not a residual network")
    net = replace(network, widths=tuple(round(times * width) for width in network.widths))
    phases = (replace(OBJECTS_32.phases[0], epochs=epochs),)
    return replace(OBJECTS_32, net=net, data=CIFAKE, phases=phases, ships=False)


def exported(recipe: Recipe, run: Run) -> tuple[Path, int, float]:
    """Return a finished run's quantised model, its parameters and its validation accuracy."""
    parts = read_split(recipe.data, run.data, run.out)
    net, path = models.best(recipe, run.out), run.out / f"{run.out.name}.tflite"
    spread = np.linspace(0, len(parts.train) - 1, REPRESENTATIVE).astype(int)
    quantise(net, parts.train.take(spread).images, path)
    validation = parts.validation
    called = int8_logits(path, validation.images) >= 0
    return path, net.count_params(), float(np.mean(called == validation.labels))


def quantise(net: keras.Model, images: np.ndarray, path: Path) -> None:
    """Export a model; keep the converter's output out of the table."""
    with redirect_stdout(sys.stderr):
        export_int8(net, images, path)


def speed_of_vgg16(folder: Path) -> Speed:
    """Measure the report's model, quantised alike; its random weights do not matter."""
    path = folder / "vgg16.tflite"
    quantise(models.single_logit(models.build(CIFAKE_VGG16)), noise(RANGES), path)
    return speed_of(path)


def speed_of(path: Path) -> Speed:
    """Measure one process with a model, on one core."""
    pictures = []
    for pixels in noise(50):
        Image.fromarray(pixels).save(body := io.BytesIO(), "JPEG")
        pictures.append(body.getvalue())
    speed = measure(subject_of_file(path), pictures, SECONDS)
    if speed is None:
        raise ValueError("noise cannot be decoded")
    return speed


def noise(pictures: int) -> np.ndarray:
    """Return images of 32 by 32, always the same."""
    return np.random.default_rng(7).integers(0, 256, (pictures, 32, 32, 3), np.uint8)


def row(speed: Speed, vgg16: Speed) -> str:
    """Return milliseconds per image without decoding, and the speed relative to VGG16's."""
    return f"{speed.infer_ms:.2f} | {vgg16.infer_ms / speed.infer_ms:.1f}"


if __name__ == "__main__":
    main()
