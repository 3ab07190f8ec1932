"""The breakdown of a scan by folder, month and detector, with copies, runs and labelled images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence  # noqa: TC003 - msgspec reads the fields' types
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT, first_columns
from storage.database.schema import entry, verdict
from storage.reads.coverage import Coverage, read_coverage
from storage.reads.folders import (
    Folders,
    OutcomeCounts,
    count_outcomes,
    outcome_counts,
    read_folders,
)
from storage.reads.hosts import RunFigures, read_runs
from storage.reads.labelled import Calls, read_calls
from storage.records import Outcome

# Digests are compared among up to this many images; above, among one in SAMPLED_SHARE digests.
DIGESTS_COMPARED = 100_000
SAMPLED_SHARE = 16
DAY_NS = 24 * 3600 * 10**9
UNKNOWN_MONTH = "unknown"


@dataclass(frozen=True, slots=True)
class Copies:
    """Files with a digest, and the number of different digests; the same of `ai` files.

    Of many files, those of one in `one_in` digests: all copies of an image are among them or none,
    so that shares hold for the whole scan.
    """

    files: int
    different: int
    ai_files: int
    ai_different: int
    one_in: int


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Outcomes by group; `months` by the `YYYY-MM` of the files' times (UTC).

    `calls_by_folder` and `calls_by_detector` are empty without labels.
    """

    folders: Folders
    months: Mapping[str, OutcomeCounts]
    deciding: Mapping[str, OutcomeCounts]
    copies: Copies
    coverage: Coverage
    runs: Sequence[RunFigures]
    calls_by_folder: Mapping[bytes, Calls]
    calls_by_detector: Mapping[str, Calls]


def read_breakdown(
    connection: sa.Connection, scan_id: int, flagged_from: Mapping[str, float], *, is_labelled: bool
) -> Breakdown:
    """Return the breakdown of a scan, within a transaction.

    `flagged_from` has the score from which each planned detector flags an image.
    """
    folders, deciding = read_folders(connection, scan_id)
    by_folder: dict[bytes, Calls] = {}
    by_detector: dict[str, Calls] = {}
    if is_labelled:
        by_folder, by_detector = read_calls(connection, scan_id, folders.parent)
    return Breakdown(
        folders=folders,
        months=_months(connection, scan_id),
        deciding=deciding,
        copies=_copies(connection, scan_id),
        coverage=read_coverage(connection, scan_id, flagged_from),
        runs=read_runs(connection, scan_id),
        calls_by_folder={
            name: calls for name, calls in by_folder.items() if name in folders.by_name
        },
        calls_by_detector=by_detector,
    )


def _months(connection: sa.Connection, scan_id: int) -> dict[str, OutcomeCounts]:
    day = entry.c.mtime_ns // DAY_NS
    by_day = connection.execute(
        sa.select(day, sa.func.count())
        .where(entry.c.scan_id == scan_id)
        .group_by(*first_columns(1))
    )
    totals: Counter[str] = Counter()
    for number, images in by_day:
        totals[_month(number)] += images
    outcomes: dict[str, Counter[str]] = {}
    by_key = count_outcomes(connection, scan_id, (day,), entry, ENTRY_VERDICT)
    for (number,), counter in by_key.items():
        outcomes.setdefault(_month(number), Counter()).update(counter)
    return {
        month: outcome_counts(totals[month], outcomes.get(month, {})) for month in sorted(totals)
    }


def _month(day: int) -> str:
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m}"
    except OverflowError:
        # A file may have any time.
        return UNKNOWN_MONTH


def _copies(connection: sa.Connection, scan_id: int) -> Copies:
    with_digest = (verdict.c.scan_id == scan_id) & verdict.c.digest.is_not(None)
    judged = sa.select(verdict.c.outcome).where(verdict.c.scan_id == scan_id)
    beyond = judged.offset(DIGESTS_COMPARED).limit(1)
    one_in = 1 if connection.execute(beyond).first() is None else SAMPLED_SHARE
    if one_in > 1:
        with_digest &= verdict.c.digest < bytes([256 // one_in])
    is_ai = sa.case((verdict.c.outcome == Outcome.AI, 1), else_=0)
    same = (
        sa.select(sa.func.count().label("files"), sa.func.sum(is_ai).label("ai"))
        .where(with_digest)
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
