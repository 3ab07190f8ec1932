"""A scan's judged images in pages: what the gallery, the review and exports walk.

What is flagged comes first, the highest score first; then the others, the latest listed first.

A page is found by where the one before it ended, never by counting rows, so that the last page of
a million verdicts comes as quickly as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import entry, finding, host, image, review, run, verdict
from storage.records import ErrorKind, Outcome
from storage.writes.reviews import Answer, disagrees, last_answer, stands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.database.store import Store
    from storage.writes.scans import Scan

FLAGGED = (Outcome.AI, Outcome.UNSURE)
# Images a page of an export has.
EXPORT_ROWS = 2_000


class Reviewed(StrEnum):
    """Which images of a selection, by what people said of them."""

    YES = "yes"
    NO = "no"
    DISAGREE = "disagree"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which images of a scan are meant; what is None, or empty, does not matter.

    `detector` is the one that decided, `folder` a path with everything below it, `host` a host's
    id, `evidence` the kind of a finding that is no bare score.
    """

    outcomes: tuple[Outcome, ...] = FLAGGED
    detector: str | None = None
    folder: bytes = b""
    host: str | None = None
    evidence: str | None = None
    error: ErrorKind | None = None
    reviewed: Reviewed | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image stands in the order; `score` is None for what is not flagged."""

    score: float | None
    image_id: int


def place_of(outcome: Outcome | None, score: float | None, image_id: int) -> Place:
    """Where an image of that verdict stands."""
    return Place(score if outcome in FLAGGED else None, image_id)


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of a page; `answer` is the last one that a person gave, if any."""

    image_id: int
    path: bytes
    outcome: Outcome
    score: float | None
    detector: str | None
    error: ErrorKind | None
    answer: Answer | None

    @property
    def place(self) -> Place:
        """Where it stands."""
        return place_of(self.outcome, self.score, self.image_id)


@dataclass(frozen=True, slots=True)
class _Step:
    """From a place (None: from the end that it begins at), so many images one way or the other."""

    place: Place | None
    limit: int
    forwards: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """An image as its scan listed it, and the SHA-256 of its bytes as judged, if it was read."""

    path: bytes
    size_bytes: int
    mtime_ns: int
    outcome: Outcome | None
    digest: bytes | None


def page(
    store: Store, of: Scan, selection: Selection, limit: int, after: Place | None = None
) -> list[Tile]:
    """The next `limit` images of a selection."""
    return _page(store, of, selection, _Step(after, limit, forwards=True))


def page_before(
    store: Store, of: Scan, selection: Selection, limit: int, before: Place
) -> list[Tile]:
    """The last `limit` images of a selection that come before a place, in the same order."""
    return _page(store, of, selection, _Step(before, limit, forwards=False))[::-1]


def every(store: Store, of: Scan, selection: Selection) -> Iterator[Tile]:
    """All images of a selection, in pages of a transaction each."""
    after: Place | None = None
    while tiles := page(store, of, selection, EXPORT_ROWS, after):
        yield from tiles
        after = tiles[-1].place


