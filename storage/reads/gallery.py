"""A scan's judged images in pages, for the gallery, the review and exports.

Flagged images come first, by descending score; then the others, the latest listed first. A page
begins at the position where the last one ended, so that the last page of a million verdicts loads
as quickly as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT, failed_images, in_folder
from storage.database.schema import entry, finding, host, image, review, run, verdict
from storage.records import ErrorKind, Outcome
from storage.writes.reviews import Answer, disagrees, is_current, last_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.database.store import Store
    from storage.writes.scans import Scan

FLAGGED = (Outcome.AI, Outcome.UNSURE)
# Images per page of an export.
EXPORT_ROWS = 2_000


class Reviewed(StrEnum):
    """Selects images by their reviews."""

    YES = "yes"
    NO = "no"
    DISAGREE = "disagree"


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects images of a scan; fields that are None or empty match all images.

    `detector` is the one that decided, `folder` a path with everything below it, `host` a host's
    id, `evidence` the kind of a finding other than a bare score.
    """

    outcomes: tuple[Outcome, ...] = FLAGGED
    detector: str | None = None
    folder: bytes = b""
    host: str | None = None
    evidence: str | None = None
    error: ErrorKind | None = None
    reviewed: Reviewed | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """The position of an image in the order; `score` is None for images that are not flagged."""

    score: float | None
    image_id: int


