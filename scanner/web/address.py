"""What stands in a page's address: a selection of images, and a place in it.

Read with one sentence for what is wrong, written so that it is read back as it was.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from starlette.exceptions import HTTPException

from storage.reads.gallery import Place, Reviewed, Selection
from storage.records import ErrorKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

V = TypeVar("V")

# Characters of one value; no path of a file is longer.
MAX_CHARACTERS = 4_096


class Address:
    """The query of a request, value by value; HTTPException (400) for what cannot be read."""

    def __init__(self, request: Request) -> None:
        # A folder's name need not be UTF-8.
        query = request.scope["query_string"].decode("ascii", "replace")
        self._pairs = parse_qsl(query, errors="surrogateescape", max_num_fields=64)
        if any(len(value) > MAX_CHARACTERS for _, value in self._pairs):
            raise HTTPException(400, "A value in this address is too long.")

    def values(self, name: str) -> list[str]:
        """Every value of a name that is not empty."""
        return [value for key, value in self._pairs if key == name and value]

    def value(self, name: str, read: Callable[[str], V]) -> V | None:
        """The last value of a name; None where there is none."""
        given = self.values(name)
        return None if not given else self._read(name, given[-1], read)

    def selection(self, default: Selection | None = None) -> Selection:
        """The selection; outcomes that are not named are those of `default`."""
        default = default or Selection()
        named = [self._read("verdict", one, Outcome) for one in self.values("verdict")]
        return Selection(
            outcomes=tuple(one for one in Outcome if one in named) or default.outcomes,
            detector=self.value("detector", _text),
            folder=os.fsencode(self.value("folder", str) or "").strip(b"/").replace(b"\0", b""),
            host=self.value("host", _text),
            evidence=self.value("evidence", _text),
            error=self.value("error", ErrorKind),
            reviewed=self.value("reviewed", Reviewed),
        )

    def place(self, name: str) -> Place | None:
        """Where a page begins or ends."""
        return self.value(name, _place)

    @staticmethod
    def _read(name: str, given: str, read: Callable[[str], V]) -> V:
        try:
            return read(given)
        except (OverflowError, ValueError) as error:
            raise HTTPException(400, f"What the address says for {name!r} is not known.") from error


def query(selection: Selection, **more: object) -> str:
    """A selection as the query of an address, with more values behind it; None leaves one out."""
    pairs: list[tuple[str, Any]] = [("verdict", one.value) for one in selection.outcomes]
    named = {
        "detector": selection.detector,
        "folder": selection.folder or None,
        "host": selection.host,
        "evidence": selection.evidence,
        "error": selection.error,
        "reviewed": selection.reviewed,
    }
    pairs += [(name, value) for name, value in (named | more).items() if value is not None]
    return urlencode(pairs)


def changed(selection: Selection, **values: Any) -> Selection:  # noqa: ANN401 - its fields
    """A selection with other values."""
    return replace(selection, **values)


def place_text(place: Place) -> str:
    """A place, exactly, as `place` reads it."""
    return f"{'-' if place.score is None else repr(place.score)}:{place.image_id}"


def _place(given: str) -> Place:
    score, colon, image_id = given.partition(":")
    if not colon:
        raise ValueError(given)
    return Place(None if score == "-" else float(score), row_id(image_id))


def row_id(given: str) -> int:
    """The id of a row: no more digits than either kind of store has room for."""
    if not given.isascii() or not given.isdigit() or len(given) > 18:  # noqa: PLR2004
        raise ValueError(given)
    return int(given)


def _text(given: str) -> str:
    """A text that a store can be asked for."""
    if "\0" in given:
        raise ValueError(given)
    return given.encode(errors="replace").decode()
