"""Training on a few tiny images; needs TensorFlow."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

tensorflow = pytest.importorskip("tensorflow", reason="the `train` extra is not installed")

from workers.detectors.card import load_card  # noqa: E402 - after the check above
from workers.detectors.loading import load  # noqa: E402
from workers.pipeline import inputs  # noqa: E402
from workers.training import epochs as training  # noqa: E402
from workers.training import runs  # noqa: E402
from workers.training.epochs import train  # noqa: E402
from workers.training.export.tflite import ExportError, compare_int8, export_int8  # noqa: E402
from workers.training.networks.models import (  # noqa: E402
    build,
    logits,
    renew_statistics,
    with_mirrored_view,
)
from workers.training.recipes.builtin import RECIPES  # noqa: E402
from workers.training.recipes.recipe import Recipe, Residual, Split  # noqa: E402
from workers.training.run_results import write_results  # noqa: E402
from workers.training.runs import Epoch, Run, RunError  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

# TensorFlow and its converter warn of their own future.
pytestmark = pytest.mark.filterwarnings("ignore")

OBJECTS_32 = RECIPES["objects-32"]
SMALL = replace(
    OBJECTS_32,
    net=Residual(widths=(4, 8), blocks=(1, 1)),
    data=replace(OBJECTS_32.data, split=Split(validation=16, calibration=16, seed=1)),
    phases=(replace(OBJECTS_32.phases[0], epochs=2, batch=16),),
)

# Its second phase begins with the best net of the first.
IN_PHASES = replace(SMALL, phases=(replace(SMALL.phases[0], epochs=1),) * 2)
AVERAGED = replace(SMALL, phases=(replace(SMALL.phases[0], averaged=0.9),))


def write_set(path: Path, each: int, seed: int) -> None:
    """Write images that are easily told apart: dark real ones, bright AI-generated ones."""
    draw = np.random.default_rng(seed)
    with zipfile.ZipFile(path, "w") as archive:
        for label, base in (("REAL", 40), ("FAKE", 150)):
            for number in range(each):
                pixels = draw.integers(base, base + 60, (32, 32, 3)).astype(np.uint8)
                body = io.BytesIO()
                Image.fromarray(pixels).save(body, "PNG")
                archive.writestr(f"{label}/{number:04}.png", body.getvalue())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a training and a test set under the names in the recipe."""
    folder = tmp_path_factory.mktemp("data")
    write_set(folder / "cifake-train.zip", each=112, seed=1)
    write_set(folder / "cifake-test.zip", each=20, seed=2)
    with zipfile.ZipFile(folder / "scaled-photographs.zip", "w") as archive:
        for part in ("train", "thresholds"):
            body = io.BytesIO()
            Image.new("RGB", (32, 32), (60, 60, 60)).save(body, "PNG")
            archive.writestr(f"{part}/REAL/box/png/me/1.png", body.getvalue())
    return folder


def quietly(_line: str) -> None:
    """Ignore the message."""


def histories(out: Path) -> list[dict[str, Any]]:
    """Return the epochs on disk, without their times."""
    rows: list[dict[str, Any]] = json.loads((out / runs.HISTORY).read_text())
    return [{key: row[key] for key in row if key != "seconds"} for row in rows]