def position_of(outcome: Outcome | None, score: float | None, image_id: int) -> Position:
    """Return the position of an image with that verdict."""
    return Position(score if outcome in FLAGGED else None, image_id)


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of a page; `answer` is its last current review, if any."""

    image_id: int
    path: bytes
    outcome: Outcome
    score: float | None
    detector: str | None
    error: ErrorKind | None
    answer: Answer | None

    @property
    def position(self) -> Position:
        """Return the position of the image in the order."""
        return position_of(self.outcome, self.score, self.image_id)


@dataclass(frozen=True, slots=True)
class _Step:
    """So many images after, or before, a position; None stands for the beginning, or the end."""

    position: Position | None
    limit: int
    forwards: bool


@dataclass(frozen=True, slots=True)
class ListedFile:
    """An image as its scan listed it; `digest` is the SHA-256 of its bytes, if it was read.

    With `has_error` its pixels could not be decoded, whatever its verdict.
    """

    path: bytes
    size_bytes: int
    mtime_ns: int
    outcome: Outcome | None
    has_error: bool
    digest: bytes | None


def page(
    store: Store, scan: Scan, selection: Selection, limit: int, after: Position | None = None
) -> list[Tile]:
    """Return the next `limit` images of a selection."""
    return _page(store, scan, selection, _Step(after, limit, forwards=True))


def page_before(
    store: Store, scan: Scan, selection: Selection, limit: int, before: Position
) -> list[Tile]:
    """Return the last `limit` images of a selection before a position, in the same order."""
    return _page(store, scan, selection, _Step(before, limit, forwards=False))[::-1]


def iterate(store: Store, scan: Scan, selection: Selection) -> Iterator[Tile]:
    """Yield all images of a selection; each page is one transaction."""
    after: Position | None = None
    while tiles := page(store, scan, selection, EXPORT_ROWS, after):
        yield from tiles
        after = tiles[-1].position


def find_image(store: Store, scan_id: int, image_id: int) -> ListedFile | None:
    """Return an image of a scan; None where the scan has no such image."""
    query = (
        sa.select(
            image.c.path,
            entry.c.size_bytes,
            entry.c.mtime_ns,
            verdict.c.outcome,
            verdict.c.error_kind,
            verdict.c.digest,
        )
        .select_from(entry.join(image).outerjoin(verdict, ENTRY_VERDICT))
        .where(entry.c.scan_id == scan_id, entry.c.image_id == image_id)
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return ListedFile(
        path=bytes(row.path),
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        has_error=row.error_kind is not None,
        digest=None if row.digest is None else bytes(row.digest),
    )


def list_hosts(store: Store, scan_id: int) -> list[tuple[str, str]]:
    """Return the hosts that worked for a scan as (id, label), by label."""
    query = (
        sa.select(host.c.id, host.c.label)
        .where(host.c.id.in_(sa.select(run.c.host_id).where(run.c.scan_id == scan_id)))
        .order_by(host.c.label, host.c.id)
    )
    with store.read() as connection:
        return [(row.id, row.label) for row in connection.execute(query)]


def _page(store: Store, scan: Scan, selection: Selection, step: _Step) -> list[Tile]:
    wanted = _conditions(scan, selection)
    parts = [
        _part(conditions + wanted, step, flagged=flagged)
        for conditions, flagged in _ranges(scan, selection)
        if _is_ahead(step, flagged=flagged)
    ]
    if not parts:
        return []
    # Each part comes from an index, in its order; the first of all are the first of their parts.
    candidates = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    order: list[sa.ColumnElement[Any]] = [
        sa.case((candidates.c.score.is_(None), 1), else_=0),
        -candidates.c.score,
        -candidates.c.image_id,
    ]
    first = sa.select(candidates.c.image_id).limit(step.limit)
    first = first.order_by(*(key if step.forwards else key.desc() for key in order))
    with store.read() as connection:
        ids = list(connection.scalars(first))
        rows = {row.image_id: row for row in connection.execute(_details(scan.scan_id, ids))}
    return [_tile(rows[image_id]) for image_id in ids]


def _ranges(scan: Scan, selection: Selection) -> Iterator[tuple[list[Any], bool]]:
    """Yield the ranges of indexes with a selection, and whether their images are flagged."""
    for outcome in (Outcome.ERROR,) if selection.error is not None else selection.outcomes:
        of_outcome = [verdict.c.scan_id == scan.scan_id, verdict.c.outcome == outcome]
        if outcome in FLAGGED:
            # As the condition of the partial index, word for word.
            yield [*of_outcome, sa.text("verdict.outcome IN ('ai', 'unsure')")], True
            continue
        for examined in (True, False):
            yield [*of_outcome, verdict.c.examined.is_(examined)], False


def _is_ahead(step: _Step, *, flagged: bool) -> bool:
    """Return whether a range may have images beyond a position: flagged images come first."""
    if step.position is None or flagged is (step.position.score is not None):
        return True
    return flagged is not step.forwards


def _part(conditions: list[Any], step: _Step, *, flagged: bool) -> sa.Select[Any]:
    """Select the first images of a range beyond a position; without scores if not flagged."""
    position, image_id = step.position, verdict.c.image_id
    score: sa.ColumnElement[Any] = verdict.c.score if flagged else sa.null()
    order = (verdict.c.score, image_id) if flagged else (image_id,)
    if position is not None and flagged is (position.score is not None):
        columns = sa.tuple_(*order)
        values = (position.score, position.image_id) if flagged else (position.image_id,)
        bound = sa.tuple_(*values)
        conditions = [*conditions, columns < bound if step.forwards else columns > bound]
    return (
        sa.select(image_id, sa.cast(score, sa.Float).label("score"))
        .where(*conditions)
        .order_by(*(column.desc() if step.forwards else column for column in order))
        .limit(step.limit)
    )


def _conditions(scan: Scan, selection: Selection) -> list[Any]:
    """Return the conditions of a selection other than its outcomes."""
    conditions: list[Any] = []
    if selection.detector is not None:
        conditions.append(verdict.c.detector == selection.detector)
    if selection.error is not None:
        failed = failed_images(scan.scan_id)
        conditions += [verdict.c.image_id.in_(failed), verdict.c.error_kind == selection.error]
    if selection.folder:
        conditions.append(verdict.c.image_id.in_(_below(scan.collection_id, selection.folder)))
    if selection.host is not None:
        runs = sa.select(run.c.id).where(run.c.host_id == selection.host)
        # Runs of earlier scans too: a kept verdict refers to its original run.
        conditions.append(verdict.c.run_id.in_(runs))
    if selection.evidence is not None:
        with_evidence = sa.select(finding.c.image_id).where(
            finding.c.scan_id == scan.scan_id,
            finding.c.kind == selection.evidence,
            # As the condition of the partial index, word for word.
            sa.text("finding.kind <> 'score'"),
        )
        conditions.append(verdict.c.image_id.in_(with_evidence))
    if selection.reviewed is not None:
        conditions.append(_reviewed(scan, selection.reviewed))
    return conditions


def _reviewed(scan: Scan, wanted: Reviewed) -> sa.ColumnElement[bool]:
    answers = sa.select(review.c.image_id).where(review.c.scan_id == scan.scan_id, is_current())
    if wanted is Reviewed.NO:
        # Image by image: nearly all are not reviewed, so that a page is soon full.
        return ~answers.where(review.c.image_id == verdict.c.image_id).exists()
    is_answered = verdict.c.image_id.in_(answers)
    return is_answered & disagrees() if wanted is Reviewed.DISAGREE else is_answered


def _below(collection_id: int, folder: bytes) -> sa.Select[int]:
    """Select the images below a folder."""
    return sa.select(image.c.id).where(
        image.c.collection_id == collection_id, in_folder(image.c.path, folder)
    )


def _details(scan_id: int, ids: list[int]) -> sa.Select[Any]:
    return (
        sa.select(
            verdict.c.image_id,
            image.c.path,
            verdict.c.outcome,
            verdict.c.score,
            verdict.c.detector,
            verdict.c.error_kind,
            last_answer().label("answer"),
        )
        .join(image, image.c.id == verdict.c.image_id)
        .where(verdict.c.scan_id == scan_id, verdict.c.image_id.in_(ids))
    )


def _tile(row: sa.Row[Any]) -> Tile:
    return Tile(
        image_id=row.image_id,
        path=bytes(row.path),
        outcome=Outcome(row.outcome),
        score=row.score,
        detector=row.detector,
        error=None if row.error_kind is None else ErrorKind(row.error_kind),
        answer=None if row.answer is None else Answer(row.answer),
    )
