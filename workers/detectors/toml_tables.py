"""Frozen dataclasses from TOML tables, with an error message for each misfit."""

from __future__ import annotations

import types
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


class TableError(ValueError):
    """An entry of a table is missing, unknown, or of another type; the message says which."""


def build(kind: type[T], table: object, where: str) -> T:
    """Make a `kind` (a dataclass) from a parsed TOML table; `where` names it in errors.

    A whole number is accepted for a float. Raises TableError.
    """
    if not isinstance(table, dict):
        raise TableError(f"{where} is not a table")
    hints = _hints(kind)  # type: ignore[arg-type] # mypy takes a class for unhashable
    known: dict[str, Field[Any]] = {field.name: field for field in fields(kind) if field.init}  # type: ignore[arg-type]
    if unknown := sorted(set(table) - set(known)):
        raise TableError(f"{where} has an unknown entry {unknown[0]!r}")
    values = {}
    for name, field in known.items():
        if name in table:
            values[name] = _value(hints[name], table[name], f"{where}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise TableError(f"{where} lacks the entry {name!r}")
    return kind(**values)


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Return the types of a class's fields, which Python would compile for each of 400 tables."""
    return get_type_hints(kind)


def _value(hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - hints are of any kind
    if get_origin(hint) in (Union, types.UnionType):  # TOML has no null
        hint = next(each for each in get_args(hint) if each is not type(None))
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TableError(f"{where} is not a list")
        inner = get_args(hint)[0]
        return tuple(_value(inner, item, f"{where}[{n}]") for n, item in enumerate(value))
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise TableError(f"invalid {where} {value!r}: expected one of {get_args(hint)}")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise TableError(f"invalid {where} {value!r}: expected {hint.__name__}")
    return value
