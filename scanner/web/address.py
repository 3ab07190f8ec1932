"""The query of a page's URL: a selection of images, and a place in it.

What `query` writes, `Address` reads back unchanged; an invalid value is one clear error.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from starlette.exceptions import HTTPException

from scanner.language import gettext
from storage.reads.order import Position
from storage.reads.selection import Reviewed, Selection, Sort, month_span
from storage.records import ErrorKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

V = TypeVar("V")

# Characters of a value; no file's path is longer.
MAX_CHARACTERS = 4_096
# By whether it is so.
_YES = ("no", "yes")


class Address:
    """The query of a request, value by value; raises HTTPException (400) for invalid values."""

    def __init__(self, request: Request) -> None:
        # A folder's name need not be UTF-8.
        query = request.scope["query_string"].decode("ascii", "replace")
        self._pairs = parse_qsl(query, errors="surrogateescape", max_num_fields=64)
        if any(len(value) > MAX_CHARACTERS for _, value in self._pairs):
            raise HTTPException(400, gettext("A value in this address is too long."))

    def values(self, name: str) -> list[str]:
        """Return the values of a name that are not empty."""
        return [value for key, value in self._pairs if key == name and value]

    def value(self, name: str, read: Callable[[str], V]) -> V | None:
        """Return the last value of a name; None where there is none."""
        values = self.values(name)
        return self._read(name, values[-1], read) if values else None

    def selection(self, default: Selection | None = None) -> Selection:
        """Return the selection, with the outcomes of `default` where none is given."""
        default = default or Selection()
        outcomes = [self._read("verdict", value, Outcome) for value in self.values("verdict")]
        return Selection(
            outcomes=tuple(outcome for outcome in Outcome if outcome in outcomes)
            or default.outcomes,
            detector=self.value("detector", _text),
            folder=os.fsencode(self.value("folder", str) or "").strip(b"/").replace(b"\0", b""),
            host=self.value("host", _text),
            evidence=self.value("evidence", _text),
            error=self.value("error", ErrorKind),
            reviewed=self.value("reviewed", Reviewed),
            name=os.fsencode(self.value("name", str) or "").strip().replace(b"\0", b""),
            is_examined=self.value("examined", _yes_or_no),
            generator=self.value("generator", _text),
            camera=self.value("camera", _text),
            month=self.value("month", _month),
            sort=self.value("sort", Sort) or Sort.SCORE,
            is_reversed=bool(self.values("reverse")),
            is_grouped=bool(self.values("group")),
        )

    def place(self, name: str) -> Position | None:
        """Return the place where a page begins or ends."""
        return self.value(name, _place)

    @staticmethod
    def _read(name: str, text: str, read: Callable[[str], V]) -> V:
        try:
            return read(text)
        except (OverflowError, ValueError) as error:
            raise HTTPException(
                400, gettext("Invalid value of '{name}' in this address.").format(name=name)
            ) from error


def query(selection: Selection, **more: object) -> str:
    """Return a selection as a query, followed by more values; None leaves a value out."""
    pairs: list[tuple[str, Any]] = [("verdict", outcome.value) for outcome in selection.outcomes]
    fields = {
        "detector": selection.detector,
        "folder": selection.folder or None,
        "host": selection.host,
        "evidence": selection.evidence,
        "error": selection.error,
        "reviewed": selection.reviewed,
        "name": selection.name or None,
        "examined": None if selection.is_examined is None else _YES[selection.is_examined],
        "generator": selection.generator,
        "camera": selection.camera,
        "month": selection.month,
        "sort": None if selection.sort is Sort.SCORE else selection.sort,
        "reverse": 1 if selection.is_reversed else None,
        "group": 1 if selection.is_grouped else None,
    }
    pairs += [(name, value) for name, value in (fields | more).items() if value is not None]
    return urlencode(pairs)


def changed(selection: Selection, **values: Any) -> Selection:  # noqa: ANN401 - its fields
    """Return a selection with other values."""
    return replace(selection, **values)


def place_text(place: Position) -> str:
    """Return a place as text, exactly, as `Address.place` reads it."""
    return f"{'-' if place.score is None else repr(place.score)}:{place.image_id}"


def _yes_or_no(text: str) -> bool:
    return _YES.index(text) == 1


def _month(text: str) -> str:
    """Return a month or a year; raises ValueError for anything else."""
    month_span(text)
    return text


def _place(text: str) -> Position:
    score, colon, image_id = text.partition(":")
    if not colon:
        raise ValueError(text)
    return Position(None if score == "-" else float(score), row_id(image_id))


def row_id(text: str) -> int:
    """Return the id of a row; raises ValueError beyond the 18 digits that stores hold."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004
        raise ValueError(text)
    return int(text)


def _text(text: str) -> str:
    """Return a text that a store can compare with; raises ValueError for a NUL."""
    if "\0" in text:
        raise ValueError(text)
    return text.encode(errors="replace").decode()
