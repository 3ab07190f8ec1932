"""`scanner evaluate` and `scanner train`: what is wrong is said in one sentence."""

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


def some_of(test_data: Path, folder: Path) -> Path:
    """The first twenty test pictures of each class, in a folder of their own."""
    with zipfile.ZipFile(test_data / "cifake-test.zip") as archive:
        for label in ("FAKE", "REAL"):
            names = sorted(name for name in archive.namelist() if name.startswith(f"{label}/"))
            archive.extractall(folder, names[:20])
    return folder


def test_evaluate_measures_a_folder_of_labelled_pictures(test_data: Path, tmp_path: Path) -> None:
    """Forty pictures, twenty of each class, each counted once in the confusion matrix."""
    folder = some_of(test_data, tmp_path / "mine")
    done = CliRunner().invoke(
        cli, ["evaluate", "objects-32", "--data", str(folder), "--json"], catch_exceptions=False
    )

    figures = json.loads(done.stdout)
    at = figures["confusion"]
    assert ("mine", 40) == (figures["on"], figures["images"])
    assert (20, 20) == (at["tp"] + at["fn"], at["tn"] + at["fp"])
    assert (at["tp"] + at["tn"]) / 40 == figures["accuracy"]


def test_evaluate_prints_the_table(test_data: Path, tmp_path: Path) -> None:
    """For people it is the classification table, FAKE first."""
    folder = some_of(test_data, tmp_path / "mine")
    done = CliRunner().invoke(cli, ["evaluate", "objects-32", "--data", str(folder)])

    assert 0 == done.exit_code
    assert done.output.index("FAKE") < done.output.index("REAL") < done.output.index("macro avg")


def test_evaluate_prints_the_table_of_the_docs(test_data: Path, tmp_path: Path) -> None:
    """With --markdown: our figures, and those of the student report beside them."""
    folder = some_of(test_data, tmp_path / "mine")
    arguments = ["objects-32", "--data", str(folder), "--markdown"]
    rows = CliRunner().invoke(cli, ["evaluate", *arguments]).output.splitlines()

    assert "| | objects-32 | the report's VGG16 at 32x32 |" in rows
    assert "| measured on | mine: 40 images | 20,000 of CIFAKE |" in rows
    assert any(row.startswith("| accuracy at 0.5 | ") and "| 0.9408 |" in row for row in rows)


@pytest.mark.parametrize("option", ["--markdown", "--changes"])
def test_evaluate_has_no_such_figures_of_a_run(tmp_path: Path, option: str) -> None:
    """What is made of detectors only is refused for a run, not left out."""
    (tmp_path / "recipe.json").write_text("{}")
    done = CliRunner().invoke(cli, ["evaluate", str(tmp_path), "--data", ".", option])

    assert 2 == done.exit_code
    assert f"{option} is for detectors, not for the folder of a run" in done.output


@pytest.mark.parametrize("recipe", ["{", "{}", "[]", '{"recipe": {"name": []}}'])
def test_evaluate_knows_its_runs(tmp_path: Path, recipe: str) -> None:
    """Another program's recipe.json is one sentence."""
    (tmp_path / "recipe.json").write_text(recipe)
    done = CliRunner().invoke(cli, ["evaluate", str(tmp_path), "--data", "."])

    assert 1 == done.exit_code
    assert "is not the folder of a `scanner train` run" in done.output


def test_evaluate_says_which_data_are_missing(tmp_path: Path) -> None:
    """A folder that is not there is one sentence and exit code 1."""
    done = CliRunner().invoke(cli, ["evaluate", "objects-32", "--data", str(tmp_path / "nowhere")])

    assert 1 == done.exit_code
    assert f"Error: nowhere not found in {tmp_path}\n" == done.output


def test_evaluate_needs_both_classes(test_data: Path, tmp_path: Path) -> None:
    """Accuracy over one class says nothing: that is refused in one sentence."""
    folder = some_of(test_data, tmp_path / "mine") / "FAKE"
    done = CliRunner().invoke(cli, ["evaluate", "objects-32", "--data", str(folder)])

    assert 1 == done.exit_code
    assert "Error: FAKE has images of one class only" in done.output


def test_evaluate_knows_its_detectors() -> None:
    """A name without a model is a usage error that names those with one."""
    done = CliRunner().invoke(cli, ["evaluate", "provenance", "--data", "."])

    assert 2 == done.exit_code
    assert "expected one of faces, faces-96, objects-32, scenes" in done.output


def test_train_says_what_to_install(tmp_path: Path) -> None:
    """Without TensorFlow the sentence names the extra."""
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
