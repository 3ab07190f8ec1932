"""The files of tests/cases, judged as users judge files: one by one, and in a scan."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any

CASES = Path(__file__).parents[1] / "cases"
with (CASES / "expected.csv").open(encoding="utf-8") as _table:
    EXPECTED = {row["path"]: row["verdict"].split() for row in csv.DictReader(_table)}


def wrong(lines: str, root: Path) -> dict[str, str]:
    """Return the files whose verdict is none of the right ones, with their verdict."""
    rows = map(json.loads, lines.splitlines())
    judged = {Path(root, row["path"]): row["verdict"] for row in rows}

    assert {CASES / path for path in EXPECTED} == judged.keys()
    return {
        str(path): verdict
        for path, verdict in judged.items()
        if verdict not in EXPECTED[str(path.relative_to(CASES))]
    }


def test_check_of_every_case(cli: Cli) -> None:
    """`check` gives each file one of its right verdicts, whatever another file does."""
    done = cli.run("check", "--json", *(CASES / path for path in EXPECTED), check=3)

    assert {} == wrong(done.stdout, CASES)


def test_scan_of_every_case(cli: Cli) -> None:
    """`scan` gives each file one of its right verdicts."""
    cli.run("scan", CASES, check=3)

    assert {} == wrong(cli.run("verdicts").stdout, CASES)
