"""Which numbers and paths are accepted."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from scanner.cli import COMMANDS, cli
from scanner.options.parameters import FiniteRange, PathParameter

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "much"])
def test_refused_numbers(text: str) -> None:
    """NaN, infinity, and numbers out of range are refused."""
    with pytest.raises(click.BadParameter):
        FiniteRange(0.1).convert(text, None, None)

    assert 0.5 == FiniteRange(0.1).convert("0.5", None, None)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["evaluate", "scenes", "--data", ""], "--data"),
        (["scan", ""], "FOLDER"),
        (["check", ""], "FILE..."),
        (["report", "--output", ""], "--output"),
        (["report", "--store", ""], "--store"),
    ],
)
def test_empty_path_is_refused(command: list[str], name: str) -> None:
    """An empty path, as an unset variable leaves it, is not the current folder."""
    result = CliRunner().invoke(cli, command)

    assert 2 == result.exit_code
    assert result.stderr.endswith(f"Error: {name} is empty: expected a file or folder\n")


def commands(command: click.Command) -> Iterator[click.Command]:
    """Yield a command and those below it."""
    yield command
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from commands(below)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_path_is_checked(name: str) -> None:
    """No command takes paths by Click's own type."""
    whole = importlib.import_module(f"scanner.commands.{name}").command
    types = [parameter.type for one in commands(whole) for parameter in one.params]

    assert all(isinstance(each, PathParameter) for each in types if isinstance(each, click.Path))
