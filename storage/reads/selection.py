"""Which images of a scan are selected, and in which order: as values, and as SQL."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import failed_images, in_folder
from storage.database.schema import finding, image, review, run, verdict
from storage.reads.names import NameSearch, contains_words, read_named
from storage.records import ErrorKind, Outcome
from storage.writes.reviews import disagrees, is_current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.database.store import Store
    from storage.writes.scans import Scan

FLAGGED = (Outcome.AI, Outcome.UNSURE)
# A filter that matches no more images is a list of their ids; any other is tried on each image.
FEW = 2_000
# The kinds of findings that may name a generator.
GENERATOR_KINDS = (
    "aigc_generated",
    "aigc_possible",
    "aigc_suspected",
    "c2pa_edited",
    "c2pa_generated",
    "c2pa_other",
    "file_name",
    "generator_edit",
    "generator_tag",
    "hidden_settings",
    "invisible_mark",
    "iptc_edited",
    "iptc_generated",
    "visible_mark",
)


class Reviewed(StrEnum):
    """Selects images by their reviews."""

    YES = "yes"
    NO = "no"
    DISAGREE = "disagree"


class Sort(StrEnum):
    """Orders images; by `taken`, those without a date are last, reversed or not."""

    SCORE = "score"  # flagged ones by score, the highest first, then others, the latest first
    NAME = "name"  # by path
    TAKEN = "taken"  # the latest first, as the next
    CHANGED = "changed"
    SIZE = "size"  # the largest first


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects images of a scan; fields that are None or empty match all images.

    `detector` is the one that decided, `folder` a path with everything below it, `host` a host's
    id, `evidence` the kind of a finding other than a bare score, `name` words that a path has,
    `month` a month or a year of taking ("2019-05", "2019"). `is_grouped` shows copies and bursts
    as one.
    """

    outcomes: tuple[Outcome, ...] = FLAGGED
    detector: str | None = None
    folder: bytes = b""
    host: str | None = None
    evidence: str | None = None
    error: ErrorKind | None = None
    reviewed: Reviewed | None = None
    name: bytes = b""
    is_examined: bool | None = None
    generator: str | None = None
    camera: str | None = None
    month: str | None = None
    sort: Sort = Sort.SCORE
    is_reversed: bool = False
    is_grouped: bool = False

    @property
    def wanted_outcomes(self) -> tuple[Outcome, ...]:
        """Return the outcomes that images may have; only an error has a kind of error."""
        return self.outcomes if self.error is None else (Outcome.ERROR,)


def month_span(month: str) -> tuple[float, float]:
    """Return the first second of a month or year, and that of the next; ValueError for others."""
    match = re.fullmatch(r"(\d{4})(?:-(\d\d))?", month, re.ASCII)
    if match is None:
        raise ValueError(month)
    year, number = int(match[1]), int(match[2] or 1)
    if not 1 <= number <= 12 or year == 0:  # noqa: PLR2004 - months
        raise ValueError(month)
    following = (year + 1, 1) if match[2] is None or number == 12 else (year, number + 1)  # noqa: PLR2004
    return _first_second(year, number), _first_second(*following)


def read_conditions(
    store: Store, connection: sa.Connection, scan: Scan, selection: Selection
) -> list[Any]:
    """Return the conditions of a selection on verdicts, other than its outcomes, as SQL.

    What matches few images is looked up here.
    """
    conditions: list[Any] = []
    if selection.detector is not None:
        conditions.append(verdict.c.detector == selection.detector)
    if selection.is_examined is not None:
        conditions.append(verdict.c.examined.is_(selection.is_examined))
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
    conditions += _of_photographs(connection, scan, selection)
    if selection.name:
        conditions.append(_named(store, connection, scan, selection))
    return conditions


def is_one_of(ids: Sequence[int]) -> sa.ColumnElement[bool]:
    """Return the condition of verdicts on images with these ids.

    They are part of the statement: stores limit the number of parameters.
    """
    return verdict.c.image_id.in_(sa.bindparam(None, ids, expanding=True, literal_execute=True))


def _of_photographs(
    connection: sa.Connection, scan: Scan, selection: Selection
) -> list[sa.ColumnElement[bool]]:
    of_scan = verdict.c.scan_id == scan.scan_id
    conditions = []
    if selection.camera is not None:
        same = verdict.c.camera == selection.camera
        ids = sa.select(verdict.c.image_id).where(of_scan, same)
        # Expressions here and below: by their index, all images of the camera would be read.
        among_all = sa.func.coalesce(verdict.c.camera, "") == selection.camera
        conditions.append(_narrowed(connection, ids, among_all))
    if selection.month is not None:
        first, following = month_span(selection.month)
        within = (verdict.c.taken_at >= first) & (verdict.c.taken_at < following)
        ids = sa.select(verdict.c.image_id).where(of_scan, within)
        taken = sa.func.coalesce(verdict.c.taken_at, following)
        among_all = (taken >= first) & (taken < following)
        conditions.append(_narrowed(connection, ids, among_all))
    if selection.generator is not None:
        names_it = names_generator(scan.scan_id) & (
            finding.c.detail["generator"].as_string() == selection.generator
        )
        ids = sa.select(finding.c.image_id).where(
            names_it, finding.c.image_id.in_(images_of_generators(scan.scan_id))
        )
        is_named = sa.exists().where(names_it, finding.c.image_id == verdict.c.image_id)
        conditions.append(_narrowed(connection, ids, is_named))
    return conditions


def names_generator(scan_id: int) -> sa.ColumnElement[bool]:
    """Return the condition of findings that may name a generator."""
    return (
        (finding.c.scan_id == scan_id)
        & finding.c.kind.in_(GENERATOR_KINDS)
        # As the condition of the partial index, word for word.
        & sa.text("finding.kind <> 'score'")
    )


def images_of_generators(scan_id: int) -> sa.Select[int]:
    """Select the images of such findings, by the index; SQLite would read every finding else."""
    return sa.select(finding.c.image_id).where(names_generator(scan_id))


def _narrowed(
    connection: sa.Connection, ids: sa.Select[int], otherwise: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """Return the condition of images with these ids if they are few, else the other one."""
    few = list(connection.scalars(ids.limit(FEW + 1)))
    return is_one_of(few) if len(few) <= FEW else otherwise


def _named(
    store: Store, connection: sa.Connection, scan: Scan, selection: Selection
) -> sa.ColumnElement[bool]:
    words = tuple(selection.name.split())
    search = NameSearch(scan.collection_id, words, selection.folder)
    few = read_named(store, connection, search, FEW)
    if few is not None:
        return is_one_of(few)
    return sa.exists().where(
        image.c.id == verdict.c.image_id, *contains_words(connection.dialect.name, words)
    )


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


def _first_second(year: int, month: int) -> float:
    return float(calendar.timegm((year, month, 1, 0, 0, 0)))
