"""The files of tests/cases, each against the verdict that its metadata should lead to."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from workers.provenance import read

CASES = Path(__file__).parents[2] / "cases"
with (CASES / "expected.csv").open(encoding="utf-8") as _table:
    EXPECTED = {row["path"]: row["verdict"].split() for row in csv.DictReader(_table)}
# The right verdict of these does not follow from the metadata in the file.
OTHER_STAGES = {
    "23-sidecars/a.jpg",
    "23-sidecars/b.png",
    "24-decoder-crash/segfault.heic",
}


def verdict(data: bytes) -> str:
    """Return the verdict at the thresholds of the provenance detector."""
    score = max((finding.score or 0.0 for finding in read(data)), default=0.0)
    return "ai" if score >= 0.9 else "unsure" if score >= 0.5 else "no_evidence"


@pytest.mark.parametrize("path", sorted(EXPECTED.keys() - OTHER_STAGES))
def test_case(path: str) -> None:
    """The metadata of each case leads to one of its right verdicts."""
    assert verdict((CASES / path).read_bytes()) in EXPECTED[path]
