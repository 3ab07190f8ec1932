"""Frozen dataclasses out of TOML tables, with a sentence for whatever does not fit."""

from __future__ import annotations

import types
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class TableError(ValueError):
    """A table lacks something, has too much or holds a value of another kind; says where."""


def build(kind: type[T], table: object, where: str) -> T:
    """Make a `kind` (a dataclass) of a parsed TOML table; `where` names it in errors.

    A whole number will do where a float is wanted. Raises TableError.
    """
    if not isinstance(table, dict):
        raise TableError(f"{where} is not a table")
    hints = get_type_hints(kind)
    known: dict[str, Field[Any]] = {one.name: one for one in fields(kind) if one.init}  # type: ignore[arg-type]
    if strange := sorted(set(table) - set(known)):
        raise TableError(f"{where} has an entry {strange[0]!r} that is not known")
    values = {}
    for name, one in known.items():
        if name in table:
            values[name] = _value(hints[name], table[name], f"{where}.{name}")
        elif one.default is MISSING and one.default_factory is MISSING:
            raise TableError(f"{where} has no entry {name!r}")
    return kind(**values)


def _value(hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - hints are of any kind
    if get_origin(hint) in (Union, types.UnionType):  # TOML has no null: it is the other one
        hint = next(one for one in get_args(hint) if one is not type(None))
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TableError(f"{where} is not a list")
        inner = get_args(hint)[0]
        return tuple(_value(inner, one, f"{where}[{n}]") for n, one in enumerate(value))
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise TableError(f"{where} is {value!r}, where one of {get_args(hint)} is wanted")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise TableError(f"{where} is {value!r}, where {hint.__name__} is wanted")
    return value
