"""The conditions of `--where`, from what a user typed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click

from storage.reads.filters import NOT_REVIEWED, Condition
from storage.records import ErrorKind, Outcome
from storage.writes.reviews import Agreed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CONDITION = re.compile(r"\s*([a-z]+)\s*(!=|>=|<=|=|>|<)(.*)", re.DOTALL)
LABELS = {"ai": True, "real": False}
YES_OR_NO = {"yes": True, "no": False}
# Of the fields that have few values.
VALUES: dict[str, tuple[str, ...]] = {
    "verdict": (*Outcome, "pending"),
    "error": tuple(ErrorKind),
    "label": tuple(LABELS),
    "reviewed": (*Agreed, NOT_REVIEWED),
    "edited": tuple(YES_OR_NO),
}


def parse_where(texts: Iterable[str]) -> list[Condition]:
    """Return the conditions, all of which have to match; raise click.BadParameter."""
    return [_condition(text) for text in texts]


def names() -> list[str]:
    """Return the names of the fields, without that of 0.1."""
    return [name for name in FIELDS if name != "truth"]


def _condition(text: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None or match[1] not in FIELDS:
        raise _invalid(
            "condition", text, f"FIELD=VALUE with one of the fields {', '.join(names())}"
        )
    name, comparison, typed = match.groups()
    if comparison not in ("=", "!=") and name != "score":
        raise _invalid("condition", text, f"= or != for {name}, only scores can be compared")
    field, parse = FIELDS[name]
    # A folder's name may contain a comma.
    values = [typed] if name == "folder" else [value.strip() for value in typed.split(",")]
    return Condition(field, comparison, tuple(map(parse, values)))


def _one_of(names: Iterable[str]) -> Callable[[str], str]:
    known = [str(name) for name in names]

    def parse(value: str) -> str:
        if value not in known:
            raise _invalid("value", value, f"one of {', '.join(known)}")
        return value

    return parse


def _score(value: str) -> float:
    try:
        score = float(value)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise click.BadParameter(
            f"invalid score {value!r}: must be between 0 and 1", param_hint="--where"
        )
    return score


def _label(value: str) -> bool:
    return LABELS[_one_of(LABELS)(value)]


def _yes_or_no(value: str) -> bool:
    return YES_OR_NO[_one_of(YES_OR_NO)(value)]


def _folder(value: str) -> bytes:
    folder = os.fsencode(value).strip(b"/").removeprefix(b"./")
    if not folder:
        raise _invalid("folder", value, "a name relative to the scanned folder")
    return folder


def _invalid(kind: str, value: str, expected: str) -> click.BadParameter:
    return click.BadParameter(
        f"invalid {kind} {value!r}: expected {expected}", param_hint="--where"
    )


# By the name that a user types: the name in the store's filters, and the parser of a value.
FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "verdict": ("verdict", _one_of(VALUES["verdict"])),
    "score": ("score", _score),
    "folder": ("folder", _folder),
    "detector": ("detector", str),
    "host": ("host", str),
    "error": ("error", _one_of(VALUES["error"])),
    "label": ("truth", _label),
    # Its name in 0.1.
    "truth": ("truth", _label),
    "reviewed": ("reviewed", _one_of(VALUES["reviewed"])),
    "edited": ("edited", _yes_or_no),
}
