"""Write a detector's card as TOML."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.detectors.card import Card


def write_card(card: Card) -> None:
    """Write the card to its path."""
    card.path.write_text(to_toml(card), encoding="utf-8")


def to_toml(card: Card) -> str:
    """Return the card as TOML, which `load_card` reads back; its path is left out."""
    table = {key: value for key, value in _table(card).items() if key != "path"}
    return "\n".join(_lines(table, "")) + "\n"


def _table(record: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _lines(table: dict[str, Any], prefix: str) -> Iterator[str]:
    """Yield plain values first, since TOML reads them into the table that was opened last."""
    nested = {}
    for key, value in table.items():
        if value is None or value == ():
            continue
        if is_dataclass(value) or (isinstance(value, tuple) and is_dataclass(value[0])):
            nested[key] = value
        else:
            yield f"{key} = {_value(value)}"
    for key, value in nested.items():
        for record in value if isinstance(value, tuple) else (value,):
            name = f"{prefix}{key}"
            yield ""
            yield f"[[{name}]]" if isinstance(value, tuple) else f"[{name}]"
            yield from _lines(_table(record), f"{name}.")


def _value(value: object) -> str:
    if isinstance(value, tuple):
        inner = "".join(f"  {_value(item)},\n" for item in value)
        return f"[\n{inner}]"
    if isinstance(value, (str, bool)):
        # In JSON they are as in TOML, except for DEL in a string, which no card has.
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
