"""Parameters of a command as one frozen dataclass."""

from __future__ import annotations

from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def as_record(
    record: type[Any], argument: str = "options"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Pass the parameters that are fields of a dataclass as one argument, an instance of it.

    A field that the command has no option for keeps its default.
    """
    names = [field.name for field in fields(record)]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def with_record(*positional: Any, **parameters: Any) -> Any:  # noqa: ANN401 - any command's
            parameters[argument] = record(
                **{name: parameters.pop(name) for name in names if name in parameters}
            )
            return function(*positional, **parameters)

        return with_record

    return decorate
