"""Random samples of a scan's images, and what people said of them."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.schema import sample, sampled, scan, verdict
from storage.database.store import insert_one
from storage.errors import StoreError
from storage.records import Outcome
from storage.writes.reviews import Answer, last_answer

if TYPE_CHECKING:
    from storage.database.store import Store

# Ids read at a time while a sample is drawn.
FETCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class SampleOutcome:
    """A scan's latest sample, and how many of its images people have answered with what.

    The images were drawn without replacement, all alike likely, from the `population`: those of
    the scan that could be read.
    """

    sample_id: int
    scan_id: int
    seed: int
    population: int
    size: int
    ai: int
    not_ai: int
    cant_tell: int

    @property
    def left(self) -> int:
        """Images that nobody has answered yet."""
        return self.size - self.ai - self.not_ai - self.cant_tell


def draw(store: Store, scan_id: int, size: int, seed: int) -> SampleOutcome:
    """Draw a sample of a finished scan and keep it; fewer images where there are no more.

    The same seed draws the same images as long as the verdicts are the same. StoreError where the
    scan is not finished (what is judged so far is no fair part of it) or nothing could be read.
    """
    readable = (verdict.c.scan_id == scan_id) & (verdict.c.outcome != Outcome.ERROR)
    with store.write() as connection:
        finished = sa.select(scan.c.finished_at).where(scan.c.id == scan_id)
        if connection.scalar(finished) is None:
            raise StoreError(
                f"Scan {scan_id} is not finished: a sample of what is judged so far would not "
                "stand for all of it"
            )
        counted = sa.select(sa.func.count()).select_from(verdict).where(readable)
        population = int(connection.execute(counted).scalar_one())
        if not population:
            raise StoreError(f"Scan {scan_id} has no image that could be read")
        # By place, in the order of ids, which no database and no verdict changes.
        places = random.Random(seed).sample(range(population), min(size, population))  # noqa: S311
        ids = sa.select(verdict.c.image_id).where(readable).order_by(verdict.c.image_id)
        wanted = set(places)
        found = connection.scalars(ids, execution_options={"yield_per": FETCH_ROWS})
        by_place = {place: one for place, one in enumerate(found) if place in wanted}
        sample_id = insert_one(
            connection,
            sample,
            scan_id=scan_id,
            seed=seed,
            population=population,
            created_at=time.time(),
        )
        connection.execute(
            sa.insert(sampled),
            [
                {"sample_id": sample_id, "n": n, "image_id": by_place[place]}
                for n, place in enumerate(places)
            ],
        )
    return SampleOutcome(sample_id, scan_id, seed, population, len(places), 0, 0, 0)


def sample_outcome(store: Store, scan_id: int) -> SampleOutcome | None:
    """What came of a scan's latest sample so far, or None where none was drawn."""
    with store.read() as connection:
        drawn = connection.execute(
            sa.select(sample)
            .where(sample.c.scan_id == scan_id)
            .order_by(sample.c.id.desc())
            .limit(1)
        ).first()
        if drawn is None:
            return None
        said = _said(drawn.id, scan_id).subquery()
        counted = sa.select(said.c.answer, sa.func.count()).group_by(said.c.answer)
        answers: dict[str | None, int] = {row[0]: row[1] for row in connection.execute(counted)}
    return SampleOutcome(
        sample_id=drawn.id,
        scan_id=scan_id,
        seed=drawn.seed,
        population=drawn.population,
        size=sum(answers.values()),
        ai=answers.get(Answer.AI, 0),
        not_ai=answers.get(Answer.NOT_AI, 0),
        cant_tell=answers.get(Answer.CANT_TELL, 0),
    )


def sample_images(store: Store, of: SampleOutcome) -> list[tuple[int, Answer | None]]:
    """The images of a sample in the order in which they were drawn, each with its answer."""
    with store.read() as connection:
        rows = connection.execute(_said(of.sample_id, of.scan_id).order_by(sampled.c.n))
        return [(row.image_id, None if row.answer is None else Answer(row.answer)) for row in rows]


def _said(sample_id: int, scan_id: int) -> sa.Select[tuple[int, str | None]]:
    return (
        sa.select(sampled.c.image_id, last_answer().label("answer"))
        .select_from(
            sampled.outerjoin(
                verdict,
                (verdict.c.scan_id == scan_id) & (verdict.c.image_id == sampled.c.image_id),
            )
        )
        .where(sampled.c.sample_id == sample_id)
    )
