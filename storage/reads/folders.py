"""Outcomes by folder and by deciding detector.

Aggregated by the store. SQLite sorts what it groups, so that the keys of a million rows should be
short, and outcomes are counted over the few verdicts of COUNTED, by their index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence  # noqa: TC003 - msgspec reads the fields' types
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import AFTER_SLASH, SLASH, first_columns, in_folder
from storage.database.schema import entry, image, scan, verdict
from storage.records import Outcome

if TYPE_CHECKING:
    from storage.database.store import Store

# The outcomes that are counted; all other images are `no_evidence` or pending.
COUNTED = (Outcome.AI, Outcome.UNSURE, Outcome.ERROR)
# Folders that are listed; the others are counted together.
MAX_FOLDERS = 100
# Folders, and files beside them, that are looked up one by one.
MAX_STEPS = 200


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """The number of images of a group, and how many of them are `ai`, `unsure` or `error`."""

    images: int
    ai: int = 0
    unsure: int = 0
    error: int = 0


@dataclass(frozen=True, slots=True)
class Folders:
    """Images by folder in `parent`, each with all its sub-folders.

    Files directly in `parent` have an empty name. Only the MAX_FOLDERS largest folders are named;
    the rest is in `others`.
    """

    parent: bytes
    by_name: Mapping[bytes, OutcomeCounts]
    others: OutcomeCounts


def read_folders(
    connection: sa.Connection, scan_id: int
) -> tuple[Folders, dict[str, OutcomeCounts]]:
    """Return the images by folder, and those counted in COUNTED by deciding detector."""
    of_scan = sa.select(scan.c.collection_id, scan.c.images).where(scan.c.id == scan_id)
    collection_id, images = connection.execute(of_scan).one()
    in_collection = image.c.collection_id == collection_id
    parent = _common_folder(connection, in_collection)
    names = _folder_names(connection, in_collection, parent)
    totals = _count_images(connection, in_collection, parent, names)
    if totals.total() != images:
        # The collection has images that are not in this scan.
        listed = sa.select(entry.c.image_id).where(entry.c.scan_id == scan_id)
        totals = _count_images(connection, in_collection & image.c.id.in_(listed), parent, names)
    # Both from one query: reading the images' rows takes the time.
    key = (folder_name(connection, parent), verdict.c.detector)
    by_folder: dict[bytes, Counter[str]] = {}
    by_detector: dict[str, Counter[str]] = {}
    by_both = count_outcomes(connection, scan_id, key, image, verdict.c.image_id == image.c.id)
    for (folder, detector), counter in by_both.items():
        by_folder.setdefault(bytes(folder), Counter()).update(counter)
        if detector is not None:
            by_detector.setdefault(detector, Counter()).update(counter)
    by_name = {
        folder: outcome_counts(number, by_folder.pop(folder, {}))
        for folder, number in totals.most_common(MAX_FOLDERS)
    }
    named = sum(counts.images for counts in by_name.values())
    rest: Counter[str] = sum(by_folder.values(), Counter())
    return (
        Folders(parent, by_name, outcome_counts(totals.total() - named, rest)),
        {
            name: outcome_counts(counter.total(), counter)
            for name, counter in sorted(
                by_detector.items(), key=lambda item: (-item[1].total(), item[0])
            )
        },
    )


def subfolders(store: Store, collection_id: int, folder: bytes) -> list[bytes] | None:
    """Return the paths of the folders in a folder; None where there are too many to look up."""
    parent = folder + SLASH if folder else b""
    with store.read() as connection:
        names = _folder_names(connection, image.c.collection_id == collection_id, parent)
    return None if names is None else [parent + name for name in names if name]


def _common_folder(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> bytes:
    """Return the folder, with its slash, that contains all images; empty for the root."""
    # By order, since Postgres before 18 has no min() and max() of bytes.
    paths = sa.select(image.c.path).where(condition).limit(1)
    first = connection.scalar(paths.order_by(image.c.path))
    last = connection.scalar(paths.order_by(image.c.path.desc()))
    if first is None or last is None:
        return b""
    folders = (bytes(path).split(SLASH)[:-1] for path in (first, last))
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(*folders, strict=False))
    return b"".join(name + SLASH for name, _ in shared)


def _folder_names(
    connection: sa.Connection, condition: sa.ColumnElement[bool], parent: bytes
) -> list[bytes] | None:
    """Return the folders in `parent`, with an empty name for its own files.

    Each step asks the index on paths for the first path behind the last folder. Returns None where
    that would take more than MAX_STEPS.
    """
    names: list[bytes] = []
    after = parent
    for _ in range(MAX_STEPS):
        behind = sa.select(image.c.path).where(condition, image.c.path >= after)
        if parent:
            behind = behind.where(in_folder(image.c.path, parent))
        path = connection.scalar(behind.order_by(image.c.path).limit(1))
        if path is None:
            return names
        folder, slash, _ = bytes(path)[len(parent) :].partition(SLASH)
        if slash:
            names.append(folder)
            after = parent + folder + AFTER_SLASH
        else:
            after = bytes(path) + b"\0"
            if b"" not in names:
                names.append(b"")
    return None


def _count_images(
    connection: sa.Connection,
    condition: sa.ColumnElement[bool],
    parent: bytes,
    names: Sequence[bytes] | None,
) -> Counter[bytes]:
    """Count the images of each folder: by ranges of the index if `names` are few, else by group."""
    count = sa.select(sa.func.count()).select_from(image)
    if names is None:
        name = folder_name(connection, parent)
        query = sa.select(name, sa.func.count()).where(condition).group_by(*first_columns(1))
        return Counter({bytes(folder): images for folder, images in connection.execute(query)})
    totals: Counter[bytes] = Counter()
    for folder in filter(None, names):
        within = in_folder(image.c.path, parent + folder)
        totals[folder] = connection.execute(count.where(condition, within)).scalar_one()
    if b"" in names:
        totals[b""] = connection.execute(count.where(condition)).scalar_one() - totals.total()
    return +totals


def folder_name(connection: sa.Connection, parent: bytes) -> sa.ColumnElement[bytes]:
    """Return the first folder of a path below `parent` as SQL; empty for a file in `parent`."""
    rest = sa.func.substr(image.c.path, len(parent) + 1)
    if connection.dialect.name == "sqlite":
        slash = sa.func.instr(rest, SLASH)
    else:
        slash = sa.func.position(sa.literal(SLASH, sa.LargeBinary).op("IN")(rest))
    return sa.func.substr(rest, 1, sa.func.coalesce(sa.func.nullif(slash, 0), 1) - 1)


def count_outcomes(
    connection: sa.Connection,
    scan_id: int,
    key: Sequence[sa.ColumnElement[Any]],
    table: sa.Table,
    on: sa.ColumnElement[bool],
) -> dict[tuple[Any, ...], Counter[str]]:
    """Count the images of each outcome in COUNTED by a key of verdict and a table joined to it."""
    rows = connection.execute(
        sa.select(*key, verdict.c.outcome, sa.func.count())
        .select_from(verdict.join(table, on))
        .where(verdict.c.scan_id == scan_id, verdict.c.outcome.in_(COUNTED))
        .group_by(*first_columns(len(key) + 1))
    )
    counters: dict[tuple[Any, ...], Counter[str]] = {}
    for *group, outcome, images in rows:
        counters.setdefault(tuple(group), Counter())[outcome] += images
    return counters


def outcome_counts(images: int, counter: Mapping[str, int]) -> OutcomeCounts:
    """Return the counts of a group of images."""
    return OutcomeCounts(images, *(counter.get(outcome, 0) for outcome in COUNTED))
