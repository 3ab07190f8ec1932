"""The figures of a report, all read from one state of the store.

Nothing here loads a row per image, but for a bounded number of timings: a report on a million
images takes seconds and little memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import entry, finding, host, image, run, verdict
from storage.reads.breakdown import Breakdown, read_breakdown
from storage.reads.queries import Counts, read_counts, read_span
from storage.records import PROVENANCE, ROUTER, ErrorKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from storage.database.store import Store
    from storage.reads.breakdown import RunFigures

# Timings are taken from all images up to this many,
TIMED_IMAGES = 100_000
# else from every n-th batch of each host, so that about this many are.
TIMED_SAMPLE = 25_000
# Images named for each kind of error.
EXAMPLES = 5
# A bare score is no kind of evidence; the detectors' own figures count it.
BARE_SCORE = "score"
STAGES = ("fetch", "decode", "infer")
# Scores of up to this many labelled images are told apart however little they differ, else in
# steps (a power of two, so that even odds lie between two of them).
SCORES_TOLD_APART = 100_000
SCORE_STEPS = 4096


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Microseconds that half, and 95 of 100, of the images at a stage took at most."""

    p50_us: int
    p95_us: int


@dataclass(frozen=True, slots=True)
class HostFigures:
    """What one host did for a scan; a stage that no image went through there is not in `stages`.

    `seconds` runs from its first batch's start to its last commit. `info` is what the host said of
    itself last.
    """

    host_id: str
    label: str
    arch: str
    images: int
    seconds: float
    stages: Mapping[str, Percentiles]
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvidenceCount:
    """Images of which a detector said the same kind of thing, without or beside a score.

    `generator` and `signature` are as the finding's detail has them, None where it does not.
    """

    detector: str
    kind: str
    generator: str | None
    signature: str | None
    images: int


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Images that failed for the same kind of reason, and the first few of them."""

    kind: ErrorKind
    images: int
    examples: tuple[tuple[bytes, str], ...]  # (path, the sentence)


@dataclass(frozen=True, slots=True)
class LabelledCount:
    """Labelled images of the same truth, outcome (None: pending) and score."""

    truth: bool
    outcome: Outcome | None
    score: float | None
    images: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All that a report is made of.

    `seconds` runs from the first batch's start to the last commit; `active_seconds` leaves out
    the time when no batch was at work, between two sessions for example.
    """

    counts: Counts
    seconds: float
    active_seconds: float
    hosts: tuple[HostFigures, ...]
    detectors: Mapping[str, int]
    evidence: tuple[EvidenceCount, ...]
    errors: tuple[ErrorCount, ...]
    labelled: tuple[LabelledCount, ...]
    breakdown: Breakdown


def figures(store: Store, scan_id: int, detectors: Mapping[str, float]) -> Figures:
    """The figures of a scan; `detectors` are those of its plan, with their thresholds for AI.

    Raises NotFound where there is no such scan.
    """
    scoring = {name: ai for name, ai in detectors.items() if name != PROVENANCE}
    with store.read() as connection:
        counts = read_counts(connection, scan_id)
        span = read_span(connection, scan_id)
        labelled = _labelled(connection, scan_id)
        breakdown = read_breakdown(connection, scan_id, scoring, is_labelled=bool(labelled))
        images = {name: looked.scored for name, looked in breakdown.looked.items()}
        if PROVENANCE in detectors:
            # Its silence is no row.
            images[PROVENANCE] = _spoken_of(connection, scan_id)
        return Figures(
            counts=counts,
            seconds=0.0 if span is None else span[1] - span[0],
            active_seconds=_active_seconds(connection, scan_id),
            hosts=_hosts(connection, scan_id, breakdown.runs),
            detectors=images,
            evidence=_evidence(connection, scan_id),
            errors=_errors(connection, scan_id),
            labelled=labelled,
            breakdown=breakdown,
        )


def _active_seconds(connection: sa.Connection, scan_id: int) -> float:
    runs = sa.select(run.c.started_at, run.c.ended_at).where(run.c.scan_id == scan_id)
    total, until = 0.0, float("-inf")
    for started, ended in connection.execute(runs.order_by(run.c.started_at)):
        total += max(0.0, ended - max(started, until))
        until = max(until, ended)
    return total


