"""The files of tests/cases, each against the verdict that its metadata should lead to."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scanner.listing.sidecars import find_sidecars
from workers.provenance import read, sidecars
from workers.sources.files import FileSource

if TYPE_CHECKING:
    from storage.records import Finding

CASES = Path(__file__).parents[2] / "cases"
with (CASES / "expected.csv").open(encoding="utf-8") as _table:
    EXPECTED = {row["path"]: row["verdict"].split() for row in csv.DictReader(_table)}
# The right verdict of these does not follow from the metadata in the file.
OTHER_STAGES = {
    "24-decoder-crash/segfault.heic",
}


def findings(file: Path) -> list[Finding]:
    """Return the evidence in a file and in its sidecars."""
    path = os.fsencode(file)
    found = list(read(file.read_bytes()))
    for sidecar in find_sidecars([path])[path]:
        data = FileSource(2**20).fetch_sidecar(path, sidecar)
        found += sidecars.read(data, sidecar.name, path)
    return found


def verdict(file: Path) -> str:
    """Return the verdict at the thresholds of the provenance detector."""
    score = max((finding.score or 0.0 for finding in findings(file)), default=0.0)
    return "ai" if score >= 0.9 else "unsure" if score >= 0.5 else "no_evidence"


@pytest.mark.parametrize("path", sorted(EXPECTED.keys() - OTHER_STAGES))
def test_case(path: str) -> None:
    """The metadata of each case leads to one of its right verdicts."""
    assert verdict(CASES / path) in EXPECTED[path]
