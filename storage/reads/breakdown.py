"""Where a scan's verdicts lie: by folder, month, deciding detector; copies; and each go at a batch.

All of it is aggregated by the store. SQLite sorts what it groups: so the keys that a million rows
are grouped by are short, and what each outcome came to is asked of the few verdicts that say
something, by their index.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import entry, image, run, scan, verdict
from storage.reads.coverage import Coverage, read_looked
from storage.records import SCORE_THRESHOLD, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The outcomes that are counted by place; the rest of an item's images found nothing, or wait.
TOLD = (Outcome.AI, Outcome.UNSURE, Outcome.ERROR)
# Folders that are listed; the others are counted together.
MAX_FOLDERS = 100
# Digests are compared among up to this many images, else one in SHARES of them is.
DIGESTS_COMPARED = 100_000
SHARES = 16
DAY_NS = 24 * 3600 * 10**9
# Folders, and files beside them, that are looked up one by one.
MAX_STEPS = 200
SLASH = b"/"
# The byte after the slash: all that is in a folder has a path between the two.
AFTER_SLASH = b"0"
UNKNOWN_MONTH = "unknown"


@dataclass(frozen=True, slots=True)
class Told:
    """Images in one place or of one time, and how many of them are `ai`, `unsure` or `error`."""

    images: int
    ai: int = 0
    unsure: int = 0
    error: int = 0


@dataclass(frozen=True, slots=True)
class Folders:
    """Images by folder, each folder with all below it, as they lie in `parent`.

    The name of what lies in `parent` itself is empty. Where there are more than MAX_FOLDERS, those
    with most images are named and the rest is in `others`.
    """

    parent: bytes
    by_name: Mapping[bytes, Told]
    others: Told


@dataclass(frozen=True, slots=True)
class Copies:
    """Files with a digest, and how many different contents they have; `ai` of them alone.

    Where there are many files, those of one in `one_in` digests: the copies of a picture are all
    among them or none is, so shares hold for the whole scan.
    """

    files: int
    different: int
    ai_files: int
    ai_different: int
    one_in: int


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One go at a batch: by whom, when, and the verdicts of it that stand."""

    host_id: str
    started_at: float
    ended_at: float
    images: int


# Labelled, scored images by (truth, whether the score is at least SCORE_THRESHOLD).
Calls = Counter[tuple[bool, bool]]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where and when; `months` by `YYYY-MM` of the files' times (UTC), `deciding` by detector.

    `calls_by_folder` and `calls_by_detector` are empty where nothing is labelled.
    """

    folders: Folders
    months: Mapping[str, Told]
    deciding: Mapping[str, Told]
    copies: Copies
    looked: Mapping[str, Coverage]
    runs: Sequence[RunFigures]
    calls_by_folder: Mapping[bytes, Calls]
    calls_by_detector: Mapping[str, Calls]


def read_breakdown(
    connection: sa.Connection, scan_id: int, ai_from: Mapping[str, float], *, is_labelled: bool
) -> Breakdown:
    """The breakdown of a scan, within a transaction; `ai_from` are its detectors' thresholds."""
    folders, deciding = _places(connection, scan_id)
    by_folder: dict[bytes, Calls] = {}
    by_detector: dict[str, Calls] = {}
    if is_labelled:
        by_folder, by_detector = _calls(connection, scan_id, folders.parent)
    return Breakdown(
        folders=folders,
        months=_months(connection, scan_id),
        deciding=deciding,
        copies=_copies(connection, scan_id),
        looked=read_looked(connection, scan_id, ai_from),
        runs=read_runs(connection, scan_id),
        calls_by_folder={
            name: calls for name, calls in by_folder.items() if name in folders.by_name
        },
        calls_by_detector=by_detector,
    )


def read_runs(connection: sa.Connection, scan_id: int) -> list[RunFigures]:
    """Each go at a batch of the scan; a kept verdict is of none of them."""
    # Run by run, for then the index on them has all that is needed.
    images = sa.select(sa.func.count()).where(
        verdict.c.run_id == run.c.id, verdict.c.scan_id == scan_id
    )
    rows = connection.execute(
        sa.select(run.c.host_id, run.c.started_at, run.c.ended_at, images.scalar_subquery())
        .where(run.c.scan_id == scan_id)
        .order_by(run.c.started_at)
    )
    return [RunFigures(*row) for row in rows]


