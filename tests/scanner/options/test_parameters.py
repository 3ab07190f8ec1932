"""Which numbers are accepted."""

from __future__ import annotations

import click
import pytest

from scanner.options.parameters import FiniteRange


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "much"])
def test_refused_numbers(text: str) -> None:
    """NaN, infinity, and numbers out of range are refused."""
    with pytest.raises(click.BadParameter):
        FiniteRange(0.1).convert(text, None, None)

    assert 0.5 == FiniteRange(0.1).convert("0.5", None, None)
