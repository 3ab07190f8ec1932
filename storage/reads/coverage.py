"""The images that each detector scored, and what its scores say, for the prevalence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the fields' types
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage.database.schema import finding
from storage.records import DEGRADED, PREVIEW, RESIZED_FROM, ROUTER, SETTLING, STATED

# What a detector says of an image; None where it did not score it.
_CLEARED, _FLAGGED, _RESIZED = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Scored:
    """Images that the same detectors scored, and how many of them any of these flagged."""

    detectors: tuple[str, ...]
    images: int
    flagged: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Images by the detectors that scored them.

    `scored` has all images that a detector scored. `as_measured` has those that detectors saw as
    they were measured, neither resized nor degraded, less those that metadata settles; of these
    there are `settled`, scored or not.
    """

    scored: Mapping[str, int]
    as_measured: tuple[Scored, ...]
    settled: int


def read_coverage(
    connection: sa.Connection, scan_id: int, flagged_from: Mapping[str, float]
) -> Coverage:
    """Return the coverage of a scan; `flagged_from` has the threshold of each planned detector."""
    has_score = (finding.c.scan_id == scan_id) & finding.c.score.is_not(None)
    with_scores = set(connection.scalars(sa.select(finding.c.detector).where(has_score).distinct()))
    names = [name for name in flagged_from if name in with_scores and name not in STATED]
    groups = list(connection.execute(_states(scan_id, names, flagged_from)))
    scored: Counter[str] = Counter(dict.fromkeys(names, 0))
    images: Counter[tuple[str, ...]] = Counter()
    flagged: Counter[tuple[str, ...]] = Counter()
    settled = 0
    for group in groups:
        number, is_settled, is_degraded, *states = group
        by_name = dict(zip(names, states, strict=True))
        scored.update({name: number for name, state in by_name.items() if state is not None})
        settled += number if is_settled else 0
        native = tuple(name for name, state in by_name.items() if state in (_CLEARED, _FLAGGED))
        if native and not is_settled and not is_degraded:
            images[native] += number
            flagged[native] += number if _FLAGGED in states else 0
    return Coverage(
        scored={name: scored[name] for name in flagged_from if name not in STATED},
        as_measured=tuple(
            Scored(names, number, flagged[names]) for names, number in images.items()
        ),
        settled=settled,
    )


def _states(scan_id: int, names: list[str], flagged_from: Mapping[str, float]) -> sa.Select[Any]:
    """Select how many images have the same state of each detector, in one pass by image."""
    detail, score = finding.c.detail, finding.c.score
    size = sa.case((detail.is_not(sa.null()), detail[RESIZED_FROM].as_string()))
    degraded = (finding.c.detector == ROUTER) & finding.c.kind.in_((DEGRADED, PREVIEW))
    # Metadata or a mark settles an image from the threshold for `ai` on.
    settled = sa.or_(
        sa.false(),
        *(
            (finding.c.detector == name) & (score >= flagged_from[name])
            for name in SETTLING
            if name in flagged_from
        ),
    )
    columns = [
        sa.func.max(sa.case((settled, 1), else_=0)).label("settled"),
        sa.func.max(sa.case((degraded, 1), else_=0)).label("degraded"),
    ]
    for n, name in enumerate(names):
        # Of several scores of an image the highest counts.
        state = sa.case(
            (score.is_(None), None),
            (size.is_not(None), _RESIZED),
            (score >= flagged_from[name], _FLAGGED),
            else_=_CLEARED,
        )
        of_detector = sa.case((finding.c.detector == name, state))
        columns.append(sa.func.max(of_detector).label(f"state_{n}"))
    # In the order of the primary key, so that the grouping sorts nothing.
    by_image = (
        sa.select(*columns)
        .where(finding.c.scan_id == scan_id)
        .group_by(finding.c.image_id)
        .subquery()
    )
    return sa.select(sa.func.count(), *by_image.c).group_by(*by_image.c)
