"""Measure the speed of the detectors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from scanner.fleet import self_test
from scanner.fleet.self_test import SelfTestError

if TYPE_CHECKING:
    from pathlib import Path


def test_result(home: Path) -> None:
    """Small images are faster than photos, and the memory includes the models."""
    result = self_test.run_self_test()

    assert result is not None
    assert 0 < result.photos_per_second < result.tiny_per_second
    assert 80 < result.process_mb < 300


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("kill -SEGV $$", "killed by signal 11"),
        ("echo No such model >&2; exit 1", "exit status 1: No such model"),
        ("echo '{}'", "invalid answer"),
    ],
)
def test_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    """A failure is one sentence."""
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(SelfTestError, match=message):
        self_test.run_self_test()
