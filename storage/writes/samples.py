"""Random samples of a scan's images, for people to review."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.schema import sample, sampled, scan, verdict
from storage.database.store import insert_one
from storage.errors import StoreError
from storage.records import Outcome
from storage.writes.reviews import Agreed, agreed

if TYPE_CHECKING:
    from storage.database.store import Store

# Ids that are read at once while a sample is drawn.
FETCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class SampleOutcome:
    """A scan's latest sample, and how many of its images have each answer of their reviewers.

    Images are drawn uniformly without replacement from the `population`: the readable images.
    Answers count up to the first image, in the order of drawing, that has none: these images are a
    sample too. Answers to later ones are `uncounted`, for which images have an answer already may
    depend on their verdicts.
    """

    sample_id: int
    scan_id: int
    seed: int
    population: int
    size: int
    ai: int
    not_ai: int
    cant_tell: int
    contradicting: int = 0
    uncounted: int = 0

    @property
    def unanswered(self) -> int:
        """Return the number of images without an answer."""
        counted = self.ai + self.not_ai + self.cant_tell + self.contradicting
        return self.size - counted - self.uncounted


def draw_sample(store: Store, scan_id: int, size: int, seed: int) -> SampleOutcome:
    """Draw and store a sample of at most `size` images of a finished scan.

    The same seed draws the same images as long as the verdicts are the same. Raises StoreError
    where the scan is not finished or has no readable image.
    """
    readable = (verdict.c.scan_id == scan_id) & (verdict.c.outcome != Outcome.ERROR)
    with store.write() as connection:
        finished = sa.select(scan.c.finished_at).where(scan.c.id == scan_id)
        if connection.scalar(finished) is None:
            raise StoreError(
                f"Scan {scan_id} is not finished: a sample of its images so far would not "
                "represent all of them"
            )
        counted = sa.select(sa.func.count()).select_from(verdict).where(readable)
        population = int(connection.execute(counted).scalar_one())
        if not population:
            raise StoreError(f"Scan {scan_id} has no readable images")
        # By position in the order of ids, which is the same in every database.
        positions = random.Random(seed).sample(range(population), min(size, population))  # noqa: S311
        ids = sa.select(verdict.c.image_id).where(readable).order_by(verdict.c.image_id)
        drawn = set(positions)
        all_ids = connection.scalars(ids, execution_options={"yield_per": FETCH_ROWS})
        by_position = {n: image_id for n, image_id in enumerate(all_ids) if n in drawn}
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
                {"sample_id": sample_id, "n": n, "image_id": by_position[position]}
                for n, position in enumerate(positions)
            ],
        )
    return SampleOutcome(sample_id, scan_id, seed, population, len(positions), 0, 0, 0)


def read_sample(store: Store, scan_id: int) -> SampleOutcome | None:
    """Return a scan's latest sample with its answers, None where none was drawn."""
    with store.read() as connection:
        drawn = connection.execute(
            sa.select(sample)
            .where(sample.c.scan_id == scan_id)
            .order_by(sample.c.id.desc())
            .limit(1)
        ).first()
        if drawn is None:
            return None
        rows = connection.execute(_answers(drawn.id, scan_id).order_by(sampled.c.n))
        answers: list[str | None] = [row.answer for row in rows]
    first_open = answers.index(None) if None in answers else len(answers)
    counted = Counter(answers[:first_open])
    return SampleOutcome(
        sample_id=drawn.id,
        scan_id=scan_id,
        seed=drawn.seed,
        population=drawn.population,
        size=len(answers),
        ai=counted[Agreed.AI],
        not_ai=counted[Agreed.NOT_AI],
        cant_tell=counted[Agreed.CANT_TELL],
        contradicting=counted[Agreed.CONTRADICTING],
        uncounted=len(answers) - first_open - answers.count(None),
    )


def sample_images(store: Store, drawn: SampleOutcome) -> list[tuple[int, Agreed | None]]:
    """Return the images of a sample with their answers, in the order they were drawn."""
    with store.read() as connection:
        rows = connection.execute(_answers(drawn.sample_id, drawn.scan_id).order_by(sampled.c.n))
        return [(row.image_id, None if row.answer is None else Agreed(row.answer)) for row in rows]


def _answers(sample_id: int, scan_id: int) -> sa.Select[tuple[int, str | None]]:
    return (
        sa.select(sampled.c.image_id, agreed().label("answer"))
        .select_from(
            sampled.outerjoin(
                verdict,
                (verdict.c.scan_id == scan_id) & (verdict.c.image_id == sampled.c.image_id),
            )
        )
        .where(sampled.c.sample_id == sample_id)
    )
