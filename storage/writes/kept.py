"""What a scan keeps from earlier scans: verdicts on unchanged images, and answers about them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT
from storage.database.schema import entry, finding, review, scan, verdict
from storage.records import ErrorKind
from storage.sidecars import sidecars_to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage.database.store import Store
    from storage.records import ListedImage
    from storage.writes.scans import Scan

    # What was listed, by image id.
    Listed = Mapping[int, ListedImage]

# Errors that may not happen again; others are kept like any verdict.
TEMPORARY_ERRORS = (
    ErrorKind.UNREADABLE,
    ErrorKind.CHANGED,
    ErrorKind.OUTSIDE,
    ErrorKind.MOVED,
    ErrorKind.TIMEOUT,
    ErrorKind.INTERNAL,
)
# The latest scan usually has all images: so it is searched first, then each time more scans.
GROWTH = 8
MAX_SCANS = 512


@dataclass(frozen=True, slots=True)
class EarlierScans:
    """The earlier scans of a collection from which a scan keeps something.

    `scan_ids`, the latest first, are those by the same plan, whose verdicts are kept. Answers are
    kept whatever the plan: `answered` has the images with any, `review_ids` the scans.
    """

    scan_ids: Sequence[int]
    answered: frozenset[int]
    review_ids: Sequence[int]


def earlier_scans(store: Store, current: Scan, *, keeps_verdicts: bool) -> EarlierScans:
    """Return the scans from which a scan may keep answers and, unless it rescans, verdicts."""
    earlier = (scan.c.collection_id == current.collection_id) & (scan.c.id < current.scan_id)
    by_plan = sa.select(scan.c.id).where(earlier, scan.c.plan_id == current.plan_id)
    answers = (
        sa.select(review.c.scan_id, review.c.image_id)
        .where(review.c.scan_id.in_(sa.select(scan.c.id).where(earlier)))
        .distinct()
    )
    with store.read() as connection:
        ids = list(connection.scalars(by_plan.order_by(scan.c.id.desc()))) if keeps_verdicts else []
        answered = connection.execute(answers).all()
    return EarlierScans(
        ids,
        frozenset(image_id for _, image_id in answered),
        sorted({scan_id for scan_id, _ in answered}),
    )


def find_kept(connection: sa.Connection, listed: Listed, earlier: EarlierScans) -> dict[int, int]:
    """Return the scan whose verdict is kept by image id, for the unchanged ones of these images.

    It is the latest scan that judged the image. An image has changed if one of its sidecars has.
    """
    is_permanent = sa.func.coalesce(verdict.c.error_kind, "").not_in(TEMPORARY_ERRORS)
    judged = sa.select(
        entry.c.scan_id,
        entry.c.image_id,
        entry.c.size_bytes,
        entry.c.mtime_ns,
        entry.c.sidecars,
        verdict.c.digest,
        is_permanent.label("can_be_kept"),
    ).join(verdict, ENTRY_VERDICT)
    latest: dict[int, sa.Row[Any]] = {}
    for scan_ids in _growing_groups(earlier.scan_ids):
        remaining = listed.keys() - latest.keys()
        if not remaining:
            break
        rows = connection.execute(
            judged.where(entry.c.scan_id.in_(scan_ids), entry.c.image_id.in_(sorted(remaining)))
        )
        for row in rows:
            known = latest.setdefault(row.image_id, row)
            if row.scan_id > known.scan_id:
                latest[row.image_id] = row
    return {
        image_id: row.scan_id
        for image_id, row in latest.items()
        if row.can_be_kept
        and _has_same_file(row, listed[image_id])
        and row.sidecars == sidecars_to_json(listed[image_id].sidecars)
    }


def copy_verdicts(connection: sa.Connection, scan_id: int, sources: Mapping[int, int]) -> None:
    """Copy verdicts with their findings into a scan; `sources` has the scan of each image."""
    images_by_source: dict[int, list[int]] = defaultdict(list)
    for image_id, source in sorted(sources.items()):
        images_by_source[source].append(image_id)
    for source, images in images_by_source.items():
        changed = {"scan_id": sa.literal(scan_id), "kept_from": sa.literal(source)}
        for table in (verdict, finding):
            rows = sa.select(*(changed.get(column.name, column) for column in table.c)).where(
                table.c.scan_id == source, table.c.image_id.in_(images)
            )
            names = [column.name for column in table.c]
            connection.execute(sa.insert(table).from_select(names, rows))


def copy_answers(
    connection: sa.Connection, scan_id: int, listed: Listed, earlier: EarlierScans
) -> None:
    """Copy the answers about unchanged images into a scan.

    People may answer in any scan, so the earlier ones can differ. Of each reviewer and image, those
    of the scan are copied in which the reviewer last gave, replaced or withdrew an answer.
    """
    answered = sorted(earlier.answered & listed.keys())
    if not answered:
        return
    of_entry = (entry.c.scan_id == review.c.scan_id) & (entry.c.image_id == review.c.image_id)
    rows = connection.execute(
        sa.select(review, entry.c.size_bytes, entry.c.mtime_ns, verdict.c.digest)
        .join(entry, of_entry)
        .outerjoin(verdict, ENTRY_VERDICT)
        .where(review.c.scan_id.in_(earlier.review_ids), review.c.image_id.in_(answered))
    )
    histories: dict[tuple[int, str], dict[int, list[sa.Row[Any]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        # Whatever its sidecars say, people have looked at these pixels.
        if _has_same_file(row, listed[row.image_id]):
            histories[row.image_id, row.reviewer][row.scan_id].append(row)
    copied = [row for by_scan in histories.values() for row in max(by_scan.values(), key=_last)]
    if copied:
        # In the order of time: the highest id is the last answer.
        copied.sort(key=lambda row: (row.at, row.id))
        names = ("image_id", "answer", "reviewer", "at", "ended_at")
        connection.execute(
            sa.insert(review),
            [
                {"scan_id": scan_id, **{name: row._mapping[name] for name in names}}
                for row in copied
            ],
        )


def _has_same_file(row: sa.Row[Any], listed: ListedImage) -> bool:
    """Check whether a file has its earlier size and time; and its content, where that was read."""
    if (row.size_bytes, row.mtime_ns) != (listed.size_bytes, listed.mtime_ns):
        return False
    return listed.digest is None or (row.digest is not None and bytes(row.digest) == listed.digest)


def _last(history: Sequence[sa.Row[Any]]) -> tuple[float, int]:
    """Return the time of the last change in a reviewer's answers, and their scan."""
    return max(max(row.at, row.ended_at or 0.0) for row in history), history[0].scan_id


def _growing_groups(scan_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    start, size = 0, 1
    while start < len(scan_ids):
        yield scan_ids[start : start + size]
        start += size
        size = min(size * GROWTH, MAX_SCANS)
