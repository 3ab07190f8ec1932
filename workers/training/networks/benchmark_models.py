"""Models that are only timed: their weights are random, which does not change their speed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from workers.host.benchmark import MODEL, SIDES, Runner, Subject
from workers.training.export.tflite import converter_of, export_int8
from workers.training.networks import models
from workers.training.recipes.builtin import RECIPES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Images that set the ranges of activations; with random weights a few are enough.
RANGE_IMAGES = 4
FLOAT_BYTES = 4


def make(folder: Path) -> list[Path]:
    """Write ResNet50 as int8 and the built-in network in floats, at each size, as .tflite files."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    paths = []
    for side in SIDES:
        path = folder / f"objects-float-{side}.tflite"
        path.write_bytes(converter_of(_network(side)).convert())
        paths.append(path)
    for side in SIDES:
        path = folder / f"resnet50-{side}.tflite"
        images = random.integers(0, 256, (RANGE_IMAGES, side, side, 3), np.uint8)
        export_int8(resnet50(side), images, path)
        paths.append(path)
    return paths


def on_tensorflow() -> list[Subject]:
    """Return the built-in network on TensorFlow, at each size."""
    parameters = _network(SIDES[0]).count_params()
    return [Subject(MODEL, FLOAT_BYTES * parameters, partial(_tensorflow, side)) for side in SIDES]


def resnet50(side: int) -> keras.Model:
    """Build ResNet50 (He et al. 2016, arXiv:1512.03385) with one logit: 23.6 million parameters."""
    pixels = keras.Input((side, side, 3))
    base = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg")
    return keras.Model(pixels, layers.Dense(1)(base(layers.Rescaling(1 / 255)(pixels))))


def _network(side: int) -> keras.Model:
    recipe = RECIPES[MODEL]
    pixels = replace(recipe.data.pixels, size=side)
    return models.build(replace(recipe, data=replace(recipe.data, pixels=pixels)))


def _tensorflow(side: int) -> Runner:
    # As with the other runtimes: one core per process.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network = tf.function(_network(side), jit_compile=False)

    def run(pixels: NDArray[np.uint8]) -> object:
        return network(tf.constant(pixels[None], tf.float32)).numpy()

    return Runner("TensorFlow float", side, run)
