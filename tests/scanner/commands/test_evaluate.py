"""`scanner evaluate` and `scanner train`: their output and their errors."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from scanner.cli import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every image count, also the one in a hundred that looks like a graphic."""
    monkeypatch.setattr(
        "workers.pipeline.inputs.out_of_domain", lambda images: [None for _ in images]
    )


def sample(test_data: Path, folder: Path) -> Path:
    """Extract the first twenty test images of each class to a folder."""
    with zipfile.ZipFile(test_data / "cifake-test.zip") as archive:
        for label in ("FAKE", "REAL"):
            names = sorted(name for name in archive.namelist() if name.startswith(f"{label}/"))
            archive.extractall(folder, names[:20])
    return folder


def test_evaluate_labelled_images(test_data: Path, tmp_path: Path) -> None:
    """Each of forty images, twenty per class, is counted once in the confusion matrix."""
    folder = sample(test_data, tmp_path / "mine")
    done = CliRunner().invoke(
        cli, ["evaluate", "objects-32", "--data", str(folder), "--json"], catch_exceptions=False
    )

    figures = json.loads(done.stdout)
    confusion = figures["confusion"]
    assert ("mine", 40) == (figures["on"], figures["images"])
    assert (20, 20) == (confusion["tp"] + confusion["fn"], confusion["tn"] + confusion["fp"])
    assert (confusion["tp"] + confusion["tn"]) / 40 == figures["accuracy"]


def test_evaluate_table(test_data: Path, tmp_path: Path) -> None:
    """The default output is the classification table, FAKE first."""
    folder = sample(test_data, tmp_path / "mine")
    done = CliRunner().invoke(cli, ["evaluate", "objects-32", "--data", str(folder)])

    assert 0 == done.exit_code
    assert done.output.index("FAKE") < done.output.index("REAL") < done.output.index("macro avg")


def test_evaluate_markdown(test_data: Path, tmp_path: Path) -> None:
    """--markdown prints the figures beside those of the student report."""
    folder = sample(test_data, tmp_path / "mine")
    arguments = ["objects-32", "--data", str(folder), "--markdown"]
    rows = CliRunner().invoke(cli, ["evaluate", *arguments]).output.splitlines()

    assert "| | objects-32 | the report's VGG16 at 32x32 |" in rows
    assert "| measured on | mine: 40 images | 20,000 of CIFAKE |" in rows
    assert any(row.startswith("| accuracy at 0.5 | ") and "| 0.9408 |" in row for row in rows)


@pytest.mark.parametrize("option", ["--markdown", "--changes"])
def test_options_for_detectors_only(tmp_path: Path, option: str) -> None:
    """An option for detectors is refused for a run."""
    (tmp_path / "recipe.json").write_text("{}")
    done = CliRunner().invoke(cli, ["evaluate", str(tmp_path), "--data", ".", option])

    assert 2 == done.exit_code
    assert f"{option} is for detectors, not for the folder of a run" in done.output


@pytest.mark.parametrize("recipe", ["{", "{}", "[]", '{"recipe": {"name": []}}'])
def test_folder_that_is_not_a_run(tmp_path: Path, recipe: str) -> None:
    """A recipe.json of something else is an error."""
    (tmp_path / "recipe.json").write_text(recipe)
    done = CliRunner().invoke(cli, ["evaluate", str(tmp_path), "--data", "."])

    assert 1 == done.exit_code
    assert "is not the folder of a `scanner train` run" in done.output


def test_missing_data(tmp_path: Path) -> None:
    """A missing folder is an error with exit code 1."""
    done = CliRunner().invoke(cli, ["evaluate", "objects-32", "--data", str(tmp_path / "nowhere")])

    assert 1 == done.exit_code
    assert f"Error: nowhere not found in {tmp_path}\n" == done.output


def test_one_class_only(test_data: Path, tmp_path: Path) -> None:
    """Images of one class only are refused."""
    folder = sample(test_data, tmp_path / "mine") / "FAKE"
    done = CliRunner().invoke(cli, ["evaluate", "objects-32", "--data", str(folder)])

    assert 1 == done.exit_code
    assert "Error: FAKE has images of one class only" in done.output


def test_detector_without_a_model() -> None:
    """A detector without a model is wrong usage, and those with one are listed."""
    done = CliRunner().invoke(cli, ["evaluate", "provenance", "--data", "."])

    assert 2 == done.exit_code
    assert "expected one of faces, objects-32, scenes" in done.output


def test_train_without_tensorflow(tmp_path: Path) -> None:
    """Without TensorFlow the error names the extra."""
    if importlib.util.find_spec("tensorflow") is not None:
        pytest.skip("TensorFlow is installed here")
    done = CliRunner().invoke(
        cli, ["train", "objects-32", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    )

    assert 1 == done.exit_code
    assert "pip install '.[train]'" in done.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["evaluate", "train"])
def test_help_shows_an_example(name: str) -> None:
    """Each command's help has an example that can be typed."""
    done = CliRunner().invoke(cli, [name, "--help"])

    assert 0 == done.exit_code
    assert f"  scanner {name} objects-32 --data " in done.output
