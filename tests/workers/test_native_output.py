"""Keeping the output of native libraries off stderr."""

from __future__ import annotations

import os

import pytest

from workers.native_output import without_info_lines


def say(line: str) -> None:
    """Write to the descriptor itself, as native code does."""
    os.write(2, line.encode())


def test_info_lines_are_dropped_and_others_are_not(capfd: pytest.CaptureFixture[str]) -> None:
    """Warnings and errors are printed unchanged, INFO lines are dropped."""
    with without_info_lines():
        say("INFO: a delegate was made\nERROR: it does not work\n")
    say("INFO: after\n")

    assert "ERROR: it does not work\nINFO: after\n" == capfd.readouterr().err


def test_errors_are_raised(capfd: pytest.CaptureFixture[str]) -> None:
    """An error within the context is raised, and stderr is restored."""

    def fail() -> None:
        with without_info_lines():
            say("WARNING: careful\n")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    say("after\n")

    assert "WARNING: careful\nafter\n" == capfd.readouterr().err
