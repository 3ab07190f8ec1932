"""Run each row of tests/faults several times, and write the table of docs/reference/reliability.md.

    python benchmarks/faults.py [--runs 10] [--measured FILE] [PYTEST ARGUMENT…]

Each run adds its measurements to the file, so that runs can be spread over several nights;
`--runs 0` makes the table from what is there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "reliability.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of the table -->\n"
HEAD = """\
| what breaks | runs | recovery, p50 | p95 | images read twice, p50 | at most |
|---|--:|--:|--:|--:|--:|
"""


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of the values does not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(measured: Path) -> str:
    """Return the rows, in the order in which they were first measured."""
    seconds: dict[str, list[float]] = defaultdict(list)
    twice: dict[str, list[float]] = defaultdict(list)
    for line in measured.read_text().splitlines():
        one = json.loads(line)
        seconds[one["row"]].append(one["recovery_s"])
        twice[one["row"]].append(one["twice"])
    rows = []
    for row, found in seconds.items():
        again = twice[row]
        rows.append(
            f"| {row} | {len(found)} "
            f"| {percentile(found, 0.5):.0f} s | {percentile(found, 0.95):.0f} s "
            f"| {percentile(again, 0.5):.0f} | {max(again):.0f} |\n"
        )
    return HEAD + "".join(rows)


def main() -> int:
    """Run the suite and write the table; return how many runs had a row that failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--measured", type=Path, default=ROOT / "faults.jsonl")
    given, arguments = parser.parse_known_args()
    env = os.environ | {"FAULTS_TABLE": str(given.measured.resolve())}
    pytest = [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", ROOT / "tests/faults"]
    failed = 0
    for number in range(given.runs):
        print(f"run {number + 1} of {given.runs}", flush=True)
        failed += bool(subprocess.run([*pytest, *arguments], env=env, check=False).returncode)
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table(given.measured)}{END}{after}", "utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main())
