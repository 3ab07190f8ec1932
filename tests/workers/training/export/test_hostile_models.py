"""Models that write or read files when they are loaded: they do so, but not in scanner."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("tensorflow", reason="needs the `train` extra")
pytest.importorskip("tf_keras", reason="needs the `train` extra")

import h5py
import tensorflow as tf
import tf_keras

from scanner.cli import cli
from workers import limited_process
from workers.confinement.process import missing_means
from workers.detectors import custom
from workers.detectors.runtimes import ModelError
from workers.detectors.trial_run import examine
from workers.training.export import saved_model
from workers.training.export.keras_config import ConversionError, require_known
from workers.training.export.keras_files import read_config

if TYPE_CHECKING:
    from pathlib import Path


def add(model: Path) -> str:
    """Try to add a model as a user would; return what was printed."""
    arguments = ["detectors", "add", str(model), "--name", "evil", "--scale", "255"]
    done = CliRunner().invoke(cli, [*arguments, "--classes", "FAKE,REAL"])

    assert 1 == done.exit_code
    assert 1 == done.output.count("\n")
    assert not list(custom.folder().glob("*"))
    return done.output


def placed(name: str) -> dict[str, Any]:
    """Return the layer of an image."""
    config = {"batch_input_shape": [None, 8, 8, 3], "dtype": "float32", "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def writing(path: Path) -> dict[str, Any]:
    """Return a layer that writes a file when it is called with its constants."""
    config = {"name": "evil", "trainable": True, "dtype": "float32", "function": "io.write_file"}
    inbound = [["_CONSTANT_VALUE", -1, str(path), {"contents": "hostile"}]]
    return {"class_name": "TFOpLambda", "config": config, "name": "evil", "inbound_nodes": inbound}


def net(name: str, *layers: dict[str, Any]) -> dict[str, Any]:
    """Return a functional model whose output is its first layer."""
    first = layers[0]["name"]
    ends = {"input_layers": [[first, 0, 0]], "output_layers": [[first, 0, 0]]}
    body = {"name": name, "layers": list(layers), **ends}
    inbound = [[["image", 0, 0, {}]]]
    return {"class_name": "Functional", "config": body, "name": name, "inbound_nodes": inbound}


def hostile_configs(path: Path) -> dict[str, dict[str, Any]]:
    """Return configurations of Keras 2 that write a file while they are built."""
    evil = net("inner", placed("inside"), writing(path))
    wrapped = {"class_name": "TimeDistributed", "config": {"name": "each", "layer": evil}}
    layers = [placed("image"), wrapped]
    return {
        "flat": net("net", placed("image"), writing(path)),
        "nested": net("net", placed("image"), evil),
        "wrapped": {"class_name": "Sequential", "config": {"name": "net", "layers": layers}},
    }


def h5(file: Path, config: dict[str, Any]) -> Path:
    """Write a file of TensorFlow 2.11 with a configuration and no weights."""
    with h5py.File(file, "w") as opened:
        opened.attrs["model_config"] = json.dumps(config)
        opened.attrs["keras_version"] = "2.11.0"
        group = opened.create_group("model_weights")
        group.attrs["layer_names"] = np.array([], "S1")
    return file


@pytest.mark.parametrize("kind", ["flat", "nested", "wrapped"])
def test_a_layer_that_writes_is_refused(kind: str, tmp_path: Path) -> None:
    """Keras itself writes the file; the check names the layer, and nothing is built."""
    target = tmp_path / "target"
    file = h5(tmp_path / "net.h5", hostile_configs(target)[kind])
    with suppress(Exception):
        tf_keras.models.load_model(file, compile=False)
    written = target.read_text()
    target.unlink()
    with pytest.raises(ConversionError, match=r"calls 'io\.write_file' in its layer 'evil'"):
        require_known(read_config(file)[0], file.name)

    assert "hostile" == written
    assert not target.exists()


def test_a_user_gets_one_sentence(tmp_path: Path) -> None:
    """`detectors add` says what the file would do, and the file does not do it."""
    target = tmp_path / "target"
    said = add(h5(tmp_path / "net.h5", hostile_configs(target)["flat"]))

    assert "Error: net.h5 calls 'io.write_file' in its layer 'evil'" in said
    assert not target.exists()


@pytest.mark.skipif(bool(missing_means()), reason="needs a kernel with Landlock and seccomp")
def test_what_the_check_missed_still_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the check the model is built and fails to write: its process is confined."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(
        "from workers.training.export import keras_config\n"
        "keras_config.require_known = lambda config, name: None\n"
    )
    path = os.pathsep.join([str(modules), str(limited_process.HOME)])
    monkeypatch.setenv("PYTHONPATH", path)
    target = tmp_path / "target"
    said = add(h5(tmp_path / "net.h5", hostile_configs(target)["flat"]))

    assert "cannot be converted: Exception encountered when calling layer 'evil'" in said
    assert not target.exists()


class Resource(tf.saved_model.experimental.TrackableResource):
    """A resource of a SavedModel, which writes a file when the model is loaded."""

    def __init__(self, path: str) -> None:
        super().__init__(device="CPU:0")
        self._path = path

    def _create_resource(self) -> Any:  # noqa: ANN401 - a tensor
        return tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

    def _initialize(self) -> None:
        tf.io.write_file(self._path, "hostile")

    def _destroy_resource(self) -> None:
        pass


def hostile_graphs(folder: Path, target: Path) -> dict[str, Path]:
    """Write SavedModels that do more than compute, once loaded or called."""
    path = str(target)

    @tf.function
    def inner(x: Any) -> Any:  # noqa: ANN401
        tf.io.write_file(path, "hostile")
        return tf.reduce_mean(x)

    def looping(x: Any) -> Any:  # noqa: ANN401
        def body(n: Any) -> Any:  # noqa: ANN401
            return n + tf.strings.length(tf.io.read_file("/etc/passwd"))

        count = tf.while_loop(lambda n: n < 5, lambda n: (body(n),), (tf.constant(0),))[0]
        return tf.reduce_mean(x) + tf.cast(count, tf.float32)

    def saving(x: Any) -> Any:  # noqa: ANN401
        tf.raw_ops.SaveV2(prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[x])
        return tf.reduce_mean(x)

    def restoring(x: Any) -> Any:  # noqa: ANN401
        (read,) = tf.raw_ops.RestoreV2(
            prefix=path, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
        )
        return tf.reduce_mean(x) + tf.reduce_mean(read)

    def python(x: Any) -> Any:  # noqa: ANN401
        return tf.reduce_mean(x) + tf.py_function(lambda: 1.0, [], tf.float32)

    made = {}
    for name, run in {
        "WriteFile": inner.python_function,
        "nested": inner,
        "looping": looping,
        "saving": saving,
        "restoring": restoring,
        "python": python,
    }.items():
        module = tf.Module()
        module.run = tf.function(run, input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32)])
        made[name] = folder / name
        tf.saved_model.save(module, str(folder / name), signatures=module.run)
    module = tf.Module()
    module.resource = Resource(path)
    module.run = tf.function(
        tf.reduce_mean, input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32)]
    )
    made["resource"] = folder / "resource"
    tf.saved_model.save(module, str(folder / "resource"), signatures=module.run)
    return made


def test_graphs_that_do_more_than_compute_are_refused(tmp_path: Path) -> None:
    """Each is refused by its name; TensorFlow runs initializers as soon as it loads a model."""
    target = tmp_path / "target"
    made = hostile_graphs(tmp_path, target)
    target.unlink(missing_ok=True)
    tf.saved_model.load(str(made["resource"]))
    written = target.read_text()
    target.unlink()
    expected = {
        "WriteFile": "WriteFile",
        "nested": "WriteFile",
        "looping": "ReadFile",
        "saving": "SaveV2",
        "restoring": "RestoreV2",
        "python": "EagerPyFunc",
        "resource": "MutableHashTableV2|WriteFile",
    }
    for name, operation in expected.items():
        with pytest.raises(ConversionError, match=f"contains the operation '({operation})'"):
            saved_model.load_signature(made[name])

    assert "hostile" == written
    assert not target.exists()


def test_a_graph_of_tensorflow_1_is_refused(tmp_path: Path) -> None:
    """Its initializer may be any operation of the graph, and its graph saves checkpoints."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3])
        tf.compat.v1.saved_model.simple_save(
            session, str(tmp_path / "net"), {"x": image}, {"y": tf.reduce_mean(image)}
        )

    with pytest.raises(ConversionError, match="was saved by TensorFlow 1"):
        saved_model.load_signature(tmp_path / "net")


