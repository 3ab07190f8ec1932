"""Formats of a command's output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from scanner.cli import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("order", [["--json", "--json-lines"], ["--json-lines", "--json"]])
def test_one_form(home: Path, order: list[str]) -> None:
    """--json and --json-lines exclude each other."""
    done = CliRunner().invoke(cli, ["status", *order])

    assert 2 == done.exit_code
    assert "name one" in done.stderr
