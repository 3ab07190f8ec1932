"""The conditions of `--where`, from what a user typed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click

from storage.reads.filters import NOT_REVIEWED, Condition
from storage.records import ErrorKind, Outcome
from storage.writes.reviews import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_FORM = re.compile(r"\s*([a-z]+)\s*(!=|>=|<=|=|>|<)(.*)", re.DOTALL)
VERDICTS = (*Outcome, "pending")
TRUTHS = {"ai": True, "real": False}


def parse_where(texts: Iterable[str]) -> list[Condition]:
    """The conditions, all of which have to be met; click.BadParameter for what is none."""
    return [_condition(text) for text in texts]


def _condition(text: str) -> Condition:
    found = _FORM.fullmatch(text)
    if found is None or found[1] not in FIELDS:
        raise _wrong(f"{text!r} is not FIELD=VALUE, the field one of {', '.join(FIELDS)}")
    field, comparison, given = found.groups()
    if comparison not in ("=", "!=") and field != "score":
        raise _wrong(f"{text!r}: only a score is more or less than another")
    values = tuple(FIELDS[field](value) for value in _split(field, given))
    return Condition(field, comparison, values)


def _split(field: str, given: str) -> list[str]:
    # A folder's name may hold a comma.
    return [given] if field == "folder" else [value.strip() for value in given.split(",")]


def _one_of(names: Iterable[str]) -> Callable[[str], str]:
    known = [str(name) for name in names]

    def parse(value: str) -> str:
        if value not in known:
            raise _wrong(f"{value!r} is not one of {', '.join(known)}")
        return value

    return parse


def _score(value: str) -> float:
    try:
        score = float(value)
    except ValueError as error:
        raise _wrong(f"{value!r} is no score: a number from 0 to 1") from error
    if not 0 <= score <= 1:
        raise _wrong(f"{value!r} is no score: a number from 0 to 1")
    return score


def _truth(value: str) -> bool:
    if value not in TRUTHS:
        raise _wrong(f"{value!r} is not one of {', '.join(TRUTHS)}")
    return TRUTHS[value]


def _folder(value: str) -> bytes:
    folder = os.fsencode(value).strip(b"/").removeprefix(b"./")
    if not folder:
        raise _wrong("a folder has a name, relative to the one that was scanned")
    return folder


def _wrong(words: str) -> click.BadParameter:
    return click.BadParameter(words, param_hint="--where")


FIELDS: dict[str, Callable[[str], Any]] = {
    "verdict": _one_of(VERDICTS),
    "score": _score,
    "folder": _folder,
    "detector": str,
    "host": str,
    "error": _one_of(ErrorKind),
    "truth": _truth,
    "reviewed": _one_of((*Answer, NOT_REVIEWED)),
}