def find(store: Store, scan_id: int, image_id: int) -> Listed | None:
    """An image of a scan; None where the scan has no such image."""
    judged = (verdict.c.scan_id == entry.c.scan_id) & (verdict.c.image_id == entry.c.image_id)
    query = (
        sa.select(
            image.c.path,
            entry.c.size_bytes,
            entry.c.mtime_ns,
            verdict.c.outcome,
            verdict.c.digest,
        )
        .select_from(entry.join(image).outerjoin(verdict, judged))
        .where(entry.c.scan_id == scan_id, entry.c.image_id == image_id)
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return Listed(
        path=bytes(row.path),
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        digest=None if row.digest is None else bytes(row.digest),
    )


def hosts(store: Store, scan_id: int) -> list[tuple[str, str]]:
    """The hosts that worked for a scan, as (id, label), by label."""
    query = (
        sa.select(host.c.id, host.c.label)
        .where(host.c.id.in_(sa.select(run.c.host_id).where(run.c.scan_id == scan_id)))
        .order_by(host.c.label, host.c.id)
    )
    with store.read() as connection:
        return [(row.id, row.label) for row in connection.execute(query)]


def _page(store: Store, of: Scan, selection: Selection, step: _Step) -> list[Tile]:
    wanted = _conditions(of, selection)
    parts = [
        _part(conditions + wanted, step, flagged=flagged)
        for conditions, flagged in _ranges(of, selection)
        if _is_ahead(step, flagged=flagged)
    ]
    if not parts:
        return []
    # Each part comes from an index in its order; what is best in all of them is best in one.
    found = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    order: list[sa.ColumnElement[Any]] = [
        sa.case((found.c.score.is_(None), 1), else_=0),
        -found.c.score,
        -found.c.image_id,
    ]
    best = sa.select(found.c.image_id).limit(step.limit)
    best = best.order_by(*(key if step.forwards else key.desc() for key in order))
    with store.read() as connection:
        ids = list(connection.scalars(best))
        rows = {row.image_id: row for row in connection.execute(_details(of.scan_id, ids))}
    return [_tile(rows[one]) for one in ids]


def _ranges(of: Scan, selection: Selection) -> Iterator[tuple[list[Any], bool]]:
    """The ranges of the indexes that a selection lies in, and whether they are of the flagged."""
    for outcome in (Outcome.ERROR,) if selection.error is not None else selection.outcomes:
        of_outcome = [verdict.c.scan_id == of.scan_id, verdict.c.outcome == outcome]
        if outcome in FLAGGED:
            # In the words of its index.
            yield [*of_outcome, sa.text("verdict.outcome IN ('ai', 'unsure')")], True
            continue
        for examined in (True, False):
            yield [*of_outcome, verdict.c.examined.is_(examined)], False


def _is_ahead(step: _Step, *, flagged: bool) -> bool:
    """Whether a range has anything beyond a place: the flagged come first."""
    if step.place is None or flagged is (step.place.score is not None):
        return True
    return flagged is not step.forwards


def _part(conditions: list[Any], step: _Step, *, flagged: bool) -> sa.Select[Any]:
    """The first images of one range beyond a place; of the others no score is told."""
    place, image_id = step.place, verdict.c.image_id
    score: sa.ColumnElement[Any] = verdict.c.score if flagged else sa.null()
    order = (verdict.c.score, image_id) if flagged else (image_id,)
    if place is not None and flagged is (place.score is not None):
        here = sa.tuple_(*order)
        there = sa.tuple_(*((place.score, place.image_id) if flagged else (place.image_id,)))
        conditions = [*conditions, here < there if step.forwards else here > there]
    return (
        sa.select(image_id, sa.cast(score, sa.Float).label("score"))
        .where(*conditions)
        .order_by(*(column.desc() if step.forwards else column for column in order))
        .limit(step.limit)
    )


def _conditions(of: Scan, selection: Selection) -> list[Any]:
    """What a selection asks for beside the outcomes."""
    conditions: list[Any] = []
    if selection.detector is not None:
        conditions.append(verdict.c.detector == selection.detector)
    if selection.error is not None:
        # Through the index on outcomes: else SQLite reads every verdict to find the few errors.
        other = verdict.alias()
        failed = sa.select(other.c.image_id).where(
            other.c.scan_id == of.scan_id, other.c.outcome == Outcome.ERROR
        )
        conditions += [verdict.c.image_id.in_(failed), verdict.c.error_kind == selection.error]
    if selection.folder:
        conditions.append(verdict.c.image_id.in_(_below(of.collection_id, selection.folder)))
    if selection.host is not None:
        his = sa.select(run.c.id).where(run.c.host_id == selection.host)
        # Runs of earlier scans too: a kept verdict names the run that it was reached in.
        conditions.append(verdict.c.run_id.in_(his))
    if selection.evidence is not None:
        said = sa.select(finding.c.image_id).where(
            finding.c.scan_id == of.scan_id,
            finding.c.kind == selection.evidence,
            # In the words of the index.
            sa.text("finding.kind <> 'score'"),
        )
        conditions.append(verdict.c.image_id.in_(said))
    if selection.reviewed is not None:
        conditions.append(_reviewed(of, selection.reviewed))
    return conditions


def _reviewed(of: Scan, wanted: Reviewed) -> sa.ColumnElement[bool]:
    answers = sa.select(review.c.image_id).where(review.c.scan_id == of.scan_id, stands())
    if wanted is Reviewed.NO:
        # Image by image: nearly all are not reviewed, and a page has enough of them soon.
        return ~answers.where(review.c.image_id == verdict.c.image_id).exists()
    is_answered = verdict.c.image_id.in_(answers)
    return is_answered & disagrees() if wanted is Reviewed.DISAGREE else is_answered


def _below(collection_id: int, folder: bytes) -> sa.Select[int]:
    """The images below a folder: a range of the index on paths."""
    first = folder.rstrip(b"/") + b"/"
    return sa.select(image.c.id).where(
        image.c.collection_id == collection_id,
        image.c.path >= first,
        image.c.path < first[:-1] + b"0",  # the byte after a slash
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
