"""Plans from the names of detectors, checked before a scan starts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from scanner.detectors.plan import UnknownDetector, plan_for
from storage.errors import ScannerError
from workers.detectors import installed
from workers.detectors.card import load_card

if TYPE_CHECKING:
    from pathlib import Path


def test_named_detectors() -> None:
    """Without names all built-in detectors are used; names are separated by commas."""
    assert set(installed.installed()) == plan_for(None).names()
    assert {"objects-32", "provenance"} == plan_for("provenance, objects-32").names()
    assert {"provenance"} == plan_for("provenance").names()


def test_without_context() -> None:
    """A plan without context differs by nothing else, and has a digest of its own."""
    plan = plan_for(None, with_context=False)

    assert plan_for(None).names() - {"context"} == plan.names()
    assert plan_for(None).digest() != plan.digest()


def test_without_file_names() -> None:
    """A plan without file names differs by nothing else, and all three can be left out."""
    neither = plan_for(None, with_context=False, with_file_names=False, with_marks=False)

    assert plan_for(None).names() - {"file_names"} == plan_for(None, with_file_names=False).names()
    assert plan_for(None).names() - {"context", "file_names", "marks"} == neither.names()


def test_without_marks() -> None:
    """A plan without marks differs by nothing else."""
    assert plan_for(None).names() - {"marks"} == plan_for(None, with_marks=False).names()


@pytest.mark.parametrize("names", ["nonsense", ",", " "])
def test_unknown_detector(names: str) -> None:
    """Unknown names, and no name at all, are refused."""
    with pytest.raises(UnknownDetector):
        plan_for(names)


def test_damaged_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with another checksum than on its card is refused before workers see it."""
    for file in installed.MODELS.glob("objects-32.*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "objects-32.tflite").write_bytes(b"something else")
    card = load_card(tmp_path / "objects-32.toml")
    monkeypatch.setattr(installed, "installed", lambda: {"objects-32": card})

    with pytest.raises(ScannerError, match="SHA-256"):
        plan_for(None)