def test_a_run_ends_in_a_model_with_its_card(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Train, export, calibrate, measure: the card loads, its model verifies and scores."""
    # The gate takes noise for graphics.
    monkeypatch.setattr(inputs, "out_of_domain", lambda images: [None] * len(images))
    run = Run(data, tmp_path / "run", seed=3)
    made = write_results(SMALL, run, train(SMALL, run, quietly), quietly)

    assert run.out / "objects-32.toml" == made
    card = load_card(made)
    assert card.measured is not None
    assert 40 == card.measured.images
    assert [(80, 80), (1, 0), (16, 16), (16, 16), (1, 0)] == [
        (one.real, one.ai) for one in card.data
    ]
    scores = load(card).score([np.full((32, 32, 3), shade, np.uint8) for shade in (70, 180)])
    assert 0.0 <= scores[0] < scores[1] <= 1.0
    assert (run.out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "FAKE" in (run.out / "classification.txt").read_text()
    noted = json.loads((run.out / "environment.json").read_text())
    assert {"python", "gpus", "packages"} <= set(noted)


@pytest.mark.parametrize("recipe", [IN_PHASES, AVERAGED], ids=["two phases", "averaged"])
def test_a_killed_run_resumes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    """Killed while the second epoch is saved, it ends with the epochs of an uninterrupted run."""
    train(recipe, Run(data, tmp_path / "whole", seed=5), quietly)

    class Killed(BaseException):
        """A stand-in for the end of the process."""

    def die_at_the_second(path: Path, what: object) -> None:
        if path.name == runs.HISTORY and len(list(what)) == 2:  # type: ignore[call-overload]
            raise Killed
        write(path, what)

    write = runs.write_json
    monkeypatch.setattr(training, "write_json", die_at_the_second)
    with pytest.raises(Killed):
        train(recipe, Run(data, tmp_path / "cut", seed=5), quietly)
    monkeypatch.undo()
    assert 1 == len(histories(tmp_path / "cut"))
    train(recipe, Run(data, tmp_path / "cut", seed=5, resume=True), quietly)

    whole, cut = histories(tmp_path / "whole"), histories(tmp_path / "cut")
    assert [1, 2] == [row["epoch"] for row in cut]
    for expected, actual in zip(whole, cut, strict=True):
        assert pytest.approx(expected, rel=1e-2) == actual


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"resume": False}, "continue it with --resume"),
        ({"resume": True, "seed": 2}, "holds a run of another recipe, length or seed"),
    ],
)
def test_a_folder_belongs_to_one_run(
    data: Path, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    """Neither a second start nor another seed overwrites a run's folder."""
    run = Run(data, tmp_path, seed=1)
    runs.claim(SMALL, run)

    with pytest.raises(RunError, match=said):
        train(SMALL, replace(run, **changed), quietly)


def test_training_stops_without_improvement() -> None:
    """Training ends two epochs after the best one."""
    rows = [Epoch(n + 1, 0, 0, 0, right, 0, 0) for n, right in enumerate([0.6, 0.9, 0.8])]

    assert not training._is_stale([], 2)
    assert not training._is_stale(rows, 2)
    assert training._is_stale([*rows, replace(rows[-1], epoch=4, validation_accuracy=0.9)], 2)


def test_objects_32_has_the_parameters_on_its_card() -> None:
    """The recipe's network has the parameters on the built-in card, and one logit."""
    recipe: Recipe = RECIPES["objects-32"]
    net = build(recipe)

    assert (None, 1) == net.output_shape
    # 3x3 convolutions (the first one, then a pair per block), 1x1 shortcuts, four numbers per
    # channel of batch normalisation, and a dense layer of 128 weights and a bias.
    convolutions = 9 * (3 * 24 + 2 * 24 * 24 + 24 * 48 + 3 * 48 * 48)
    convolutions += 9 * (48 * 96 + 3 * 96 * 96 + 96 * 128 + 3 * 128 * 128)
    convolutions += 24 * 48 + 48 * 96 + 96 * 128
    normalised = 3 * 24 + 5 * 48 + 5 * 96 + 5 * 128
    assert convolutions + 4 * normalised + 129 == net.count_params()


def test_an_export_of_another_network_is_refused(tmp_path: Path) -> None:
    """A file that gives other numbers than the trained network never becomes a detector."""
    draw = np.random.default_rng(1)
    # From dark to bright: to an untrained net, noise of one brightness is all the same.
    shades = np.linspace(0.1, 1, 64)[:, None, None, None]
    images = (draw.integers(0, 256, (64, 32, 32, 3)) * shades).astype(np.uint8)
    tensorflow.keras.utils.set_random_seed(1)
    net, other = build(SMALL), build(SMALL)
    export_int8(net, images, tmp_path / "net.tflite")

    assert 64 == compare_int8(net, tmp_path / "net.tflite", images).images
    with pytest.raises(ExportError, match="the int8 model differs from the trained one"):
        compare_int8(other, tmp_path / "net.tflite", images)


def test_a_mirror_image_has_the_same_logit() -> None:
    """The second view makes left and right the same; one view alone does not."""
    images = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), np.uint8)
    tensorflow.keras.utils.set_random_seed(1)
    net = build(SMALL)
    both = with_mirrored_view(net)
    mean = (logits(net, images) + logits(net, images[:, :, ::-1])) / 2

    assert not np.allclose(logits(net, images), logits(net, images[:, :, ::-1]), atol=1e-4)
    assert np.allclose(mean, logits(both, images), atol=1e-4)
    assert np.allclose(mean, logits(both, images[:, :, ::-1]), atol=1e-4)


def test_statistics_are_the_mean_of_the_batches() -> None:
    """Whatever they were, they become those of the images given, each batch counting the same."""
    pixels = tensorflow.keras.Input((2, 2, 1))
    normalising = tensorflow.keras.layers.BatchNormalization(momentum=0.9)
    net = tensorflow.keras.Model(pixels, normalising(pixels))
    renew_statistics(net, [np.full((3, 2, 2, 1), value, np.float32) for value in (1, 2, 6)])

    assert pytest.approx(3.0) == float(normalising.moving_mean[0])
    assert 0.9 == normalising.momentum
