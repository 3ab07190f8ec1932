"""The images of a scan as they are exported: verdict and answers, without findings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT
from storage.database.schema import entry, finding, host, image, review, run, verdict
from storage.database.store import among
from storage.reads.filters import to_sql
from storage.reads.verdicts import PAGE_ROWS
from storage.records import PROVENANCE, Outcome
from storage.sidecars import sidecars_from_json
from storage.writes.reviews import Answer, is_current

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from storage.database.store import Store
    from storage.reads.filters import Condition
    from storage.records import Sidecar


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """An image as its scan listed it, with its outcome (None: pending) and all current answers.

    `is_signed`: the scan found a C2PA manifest, which fits the file only as it is.
    """

    image_id: int
    path: bytes
    size_bytes: int
    mtime_ns: int
    sidecars: tuple[Sidecar, ...]
    outcome: Outcome | None
    answers: frozenset[Answer]
    is_signed: bool


def exported_images(
    store: Store, scan_id: int, where: Sequence[Condition] = (), *, last: bool = False
) -> Iterator[ExportedImage]:
    """Yield the images of a scan that meet all conditions, as they were listed.

    With `last`, those that no later scan lists. Each page is a transaction, so that slow consumers
    block nobody.
    """
    later = entry.alias()
    is_later = sa.exists().where(later.c.image_id == entry.c.image_id, later.c.scan_id > scan_id)
    filters = (*map(to_sql, where), *([~is_later] if last else []))
    after = 0
    while True:
        conditions = (entry.c.image_id > after, *filters)
        query = _listed(scan_id).where(*conditions).order_by(entry.c.image_id).limit(PAGE_ROWS)
        with store.read() as connection:
            page = _exported(connection, scan_id, query)
        if not page:
            return
        after = page[-1].image_id
        yield from page


def any_reviewed(store: Store, scan_id: int, where: Sequence[Condition] = ()) -> bool:
    """Check whether any image of a scan that meets all conditions has a current answer."""
    answered = sa.exists().where(
        review.c.scan_id == scan_id, review.c.image_id == entry.c.image_id, is_current()
    )
    query = _listed(scan_id).where(answered, *map(to_sql, where)).limit(1)
    with store.read() as connection:
        return connection.execute(query).first() is not None


def read_exported(store: Store, scan_id: int, images: Sequence[int]) -> dict[int, ExportedImage]:
    """Return those of some images that a scan listed, by their ids; for PAGE_ROWS at most."""
    with store.read() as connection:
        query = _listed(scan_id).where(among(connection, entry.c.image_id, images))
        return {each.image_id: each for each in _exported(connection, scan_id, query)}


def _exported(
    connection: sa.Connection, scan_id: int, query: sa.Select[Any]
) -> list[ExportedImage]:
    rows = list(connection.execute(query))
    images = [row.image_id for row in rows]
    answers = _answers(connection, scan_id, images)
    signed = signed_images(connection, scan_id, images)
    return [
        ExportedImage(
            row.image_id,
            bytes(row.path),
            row.size_bytes,
            row.mtime_ns,
            sidecars_from_json(row.sidecars),
            None if row.outcome is None else Outcome(row.outcome),
            frozenset(answers[row.image_id]),
            row.image_id in signed,
        )
        for row in rows
    ]


def signed_images(connection: sa.Connection, scan_id: int, images: Sequence[int]) -> set[int]:
    """Return those of some images in which a scan found a C2PA manifest."""
    query = sa.select(finding.c.image_id).where(
        finding.c.scan_id == scan_id,
        among(connection, finding.c.image_id, images),
        finding.c.detector == PROVENANCE,
        finding.c.kind.startswith("c2pa_"),
    )
    return set(connection.scalars(query))


def _listed(scan_id: int) -> sa.Select[Any]:
    return (
        sa.select(
            entry.c.image_id,
            image.c.path,
            entry.c.size_bytes,
            entry.c.mtime_ns,
            entry.c.sidecars,
            verdict.c.outcome,
        )
        .select_from(
            entry.join(image)
            .outerjoin(verdict, ENTRY_VERDICT)
            .outerjoin(run, run.c.id == verdict.c.run_id)
            .outerjoin(host, host.c.id == run.c.host_id)
        )
        .where(entry.c.scan_id == scan_id)
    )


def _answers(
    connection: sa.Connection, scan_id: int, images: Sequence[int]
) -> dict[int, set[Answer]]:
    rows = connection.execute(
        sa.select(review.c.image_id, review.c.answer).where(
            review.c.scan_id == scan_id, review.c.image_id.in_(images), is_current()
        )
    )
    answers: dict[int, set[Answer]] = defaultdict(set)
    for image_id, answer in rows:
        answers[image_id].add(Answer(answer))
    return answers
