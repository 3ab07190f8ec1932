"""What is asked for: the plan behind it, checked before anything is begun."""

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


def test_all_detectors_or_those_named() -> None:
    """Nothing named means all that there are; names are split at commas."""
    assert set(installed.installed()) == plan_for(None).names()
    assert {"objects-32", "provenance"} == plan_for("provenance, objects-32").names()
    assert {"provenance"} == plan_for("provenance").names()


@pytest.mark.parametrize("named", ["nonsense", ",", " "])
def test_no_such_detector(named: str) -> None:
    """A name that is none, and no name at all, are refused."""
    with pytest.raises(UnknownDetector):
        plan_for(named)


def test_damaged_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is not the one of its card is found here, where workers would only refuse it."""
    for file in installed.MODELS.glob("objects-32.*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "objects-32.tflite").write_bytes(b"something else")
    card = load_card(tmp_path / "objects-32.toml")
    monkeypatch.setattr(installed, "installed", lambda: {"objects-32": card})

    with pytest.raises(ScannerError, match="SHA-256"):
        plan_for(None)
