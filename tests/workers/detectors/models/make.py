# ruff: noqa: ANN001, ANN201 -- a script, and Keras has no types
"""Make the models in this folder: `python make.py`, with TensorFlow, TF-Keras, Keras 3 and onnx.

One small net, the same weights each time: P(REAL) of an 8x8 picture by its mean colour. Saved as
the Keras of TensorFlow 1 and 2 does, as Keras 3 does, with code in it, and as ONNX.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import keras
import numpy as np
import onnx
import tensorflow as tf
import tf_keras
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
KERNEL = np.array([[4.0], [2.0], [-5.0]], np.float32)
BIAS = np.array([-0.5], np.float32)
# Compiled under another name, since code that is saved tells where it was made.
CODE: dict[str, object] = {}
exec(compile("corner = lambda x: x[:, 0, 0, :1]", "make.py", "exec"), CODE)


def net(library):
    """One kind of Keras' net with fixed weights: the mean of each channel, then a sigmoid."""
    layers = library.layers
    made = library.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, activation="sigmoid", name="real"),
        ]
    )
    made.set_weights([KERNEL, BIAS])
    return made


def as_tensorflow_1(path: Path) -> None:
    """Rewrite a file's configuration as tf.keras 2.2.4 of TensorFlow 1.13 wrote it."""
    with h5py.File(path, "r+") as file:
        made = json.loads(file.attrs["model_config"])
        layers = [one for one in made["config"]["layers"] if one["class_name"] != "InputLayer"]
        layers[0]["config"] = {
            "name": layers[0]["config"]["name"],
            "trainable": True,
            "batch_input_shape": [None, 8, 8, 3],
            "dtype": "float32",
            "data_format": "channels_last",
        }
        layers[1]["config"] |= {
            "dtype": "float32",
            # Keras 3 knows no `dtype` of an initializer.
            "kernel_initializer": {
                "class_name": "GlorotUniform",
                "config": {"seed": None, "dtype": "float32"},
            },
        }
        for one in layers:
            one.pop("module", None), one.pop("registered_name", None), one.pop("build_config", None)
        body = {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}
        file.attrs["model_config"] = json.dumps(body).encode()
        file.attrs["keras_version"] = b"2.2.4-tf"


def as_onnx(path: Path) -> None:
    """Write the model as ONNX, channels first, with any batch size and a logit, not a sigmoid."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["picture"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "kernel", "bias"], ["logit"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(KERNEL, "kernel"), numpy_helper.from_array(BIAS, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)


def main() -> None:
    """Make them all."""
    net(tf_keras).save(HERE / "keras2.h5")
    net(tf_keras).save(HERE / "tensorflow1.h5")
    as_tensorflow_1(HERE / "tensorflow1.h5")
    net(keras).save(HERE / "keras3.keras")
    net(keras).save(HERE / "keras3.h5")
    code = [keras.layers.Input((8, 8, 3)), keras.layers.Lambda(CODE["corner"])]
    keras.Sequential(code).save(HERE / "lambda.keras")
    code = [tf_keras.layers.Input((8, 8, 3)), tf_keras.layers.Lambda(CODE["corner"])]
    tf_keras.Sequential(code).save(HERE / "lambda.h5")
    as_onnx(HERE / "small.onnx")
    for name, given in (("small.tflite", net(keras)), ("two-inputs.tflite", two_inputs())):
        (HERE / name).write_bytes(tf.lite.TFLiteConverter.from_keras_model(given).convert())


def two_inputs():
    """Write a model that takes two images."""
    first, second = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    both = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([first, second]))
    return keras.Model([first, second], keras.layers.Dense(1)(both))


if __name__ == "__main__":
    main()
