"""Keras models of every era are converted to .tflite and agree; code in them never runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("tensorflow", reason="needs the `train` extra")
pytest.importorskip("tf_keras", reason="needs the `train` extra")

import keras
import tensorflow as tf
import tf_keras

from scanner.cli import cli
from workers.detectors import installed
from workers.detectors.loading import load
from workers.training.export import keras_converter
from workers.training.export.keras_config import require_known

MODELS = Path(__file__).parents[2] / "detectors" / "models"
USUAL = ("--scale", "255", "--classes", "FAKE,REAL")


def add(model: Path, *arguments: str) -> Result:
    """Add a model as `mine`."""
    return CliRunner().invoke(cli, ["detectors", "add", str(model), "--name", "mine", *arguments])


def score() -> float:
    """Return the score of `mine` for a red image."""
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    return float(load(installed.installed()["mine"]).score([red])[0])


# P(AI) = 1 - P(REAL), P(REAL) = 1 / (1 + exp(-(4 * 1 - 0.5))) by make.py's weights.
EXPECTED = 1 - 1 / (1 + np.exp(-3.5))


@pytest.mark.parametrize(
    ("name", "made_by"),
    [
        ("tensorflow1.h5", "Keras 2.2.4-tf"),
        ("keras2.h5", "Keras 2."),
        ("keras3.h5", "Keras 3."),
        ("keras3.keras", "Keras 3."),
    ],
)
def test_models_of_every_keras_score_alike(name: str, made_by: str) -> None:
    """The formats of TensorFlow 1.13, Keras 2 and Keras 3 give the score computed by hand."""
    done = add(MODELS / name, *USUAL)

    assert 0 == done.exit_code, done.output
    assert pytest.approx(EXPECTED, abs=1e-5) == score()
    assert f"{name}, saved by {made_by}" in installed.installed()["mine"].source


def saved(folder: Path, run: object) -> Path:
    """Write a SavedModel whose signature is the function."""
    module = tf.Module()
    module.run = tf.function(run, input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32)])
    tf.saved_model.save(module, str(folder), signatures=module.run)
    return folder


def test_a_saved_model_is_converted(tmp_path: Path) -> None:
    """A signature with one input and one output is enough."""
    folder = saved(
        tmp_path / "net", lambda x: {"p": tf.sigmoid(tf.reduce_mean(x, [1, 2, 3])[:, None])}
    )
    done = add(folder, *USUAL)

    assert 0 == done.exit_code, done.output
    assert pytest.approx(1 - 1 / (1 + np.exp(-1 / 3)), abs=1e-5) == score()


NETWORKS = {
    "VGG16": "vgg16",
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "EfficientNetB0": "efficientnet",
}


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["Keras 3", "TF-Keras"])
@pytest.mark.parametrize("name", NETWORKS)
def test_usual_networks_have_known_layers_only(library: Any, name: str) -> None:  # noqa: ANN401
    """What people build on, with its own preparation of pixels, augmentation and a new head."""
    layers, networks = library.layers, library.applications
    image = library.Input((64, 64, 3))
    base = getattr(networks, name)(weights=None, include_top=False, input_shape=(64, 64, 3))
    pixels = layers.RandomFlip("horizontal")(layers.Rescaling(1.0)(image))
    pixels = getattr(networks, NETWORKS[name]).preprocess_input(pixels)
    pooled = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(base(pixels)))
    model = library.Model(image, layers.Dense(1, activation="sigmoid")(pooled))

    config = json.loads(model.to_json())
    # TF-Keras adds to it what its files have elsewhere.
    require_known({key: config[key] for key in config.keys() - {"backend", "keras_version"}}, name)


@pytest.mark.parametrize("name", ["lambda.h5", "lambda.keras"])
def test_code_in_a_model_is_refused(name: str) -> None:
    """A Lambda layer is never unpacked."""
    done = add(MODELS / name, *USUAL)

    assert 1 == done.exit_code
    assert f"{name} contains code (Lambda)" in done.output


def test_a_graph_that_reads_files_is_refused(tmp_path: Path) -> None:
    """A SavedModel that reads files is not loaded."""
    folder = saved(
        tmp_path / "net",
        lambda x: (
            tf.reduce_mean(x)
            + tf.cast(tf.strings.length(tf.io.read_file("/etc/passwd")), tf.float32)
        ),
    )

    assert "contains the operation 'ReadFile'" in add(folder, *USUAL).output


@pytest.mark.parametrize("name", ["a.h5", "a.keras"])
def test_garbage_is_one_message(name: str, tmp_path: Path) -> None:
    """Bytes of an unknown format are refused."""
    (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\nPK" * 50)
    done = add(tmp_path / name, *USUAL)

    assert 1 == done.exit_code
    assert done.output.startswith(f"Error: {name} is not a")


def test_another_model_than_the_original_is_refused(tmp_path: Path) -> None:
    """A conversion that changes the numbers is detected."""
    shutil.copy(MODELS / "keras3.keras", tmp_path)
    original = keras_converter.convert(tmp_path / "keras3.keras", None, tmp_path / "a.tflite")
    values = np.random.default_rng(1).random((4, 8, 8, 3), np.float32)
    numbers = original.run(values).astype(np.float64)

    keras_converter.require_same(original, values, numbers, "a")
    with pytest.raises(keras_converter.ConversionError, match="other numbers after its conversion"):
        keras_converter.require_same(original, values, numbers + 0.01, "a")
