"""Which numbers are accepted, and options that were renamed."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from scanner.options.parameters import FiniteRange, RenamedOption


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "much"])
def test_refused_numbers(text: str) -> None:
    """NaN, infinity, and numbers out of range are refused."""
    with pytest.raises(click.BadParameter):
        FiniteRange(0.1).convert(text, None, None)

    assert 0.5 == FiniteRange(0.1).convert("0.5", None, None)


def test_renamed_option() -> None:
    """A former name is accepted, and not documented."""

    @click.command()
    @click.option("--new", "--old", "value", cls=RenamedOption)
    def command(value: str) -> None:
        click.echo(value)

    assert "5\n" == CliRunner().invoke(command, ["--old", "5"]).output
    assert "5\n" == CliRunner().invoke(command, ["--new", "5"]).output
    assert "--old" not in CliRunner().invoke(command, ["--help"]).output
