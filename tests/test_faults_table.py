"""The table of faults in docs/reference/reliability.md, from what was measured."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

FAULTS = Path(__file__).parents[1] / "benchmarks" / "faults.py"
KILLED, FULL = "tests/faults/test_a.py::test_killed", "tests/faults/test_a.py::test_full"


@pytest.fixture(scope="module")
def faults() -> Any:  # noqa: ANN401 - a module
    """Import benchmarks/faults.py, which is a script."""
    spec = importlib.util.spec_from_file_location("faults", FAULTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(test: str, *seconds: float, reason: str = "") -> dict[str, Any]:
    """Return the line of a run, with what it measured."""
    measured = [{"row": "kill -9", "recovery_s": each, "twice": 2} for each in seconds]
    return {"test": test, "passed": not reason, "measured": measured, "reason": reason}


def test_rows(faults: Any) -> None:  # noqa: ANN401
    """A row has all runs, and a failure is counted and named, also where nothing was measured."""
    lines = [
        run(KILLED, 3.0),
        run(KILLED, 8.0),
        run(KILLED, reason="/tmp/x/y is lost"),
        run(FULL, reason="x"),
    ]

    _, _, *rows = faults.table(lines).splitlines()

    assert [
        "| `test_full` | 1 | 1 | - | - | - | - |",
        "| kill -9 | 3 | 1 | 3 s | 8 s | 2 | 2 |",
        "",
        "Failed:",
        "",
        "- `test_full`, 1 of 1: `x`",
        "- kill -9, 1 of 3: `… is lost`",
    ] == rows


def test_tests_with_the_fewest_runs_come_first(faults: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """A run that was stopped goes on with what it did not come to, then with a further pass."""
    measured = tmp_path / "faults.jsonl"
    measured.write_text(json.dumps(run(KILLED)) + "\n")

    assert (0, [FULL]) == faults.least_run([KILLED, FULL], measured, 2)
    measured.write_text("".join(json.dumps(run(test)) + "\n" for test in (KILLED, FULL)))
    assert (1, [KILLED, FULL]) == faults.least_run([KILLED, FULL], measured, 2)
    assert (1, []) == faults.least_run([KILLED, FULL], measured, 1)
