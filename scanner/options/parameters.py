"""Kinds of options that Click does not have, and the rule for options of groups."""

from __future__ import annotations

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """Numbers in a range, without NaN and infinity, which Click lets through."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as Click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"invalid number {value!r}: expected a finite one", param, ctx)
        return number


class PathParameter(click.Path):
    """A path that is not empty, as an unset variable leaves it: Path("") is the current folder."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as Click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401
        """Return the path."""
        require_named(value, param, ctx)
        return super().convert(value, param, ctx)


def require_named(value: object, param: click.Parameter | None, ctx: click.Context | None) -> None:
    """Refuse an empty text in place of a file or folder."""
    if value != "" or param is None:
        return
    name = param.opts[0] if isinstance(param, click.Option) else param.human_readable_name
    raise click.UsageError(f"{name} is empty: expected a file or folder", ctx)


def refuse_before_subcommand(ctx: click.Context) -> None:
    """Refuse an option of a group before a subcommand, where Click would drop it."""
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if ctx.invoked_subcommand is not None and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} comes after `{ctx.invoked_subcommand}`, not before it"
            )