def _places(connection: sa.Connection, scan_id: int) -> tuple[Folders, dict[str, Told]]:
    """The images by folder, and those of which something is said by the detector that decided."""
    of_scan = sa.select(scan.c.collection_id, scan.c.images).where(scan.c.id == scan_id)
    collection_id, images = connection.execute(of_scan).one()
    ours = image.c.collection_id == collection_id
    # By order, not by min() and max(): Postgres has them for bytes since 18 only.
    paths = sa.select(image.c.path).where(ours).limit(1)
    first = connection.scalar(paths.order_by(image.c.path))
    last = connection.scalar(paths.order_by(image.c.path.desc()))
    parent = b"" if first is None or last is None else _common_folder(bytes(first), bytes(last))
    names = _names(connection, ours, parent)
    listed = _listed(connection, ours, parent, names)
    if listed.total() != images:
        # The collection has images that this scan has not.
        ours &= image.c.id.in_(sa.select(entry.c.image_id).where(entry.c.scan_id == scan_id))
        listed = _listed(connection, ours, parent, names)
    # Both in one go: it is these images' rows that take the time.
    key = (_folder_name(connection, parent), verdict.c.detector)
    told: dict[bytes, Counter[str]] = {}
    decided: dict[str, Counter[str]] = {}
    by_both = _told_by(connection, scan_id, key, image, verdict.c.image_id == image.c.id)
    for (folder, detector), counted in by_both.items():
        told.setdefault(bytes(folder), Counter()).update(counted)
        if detector is not None:
            decided.setdefault(detector, Counter()).update(counted)
    by_name = {
        folder: _told(number, told.get(folder, {}))
        for folder, number in listed.most_common(MAX_FOLDERS)
    }
    left: Counter[str] = Counter()
    for folder, counted in told.items():
        if folder not in by_name:
            left.update(counted)
    folders = Folders(parent, by_name, _told(listed.total() - _images(by_name), left))
    deciding = {
        name: _told(counted.total(), counted)
        for name, counted in sorted(decided.items(), key=_most)
    }
    return folders, deciding


def _names(
    connection: sa.Connection, ours: sa.ColumnElement[bool], parent: bytes
) -> list[bytes] | None:
    """The folders in `parent`, an empty name for its own files; None where that takes long.

    Each step asks the index on paths for the first one that lies behind the step before.
    """
    names: list[bytes] = []
    after = parent
    for _ in range(MAX_STEPS):
        behind = sa.select(image.c.path).where(ours, image.c.path >= after)
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


def _listed(
    connection: sa.Connection,
    ours: sa.ColumnElement[bool],
    parent: bytes,
    names: Sequence[bytes] | None,
) -> Counter[bytes]:
    """The images of each folder: range by range of the index, or where there are many at once."""
    count = sa.select(sa.func.count()).select_from(image)
    if names is None:
        name = _folder_name(connection, parent)
        query = sa.select(name, sa.func.count()).where(ours).group_by(sa.text("1"))
        return Counter({bytes(folder): images for folder, images in connection.execute(query)})
    listed: Counter[bytes] = Counter()
    for folder in filter(None, names):
        start, end = parent + folder + SLASH, parent + folder + AFTER_SLASH
        within = (image.c.path >= start) & (image.c.path < end)
        listed[folder] = connection.execute(count.where(ours, within)).scalar_one()
    if b"" in names:
        listed[b""] = connection.execute(count.where(ours)).scalar_one() - listed.total()
    return +listed


def _images(by_name: Mapping[bytes, Told]) -> int:
    return sum(one.images for one in by_name.values())


def _common_folder(first: bytes, last: bytes) -> bytes:
    """The folder, with its slash, that holds all paths between the first and the last."""
    of_first, of_last = first.split(SLASH)[:-1], last.split(SLASH)[:-1]
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(of_first, of_last, strict=False))
    return b"".join(name + SLASH for name, _ in shared)


def _folder_name(connection: sa.Connection, parent: bytes) -> sa.ColumnElement[bytes]:
    """The first part of what a path has after `parent`; empty where that is the file's name."""
    rest = sa.func.substr(image.c.path, len(parent) + 1)
    if connection.dialect.name == "sqlite":
        until = sa.func.instr(rest, SLASH)
    else:
        until = sa.func.position(sa.literal(SLASH, sa.LargeBinary).op("IN")(rest))
    return sa.func.substr(rest, 1, sa.func.coalesce(sa.func.nullif(until, 0), 1) - 1)


