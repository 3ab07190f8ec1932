"""Comparison of two scans of a collection: counts, changed verdicts, agreement with labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.report.figures.build import build
from scanner.report.figures.phase import stored
from storage.reads.compare import compare_scans

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanner.report.figures.build import Report
    from scanner.report.figures.phase import Phase
    from storage.database.store import Store
    from storage.reads.compare import Change
    from storage.reads.progress import Counts
    from storage.records import Outcome
    from storage.writes.scans import Scan

# Up to this many discordant images the test is exact.
EXACT = 1000


@dataclass(frozen=True, slots=True)
class McNemar:
    """Labelled images that only one of two scans scores correctly, and the test's p-value.

    McNemar's test (1947), two-sided: exact up to EXACT images, else chi-squared with Edwards'
    continuity correction. `p_value` is None without such images.
    """

    only_before: int
    only_after: int
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports, the images that both judged by (verdict before, after), and McNemar's test."""

    before: Report
    after: Report
    both: int
    flips: tuple[tuple[Outcome, Outcome, int], ...]
    examples: tuple[Change, ...]
    mcnemar: McNemar | None

    @property
    def counts(self) -> Counts:
        """Return the counts of the later scan."""
        return self.after.counts

    @property
    def is_of_one_collection(self) -> bool:
        """Return whether both are scans of the same images, more or less."""
        return self.before.scan.collection_id == self.after.scan.collection_id

    @property
    def changed(self) -> int:
        """Return the number of images with another verdict."""
        return sum(images for before, after, images in self.flips if before != after)


def compare(
    store: Store, before: Scan, after: Scan, phase_of: Callable[[Scan], Phase] = stored
) -> Comparison:
    """Compare two scans; raises NotFound where one is gone."""
    changed = compare_scans(store, before.scan_id, after.scan_id)
    flips: dict[tuple[Outcome, Outcome], int] = {}
    only_before = only_after = labelled = 0
    for pair in changed.pairs:
        key = (pair.before, pair.after)
        flips[key] = flips.get(key, 0) + pair.images
        if pair.correct_before is None or pair.correct_after is None:
            continue
        labelled += pair.images
        only_before += pair.images * (pair.correct_before and not pair.correct_after)
        only_after += pair.images * (pair.correct_after and not pair.correct_before)
    return Comparison(
        before=build(store, before, phase_of=phase_of),
        after=build(store, after, phase_of=phase_of),
        both=sum(flips.values()),
        flips=tuple((*key, images) for key, images in sorted(flips.items())),
        examples=changed.examples,
        mcnemar=mcnemar(only_before, only_after) if labelled else None,
    )


def mcnemar(only_before: int, only_after: int) -> McNemar:
    """Return McNemar's test of the images that exactly one of two scans scores correctly."""
    differ, fewer = only_before + only_after, min(only_before, only_after)
    if differ == 0:
        return McNemar(0, 0, None)
    if differ <= EXACT:
        tail = sum(math.comb(differ, k) for k in range(fewer + 1))
        p_value = min(1.0, 2 * tail / 2**differ)
    else:
        chi_squared = max(0, abs(only_before - only_after) - 1) ** 2 / differ
        p_value = math.erfc(math.sqrt(chi_squared / 2))
    return McNemar(only_before, only_after, p_value)