def lite(run: Any, *, with_tensorflow: bool) -> bytes:  # noqa: ANN401
    """Return a .tflite of a function, with what LiteRT lacks as operations of others."""
    function = tf.function(run, input_signature=[tf.TensorSpec([1, 8, 8, 3], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    converter.allow_custom_ops = not with_tensorflow
    if with_tensorflow:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    body: bytes = converter.convert()
    return body


@pytest.mark.parametrize("with_tensorflow", [False, True])
def test_a_lite_model_has_operations_of_litert_only(
    tmp_path: Path, *, with_tensorflow: bool
) -> None:
    """Operations of TensorFlow, and those that a program would have to bring, are one sentence."""
    file = tmp_path / "net.tflite"
    file.write_bytes(
        lite(lambda x: tf.linalg.det(x[0, :3, :3, 0])[None], with_tensorflow=with_tensorflow)
    )

    with pytest.raises(ModelError, match=r"net\.tflite cannot be run by LiteRT"):
        examine(file, None)


def test_a_lite_model_of_a_terabyte_is_one_sentence(tmp_path: Path) -> None:
    """A small file that would fill the memory ends its own process, or is refused there."""
    file = tmp_path / "net.tflite"
    file.write_bytes(
        lite(
            lambda x: tf.reduce_max(
                tf.broadcast_to(tf.reduce_max(x), [10**4, 10**4, 10**4 + tf.shape(x)[0]])
            )[None],
            with_tensorflow=False,
        )
    )

    assert file.stat().st_size < 10_000
    with pytest.raises(ModelError, match=r"net\.tflite"):
        examine(file, None)


def test_a_folder_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    """An empty folder is not loaded."""
    with pytest.raises(ConversionError, match=r"saved_model\.pb not found"):
        saved_model.load_signature(tmp_path)
