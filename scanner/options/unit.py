"""Options of a watch as a service of systemd."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable


class UnitAction(StrEnum):
    """What to do with the service, by its option."""

    INSTALL = "--install"
    UNINSTALL = "--uninstall"
    PRINT = "--print-unit"


OF_USER = "--user"
_HELP = {
    UnitAction.INSTALL: f"Let systemd run this watch; see {OF_USER}.",
    UnitAction.UNINSTALL: "Stop and remove the service of --install.",
    UnitAction.PRINT: "Show the unit of --install; change nothing.",
}


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """What to do with the service instead of watching, and whose it is."""

    action: UnitAction
    of_user: bool


def unit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; they become the argument `unit`, None where the folder is watched."""

    @click.option(OF_USER, "of_user", is_flag=True, help="A service of yours, not the system's.")
    @wraps(command)
    def with_unit(*positional: Any, of_user: bool, **parameters: Any) -> Any:  # noqa: ANN401
        chosen = [action for action in UnitAction if parameters.pop(action.name.lower())]
        if len(chosen) > 1:
            raise click.UsageError(f"{' and '.join(chosen)} exclude each other")
        unit = UnitOptions(chosen[0], of_user) if chosen else None
        return command(*positional, unit=unit, **parameters)

    for action in reversed(UnitAction):
        with_unit = click.option(action, action.name.lower(), is_flag=True, help=_HELP[action])(
            with_unit
        )
    return with_unit
