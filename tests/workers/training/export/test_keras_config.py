"""What a Keras file may say: known layers and arguments pass, all else is refused by name."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("h5py", reason="needs the `train` extra")

import h5py

from workers.training.export.keras_config import ConversionError, require_known
from workers.training.export.keras_files import known_version, read_config

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = Path(__file__).parents[2] / "detectors" / "models"


def layer(kind: str, name: str, *, inbound: object = (), **config: object) -> dict[str, Any]:
    """Return a layer as a configuration has it."""
    return {
        "class_name": kind,
        "config": {"name": name, **config},
        "name": name,
        "inbound_nodes": inbound,
    }


def functional(*layers: dict[str, Any]) -> dict[str, Any]:
    """Return a model whose layers begin with an image."""
    image = layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3])
    ends = {"input_layers": [["image", 0, 0]], "output_layers": [[layers[-1]["name"], 0, 0]]}
    return layer("Functional", "net", layers=[image, *layers], **ends)


def calling(function: str, kind: str = "TFOpLambda") -> dict[str, Any]:
    """Return a layer that calls a function of TensorFlow with a constant path."""
    inbound = [["_CONSTANT_VALUE", -1, "/tmp/written", {"contents": "hostile"}]]
    return layer(kind, "evil", inbound=inbound, function=function)


def inside(wrapper: str, hidden: dict[str, Any], key: str = "layer") -> dict[str, Any]:
    """Return a layer around another one."""
    return layer(wrapper, "outer", **{key: hidden})


FINE = layer("Dense", "last", units=1, activation="sigmoid")


def foreign(**entries: object) -> dict[str, Any]:
    """Return an ordinary layer with other entries."""
    return {**FINE, **entries}


HOSTILE = [
    (calling("io.write_file"), r"calls 'io.write_file' in its layer 'evil'"),
    (calling("io.read_file"), r"calls 'io.read_file' in its layer 'evil'"),
    (calling("numpy_function"), "calls 'numpy_function'"),
    (calling("py_function"), "calls 'py_function'"),
    (calling("raw_ops.WriteFile"), "calls 'raw_ops.WriteFile'"),
    (calling("keras.utils.get_file"), "calls 'keras.utils.get_file'"),
    (calling("__operators__.getitem"), "calls '__operators__.getitem'"),
    (calling("io.write_file", "SlicingOpLambda"), "calls 'io.write_file'"),
    (calling("math.add", "SlicingOpLambda"), "calls 'math.add'"),
    (layer("TFOpLambda", "evil", function=["io.write_file"]), "calls \"\\['io.write_file'\\]\""),
    (layer("TFOpLambda", "evil"), "calls 'None'"),
    (layer("TensorFlowOpLayer", "evil", node_def="op: WriteFile"), "class 'TensorFlowOpLayer'"),
    (layer("ClassMethod", "evil", cls_ref="tf.io"), "'evil' of the unknown class 'ClassMethod'"),
    (layer("InstanceMethod", "evil"), "unknown class 'InstanceMethod'"),
    (layer("InstanceProperty", "evil"), "unknown class 'InstanceProperty'"),
    (layer("Lambda", "evil", function="x"), r"contains code \(Lambda\)"),
    (layer("TFSMLayer", "evil", filepath="/x"), r"contains code \(TFSMLayer\)"),
    (layer("StringLookup", "evil", vocabulary="/etc/passwd"), "unknown class 'StringLookup'"),
    (layer("TextVectorization", "evil", vocabulary="/etc/passwd"), "class 'TextVectorization'"),
    (layer("MyLayer", "evil"), "'evil' of the unknown class 'MyLayer'"),
    (layer("Custom>MyLayer", "evil"), "unknown class 'Custom>MyLayer'"),
    (functional(calling("io.write_file")), "calls 'io.write_file'"),
    (functional(functional(calling("io.write_file"))), "calls 'io.write_file'"),
    (layer("Sequential", "old", layers=[calling("io.write_file")]), "calls 'io.write_file'"),
    (inside("TimeDistributed", calling("io.write_file")), "calls 'io.write_file'"),
    (inside("Bidirectional", calling("io.read_file"), "backward_layer"), "calls 'io.read_file'"),
    (inside("RNN", layer("Lambda", "evil"), "cell"), r"contains code \(Lambda\)"),
    (inside("StackedRNNCells", [layer("Lambda", "evil")], "cells"), r"contains code \(Lambda\)"),
    (inside("Dense", calling("io.write_file"), "kernel_initializer"), "calls 'io.write_file'"),
    (foreign(module="os", class_name="system"), "unknown class 'system'"),
    (foreign(module="os"), r"contains code \(the module 'os'\)"),
    (foreign(module="keras_evil.layers"), "the module 'keras_evil.layers'"),
    (foreign(module="tensorflow.io"), "the module 'tensorflow.io'"),
    (foreign(module="builtins"), "the module 'builtins'"),
    (foreign(registered_name="write_file"), "registered as 'write_file'"),
    (foreign(registered_name="my_package>Dense"), "registered as 'my_package>Dense'"),
    (foreign(class_name=["Dense"]), "unknown class"),
    (foreign(type_spec="evil"), "unknown entry 'type_spec' in its layer 'last'"),
    (foreign(compile_config={"optimizer": "adam"}), "contains a compiled model in its layer"),
    (layer("Dense", "last", vocabulary="/etc/passwd"), "unknown argument 'vocabulary'"),
    (layer("Dense", "last", activation="exec"), "unknown activation 'exec' in its layer 'last'"),
    (
        layer("Dense", "last", activation={"class_name": "function", "config": "write_file"}),
        "calls the function 'write_file'",
    ),
    (
        layer("Dense", "l", kernel_initializer={"class_name": "__lambda__", "config": {}}),
        r"contains code \(__lambda__\)",
    ),
    (
        layer("Dense", "l", kernel_initializer={"class_name": "__typespec__", "config": []}),
        "unknown class '__typespec__'",
    ),
    (layer("Dense", "\x1b[2J{layer}\n", evil=1), r"unknown argument 'evil' in its layer '"),
]


@pytest.mark.parametrize(("hidden", "said"), HOSTILE)
@pytest.mark.parametrize("deep", [False, True])
def test_all_that_is_not_known_is_refused(hidden: dict[str, Any], said: str, *, deep: bool) -> None:
    """Wherever it is in the model, the sentence names what it is and the layer; it is one line."""
    config = functional(FINE, functional(FINE, hidden) if deep else hidden)
    with pytest.raises(ConversionError, match=said) as refused:
        require_known(config, "net.h5")

    assert str(refused.value).startswith("net.h5 ")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("config", [None, [], "x", {}, {"class_name": "MyModel", "config": {}}])
def test_other_models_are_refused(config: object) -> None:
    """Models by classes of their users' own are code."""
    with pytest.raises(ConversionError, match="expected Sequential or Functional"):
        require_known(config, "net.h5")