def _months(connection: sa.Connection, scan_id: int) -> dict[str, Told]:
    day = entry.c.mtime_ns // DAY_NS
    totals = connection.execute(
        sa.select(day, sa.func.count()).where(entry.c.scan_id == scan_id).group_by(sa.text("1"))
    )
    listed: Counter[str] = Counter()
    for number, images in totals:
        listed[_month(number)] += images
    told: dict[str, Counter[str]] = {}
    same = (entry.c.scan_id == verdict.c.scan_id) & (entry.c.image_id == verdict.c.image_id)
    for (number,), counted in _told_by(connection, scan_id, (day,), entry, same).items():
        told.setdefault(_month(number), Counter()).update(counted)
    return {month: _told(listed[month], told.get(month, {})) for month in sorted(listed)}


def _month(day: int) -> str:
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m}"
    except OverflowError:
        # A file's time may be anything.
        return UNKNOWN_MONTH


def _most(item: tuple[Any, Counter[str]]) -> tuple[int, str]:
    return -item[1].total(), str(item[0])


def _told_by(
    connection: sa.Connection,
    scan_id: int,
    key: Sequence[sa.ColumnElement[Any]],
    table: sa.Table,
    on: sa.ColumnElement[bool],
) -> dict[tuple[Any, ...], Counter[str]]:
    """The images of each outcome in TOLD by a key, of the verdict and of a table joined to it."""
    rows = connection.execute(
        sa.select(*key, verdict.c.outcome, sa.func.count())
        .select_from(verdict.join(table, on))
        .where(verdict.c.scan_id == scan_id, verdict.c.outcome.in_(TOLD))
        .group_by(*(sa.text(str(place)) for place in range(1, len(key) + 2)))
    )
    told: dict[tuple[Any, ...], Counter[str]] = {}
    for *found, outcome, images in rows:
        told.setdefault(tuple(found), Counter())[outcome] += images
    return told


def _told(images: int, counted: Mapping[str, int]) -> Told:
    return Told(images, *(counted.get(outcome, 0) for outcome in TOLD))


def _calls(
    connection: sa.Connection, scan_id: int, parent: bytes
) -> tuple[dict[bytes, Calls], dict[str, Calls]]:
    """The calls on labelled images, by folder and by deciding detector."""
    labelled = (entry.c.scan_id == scan_id) & entry.c.truth.is_not(None)
    by_folder: dict[bytes, Calls] = {}
    by_detector: dict[str, Calls] = {}
    judged = (verdict.c.scan_id == entry.c.scan_id) & (verdict.c.image_id == entry.c.image_id)
    called = verdict.c.score >= SCORE_THRESHOLD
    rows = connection.execute(
        sa.select(
            _folder_name(connection, parent),
            verdict.c.detector,
            entry.c.truth,
            called,
            sa.func.count(),
        )
        .select_from(entry.join(verdict, judged).join(image, image.c.id == entry.c.image_id))
        .where(labelled, verdict.c.score.is_not(None))
        .group_by(*(sa.text(str(place)) for place in range(1, 5)))
    )
    for folder, detector, truth, is_ai, images in rows:
        call = (bool(truth), bool(is_ai))
        by_folder.setdefault(bytes(folder), Counter())[call] += images
        by_detector.setdefault(detector, Counter())[call] += images
    return by_folder, by_detector


def _copies(connection: sa.Connection, scan_id: int) -> Copies:
    ours = (verdict.c.scan_id == scan_id) & verdict.c.digest.is_not(None)
    judged = sa.select(verdict.c.outcome).where(verdict.c.scan_id == scan_id)
    many = judged.offset(DIGESTS_COMPARED).limit(1)
    one_in = 1 if connection.execute(many).first() is None else SHARES
    if one_in > 1:
        ours &= verdict.c.digest < bytes([256 // one_in])
    is_ai = sa.case((verdict.c.outcome == Outcome.AI, 1), else_=0)
    same = (
        sa.select(sa.func.count().label("files"), sa.func.sum(is_ai).label("ai"))
        .where(ours)
        .group_by(verdict.c.digest)
        .subquery()
    )
    row = connection.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(same.c.files), 0),
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(same.c.ai), 0),
            sa.func.count(sa.case((same.c.ai > 0, 1))),
        )
    ).one()
    files, different, ai_files, ai_different = map(int, row)
    return Copies(files, different, ai_files, ai_different, one_in)