def _hosts(
    connection: sa.Connection, scan_id: int, runs: Iterable[RunFigures]
) -> tuple[HostFigures, ...]:
    """What each host did, the one with most images first.

    A kept verdict does not count: it names a run of the scan that it was taken from.
    """
    spans = (
        sa.select(
            host.c.id,
            host.c.label,
            host.c.arch,
            (sa.func.max(run.c.ended_at) - sa.func.min(run.c.started_at)).label("seconds"),
        )
        .select_from(run.join(host))
        .where(run.c.scan_id == scan_id)
        .group_by(host.c.id, host.c.label, host.c.arch)
    )
    images: Counter[str] = Counter()
    for one in runs:
        images[one.host_id] += one.images
    images = +images
    stages = _stages(connection, scan_id, images.total())
    # By itself: Postgres groups by no JSON.
    known = connection.execute(sa.select(host.c.id, host.c.info))
    info = {row.id: row.info for row in known}
    found = [
        HostFigures(
            row.id, row.label, row.arch, images[row.id], row.seconds, stages[row.id], info[row.id]
        )
        for row in connection.execute(spans)
        if row.id in images
    ]
    return tuple(sorted(found, key=lambda one: (-one.images, one.label, one.host_id)))


def _stages(
    connection: sa.Connection, scan_id: int, judged: int
) -> Mapping[str, dict[str, Percentiles]]:
    """The percentiles of each stage by host id; an image that a stage never saw does not count."""
    every = 1 if judged <= TIMED_IMAGES else -(-judged // TIMED_SAMPLE)
    nth = sa.func.row_number().over(partition_by=run.c.host_id, order_by=run.c.id)
    runs = sa.select(run.c.id, run.c.host_id, nth.label("nth")).where(run.c.scan_id == scan_id)
    numbered = runs.subquery()
    timings = (
        sa.select(numbered.c.host_id, verdict.c.fetch_us, verdict.c.decode_us, verdict.c.infer_us)
        .select_from(
            numbered.join(
                verdict, (verdict.c.run_id == numbered.c.id) & (verdict.c.scan_id == scan_id)
            )
        )
        .where(numbered.c.nth % every == 1 % every)
    )
    took: dict[tuple[str, str], list[int]] = defaultdict(list)
    for host_id, *each in connection.execute(timings):
        for stage, stage_us in zip(STAGES, each, strict=True):
            if stage_us > 0:
                took[host_id, stage].append(stage_us)
    stages: dict[str, dict[str, Percentiles]] = defaultdict(dict)
    for (host_id, stage), all_us in took.items():
        all_us.sort()
        stages[host_id][stage] = Percentiles(nearest_rank(all_us, 50), nearest_rank(all_us, 95))
    return stages


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """The smallest of the ordered values that at least `percent` of 100 of them do not exceed."""
    return ordered[-(-len(ordered) * percent // 100) - 1]


def _spoken_of(connection: sa.Connection, scan_id: int) -> int:
    """The images of which provenance has anything to say."""
    # In the words of the index on evidence: provenance never gives a bare score.
    ours = (finding.c.kind != BARE_SCORE) & (finding.c.detector == PROVENANCE)
    images = sa.select(sa.func.count(finding.c.image_id.distinct()))
    return connection.execute(images.where(finding.c.scan_id == scan_id, ours)).scalar_one()


def _evidence(connection: sa.Connection, scan_id: int) -> tuple[EvidenceCount, ...]:
    """What was found besides scores, the most frequent first."""
    found = [*_routed(connection, scan_id), *_spoken(connection, scan_id)]
    return tuple(sorted(found, key=_by_images))


def _routed(connection: sa.Connection, scan_id: int) -> Iterator[EvidenceCount]:
    """Why images went to no detector: counted by the index alone, for it may be of most of them."""
    rows = connection.execute(
        sa.select(finding.c.kind, sa.func.count())
        .where(
            finding.c.scan_id == scan_id,
            finding.c.kind != BARE_SCORE,
            finding.c.detector == ROUTER,
        )
        .group_by(finding.c.kind)
    )
    for kind, images in rows:
        yield EvidenceCount(ROUTER, kind, None, None, images)


def _spoken(connection: sa.Connection, scan_id: int) -> Iterator[EvidenceCount]:
    """What detectors said."""
    said = (
        finding.c.detector,
        finding.c.kind,
        finding.c.detail["generator"].as_string(),
        finding.c.detail["signature"].as_string(),
    )
    evident = (
        (finding.c.scan_id == scan_id)
        & (finding.c.kind != BARE_SCORE)
        & (finding.c.detector != ROUTER)
    )
    # The images come from the index; SQLite would read every finding else.
    images = sa.select(finding.c.image_id).where(evident)
    rows = connection.execute(
        sa.select(*said, sa.func.count(finding.c.image_id.distinct()))
        .where(evident, finding.c.image_id.in_(images))
        # By place: Postgres takes the same expression with two parameters for two.
        .group_by(*(sa.text(str(place)) for place in range(1, len(said) + 1)))
    )
    for row in rows:
        yield EvidenceCount(row[0], row[1], row[2], row[3], row[4])


def _by_images(one: EvidenceCount) -> tuple[int, str, str, str, str]:
    return (-one.images, one.detector, one.kind, one.generator or "", one.signature or "")


def _errors(connection: sa.Connection, scan_id: int) -> tuple[ErrorCount, ...]:
    """The errors by kind, the most frequent first."""
    # Through the index on outcomes: else SQLite reads every verdict to find the few that failed.
    failed = sa.select(verdict.c.image_id).where(
        verdict.c.scan_id == scan_id, verdict.c.outcome == Outcome.ERROR
    )
    kind, listed = verdict.c.error_kind, verdict.c.image_id
    ranked = (
        sa.select(
            verdict.c.image_id,
            verdict.c.error_kind,
            verdict.c.error_text,
            sa.func.count().over(partition_by=kind).label("images"),
            sa.func.row_number().over(partition_by=kind, order_by=listed).label("nth"),
        )
        .where(verdict.c.scan_id == scan_id, verdict.c.image_id.in_(failed))
        .subquery()
    )
    rows = connection.execute(
        sa.select(ranked.c.error_kind, ranked.c.images, image.c.path, ranked.c.error_text)
        .select_from(ranked.join(image, image.c.id == ranked.c.image_id))
        .where(ranked.c.nth <= EXAMPLES)
        .order_by(ranked.c.images.desc(), ranked.c.error_kind, ranked.c.nth)
    )
    return tuple(
        ErrorCount(ErrorKind(kind), images, tuple((bytes(row[2]), row[3] or "") for row in same))
        for (kind, images), same in groupby(rows, key=itemgetter(0, 1))
    )


def _labelled(connection: sa.Connection, scan_id: int) -> tuple[LabelledCount, ...]:
    """Counts by score; of many images by SCORE_STEPS steps of it, each told by its middle."""
    labelled = (entry.c.scan_id == scan_id) & entry.c.truth.is_not(None)
    images = connection.scalar(sa.select(sa.func.count()).select_from(entry).where(labelled)) or 0
    if not images:
        return ()
    is_exact = images <= SCORES_TOLD_APART
    score: sa.ColumnElement[Any] = verdict.c.score
    if not is_exact:
        score = verdict.c.score * SCORE_STEPS
        # A cast cuts off on SQLite, whose floor() is not always there; elsewhere it rounds.
        score = sa.cast(
            score if connection.dialect.name == "sqlite" else sa.func.floor(score), sa.Integer
        )
    judged = (verdict.c.scan_id == entry.c.scan_id) & (verdict.c.image_id == entry.c.image_id)
    rows = connection.execute(
        sa.select(entry.c.truth, verdict.c.outcome, score, sa.func.count())
        .select_from(entry.outerjoin(verdict, judged))
        .where(labelled)
        .group_by(*(sa.text(str(place)) for place in range(1, 4)))
    )
    return tuple(
        LabelledCount(
            truth,
            None if outcome is None else Outcome(outcome),
            found if found is None or is_exact else min(1.0, (found + 0.5) / SCORE_STEPS),
            images,
        )
        for truth, outcome, found, images in rows
    )
