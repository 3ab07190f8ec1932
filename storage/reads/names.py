"""Search of images by words in their paths, and suggestions while a word is typed.

Every path of a collection is compared, a million in about half a second; what was found is kept
for the next pages.
"""

from __future__ import annotations

import threading
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import SLASH, in_folder
from storage.database.schema import image

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from storage.database.store import Store

# Words that are looked for; further ones are ignored.
MAX_WORDS = 8
# Searches that are kept, each with its ids.
_KEPT = 64
# Paths among which folders and names are suggested, and how many are.
_SUGGEST_FROM, SUGGESTIONS = 300, 10
_found: OrderedDict[Hashable, Sequence[int] | None] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class NameSearch:
    """Looks for images below a folder with all words in their paths."""

    collection_id: int
    words: tuple[bytes, ...]
    folder: bytes = b""

    def conditions(self, dialect: str) -> list[sa.ColumnElement[bool]]:
        """Return the conditions of an image."""
        conditions = [image.c.collection_id == self.collection_id]
        if self.folder:
            conditions.append(in_folder(image.c.path, self.folder))
        return conditions + contains_words(dialect, self.words)


def read_named(
    store: Store, connection: sa.Connection, search: NameSearch, most: int
) -> Sequence[int] | None:
    """Return the ids of the images that a search finds; None if there are more than `most`."""
    # Ids only grow, and an image keeps its path: what was found holds until there are new images.
    latest = connection.scalar(sa.select(sa.func.max(image.c.id)))
    key = (store.identity, search, most, latest)
    with _lock:
        if key in _found:
            _found.move_to_end(key)
            return _found[key]
    query = sa.select(image.c.id).where(*search.conditions(connection.dialect.name))
    ids = list(connection.scalars(query.limit(most + 1)))
    result = ids if len(ids) <= most else None
    with _lock:
        _found[key] = result
        while len(_found) > _KEPT:
            _found.popitem(last=False)
    return result


def suggestions(
    store: Store, collection_id: int, typed: bytes, *, folders_only: bool = False
) -> list[bytes]:
    """Return folders, then files, whose names have the last of the words that were typed."""
    words = tuple(typed.split()[:MAX_WORDS])
    if not words:
        return []
    with store.read() as connection:
        search = NameSearch(collection_id, words)
        query = sa.select(image.c.path).where(*search.conditions(connection.dialect.name))
        paths = [bytes(path) for path in connection.scalars(query.limit(_SUGGEST_FROM))]
    last = words[-1].lower()
    folders: dict[bytes, None] = {}
    for path in paths:
        parts = path.split(SLASH)
        for depth in range(1, len(parts)):
            folder = SLASH.join(parts[:depth])
            # A word may have a slash, too; sub-folders of what it names are not asked for.
            if last in folder.lower() and last not in SLASH.join(parts[: depth - 1]).lower():
                folders[folder] = None
    names = [path for path in paths if last in path.rpartition(SLASH)[2].lower()]
    return [*folders, *([] if folders_only else names)][:SUGGESTIONS]


def contains_words(dialect: str, words: Sequence[bytes]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of paths with all words, whatever their case."""
    return [
        sa.or_(*(_contains(dialect, variant) for variant in _variants(word)))
        for word in words[:MAX_WORDS]
    ]


def _variants(word: bytes) -> list[bytes]:
    """Return how a word may be written: stores fold the case of ASCII only, Macs split accents."""
    try:
        text = word.decode()
    except UnicodeDecodeError:
        return [word]
    if text.isascii():
        return [word]
    cases = (text, text.lower(), text.upper(), text.title())
    forms: Any = ("NFC", "NFD")
    written = dict.fromkeys(unicodedata.normalize(form, case) for form in forms for case in cases)
    return [each.encode() for each in written]


def _contains(dialect: str, word: bytes) -> sa.ColumnElement[bool]:
    path = image.c.path
    if dialect == "postgresql":
        # As Latin 1 every byte is a character, and the collation folds ASCII alone.
        text = sa.func.convert_from(path, "LATIN1").collate("C")
        return sa.func.strpos(sa.func.lower(text), word.lower().decode("latin-1")) > 0
    try:
        pattern = word.decode()
    except UnicodeDecodeError:
        return sa.func.instr(path, sa.literal(word, sa.LargeBinary)) > 0
    for special in "\\%_":
        pattern = pattern.replace(special, "\\" + special)
    return sa.cast(path, sa.Text).like(f"%{pattern}%", escape="\\")
