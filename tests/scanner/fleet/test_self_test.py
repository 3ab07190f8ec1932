"""How fast a machine judges pictures, before it takes any."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from scanner.fleet import self_test
from scanner.fleet.self_test import CannotJudge

if TYPE_CHECKING:
    from pathlib import Path


def test_measured(home: Path) -> None:
    """Tiny pictures go faster than photographs; the memory is that of loaded detectors."""
    speed = self_test.run_self_test()

    assert speed is not None
    assert 0 < speed.photographs < speed.tiny
    assert 80 < speed.process_mb < 300


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("kill -SEGV $$", "killed by signal 11"),
        ("echo No such model >&2; exit 1", "exit status 1: No such model"),
        ("echo '{}'", "invalid answer"),
    ],
)
def test_what_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    """Whatever comes of it becomes one sentence."""
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(CannotJudge, match=said):
        self_test.run_self_test()
