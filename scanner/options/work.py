"""How this machine works: its processes, its name and hours, where images come from."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import click

from scanner.config import parse_roots
from scanner.options.completion import complete_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.sources.location import SourceLocation
    from workers.working_hours import Hours

MAX_NAME_LENGTH = 100


class _Pair(click.types.StringParamType):
    """A pair that holds a path: in the environment pairs are split as paths are, not at blanks."""

    envvar_list_splitter = os.pathsep


def _roots(
    _ctx: click.Context, _parameter: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, SourceLocation]:
    return parse_roots(pairs)


root_option = click.option(
    "--root",
    "roots",
    type=_Pair(),
    shell_complete=complete_root,
    multiple=True,
    callback=_roots,
    envvar="SCANNER_ROOTS",
    show_envvar=True,
    metavar="NAME=PATH",
    help="Where this machine finds a collection, if elsewhere than where it was enqueued: a "
    "folder, or a URL (sftp://…, s3://…, http://…; needs the extra `remote`). "
    f"Repeatable; in the environment the pairs are split at {os.pathsep!r}.",
)


def _max_processes() -> int:
    from workers.host.capacity import max_processes  # noqa: PLC0415 - for those who work

    return max_processes()


concurrency_option = click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=_max_processes,
    show_default="what the cores and the memory allow",
    help="Processes that judge images.",
)


def _valid_name(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (0 < len(value) <= MAX_NAME_LENGTH and value.isprintable()):
        raise click.BadParameter(
            f"invalid name {value!r}: expected 1 to {MAX_NAME_LENGTH} printable characters"
        )
    return value


def name_option(**settings: Any) -> Callable[..., Any]:  # noqa: ANN401 - Click's
    """Return the option that names this machine."""
    return click.option(
        "--name", callback=_valid_name, help="This machine's name in reports.", **settings
    )


host_name_option = name_option(default=socket.gethostname, show_default="the host's name")


def _hours(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> Hours | None:
    from workers.working_hours import parse_hours  # noqa: PLC0415 - for those who work

    try:
        return None if value is None else parse_hours(value)
    except ValueError as error:
        raise click.BadParameter(
            f"invalid time range {value!r}, expected e.g. 22-7 or 22:30-7:15"
        ) from error


hours_option = click.option(
    "--hours",
    callback=_hours,
    metavar="FROM-TO",
    help="When to take work, by this machine's clock: 22-7, 22:30-7:15.",
)

cool_option = click.option(
    "--cool", is_flag=True, help="Use fewer processes while heat slows the board down."
)


def _litert(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value not in (None, "litert"):
        raise click.BadParameter(
            f"invalid runtime {value!r}: expected litert (TensorFlow was removed in 0.2.0)"
        )


# Accepted for the sake of units and scripts of 0.1, where there was a second runtime.
runtime_option = click.option("--runtime", callback=_litert, expose_value=False, hidden=True)