def test_ordinary_models_pass() -> None:
    """Layers in layers, arithmetic by TensorFlow, and settings as objects are refused nowhere."""
    regularizer = {"class_name": "L2", "config": {"l2": 0.1}, "module": "keras.regularizers"}
    shift = layer(
        "TFOpLambda", "tf.math.subtract", function="math.subtract",
        inbound=[["image", 0, 0, {"y": 127.5, "name": None}]],
    )  # fmt: skip
    cut = layer(
        "SlicingOpLambda", "cut", function="__operators__.getitem",
        inbound=[["image", 0, 0, {"slice_spec": [{"start": 0, "stop": 8, "step": None}]}]],
    )  # fmt: skip
    dense = layer("Dense", "d", units=1, kernel_regularizer=regularizer, activation="relu")
    wrapped = inside("TimeDistributed", dense)
    net = functional(shift, cut, functional(wrapped), FINE)

    require_known({**net, "compile_config": {"loss": {"class_name": "MyLoss"}}}, "net.keras")


def with_weights(file: Path, target: Path) -> Iterator[str]:
    """Write files of HDF5 that take numbers or groups from `target`; yield what each is."""
    config = json.dumps(functional(FINE))
    for kind in ("linked", "raw", "virtual", "deep"):
        with h5py.File(file, "w") as opened:
            opened.attrs["model_config"] = config
            if kind == "linked":
                opened["model_weights"] = h5py.ExternalLink(str(target), "/")
            elif kind == "raw":
                opened.create_dataset("w", (4,), "u1", external=[(str(target), 0, 4)])
            elif kind == "virtual":
                layout = h5py.VirtualLayout((4,), "u1")
                layout[:] = h5py.VirtualSource(str(target), "w", (4,), "u1")
                opened.create_virtual_dataset("w", layout)
            else:
                group = opened.create_group("a/b/c")
                opened["a/again"] = opened["a"]
                group["d"] = h5py.ExternalLink(str(target), "/")
        yield kind


def test_numbers_in_other_files_are_refused(tmp_path: Path) -> None:
    """HDF5's links to other files, raw numbers and virtual arrays; circles in a file end."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"key!")
    net = tmp_path / "net.h5"
    for kind in with_weights(net, secret):
        if kind == "raw":
            with h5py.File(net) as opened:
                assert b"key!" == bytes(opened["w"][:])

        with pytest.raises(ConversionError, match="from another file, which is not read"):
            read_config(net)


def keras_file(path: Path, config: bytes, **members: bytes) -> Path:
    """Write a .keras file with weights, and further members."""
    weights = path.with_suffix(".h5")
    with h5py.File(weights, "w") as opened:
        opened["w"] = np.zeros(3)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", b'{"keras_version": "3.0"}')
        archive.writestr("model.weights.h5", weights.read_bytes())
        for name, body in members.items():
            archive.writestr(name, body)
    return path


def test_a_keras_file_has_its_three_members_only(tmp_path: Path) -> None:
    """Assets, pickled arrays and paths out of the archive are refused, and so are bombs."""
    fine = json.dumps(functional(FINE)).encode()

    assert "3.0" == read_config(keras_file(tmp_path / "a.keras", fine))[1]
    for name in ("assets/vocabulary.txt", "model.weights.npz", "../../x", "a\nb"):
        with pytest.raises(ConversionError, match="no part of a model") as refused:
            read_config(keras_file(tmp_path / "a.keras", fine, **{name: b"x"}))
        assert str(refused.value).isprintable()
    with pytest.raises(ConversionError, match="too large"):
        read_config(keras_file(tmp_path / "a.keras", b" " * (64 * 2**20 + 1)))


@pytest.mark.parametrize("config", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"a": 1e999'])
def test_a_damaged_configuration_is_one_sentence(config: bytes, tmp_path: Path) -> None:
    """Text that is not JSON, or nested beyond reason."""
    with pytest.raises(ConversionError, match="has no valid configuration"):
        read_config(keras_file(tmp_path / "a.keras", config))


def test_a_file_damaged_within_is_one_sentence(tmp_path: Path) -> None:
    """HDF5's own errors, of other types than a system's, do not end the process that reads it."""
    net = tmp_path / "net.h5"
    net.write_bytes((MODELS / "keras2.h5").read_bytes().replace(b"TREE", b"tree"))

    with pytest.raises(ConversionError, match=r"^net\.h5 cannot be converted: Unable to"):
        known_version(net)
